"""What a model file says of itself, kept as JSON in the ONNX file's own metadata."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dicom_node.errors import ModelError
from dicom_node.imaging import IMAGING_VERSION
from dicom_node.regions import REGIONS

METADATA_KEY = "dicom_node.model_card"
FORMAT_VERSION = 1
LABELS: tuple[str, ...] = tuple(str(region.value) for region in REGIONS)


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """When the model must abstain.

    `min_confidence` is a calibrated probability in [0, 1]: below it the image is not tagged. `reject_above` is in the
    unit of `reject_statistic` (the file's `reject_score`, higher = stranger): above it the image is not one of the
    regions.
    """

    min_confidence: float
    reject_statistic: str = "energy"
    reject_above: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.min_confidence <= 1.0:
            raise ModelError(f"The model card's min_confidence {self.min_confidence} is not a probability.")
        if math.isnan(self.reject_above):
            raise ModelError("The model card's reject_above is not a number.")


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """The identity, the input and the limits of one model file.

    `temperature` is for the record: it is already folded into the graph, so `probabilities` come out calibrated.
    `training` is free text for people: sources with counts, licences and attribution, recipe, seed, metrics.
    """

    name: str
    version: str
    labels: tuple[str, ...]
    input_size: int
    imaging_version: int
    temperature: float
    thresholds: Thresholds
    training: Mapping[str, Any] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ModelError(
                f"The model card has format {self.format_version}, this node reads format {FORMAT_VERSION}: "
                "use a model exported by the same release."
            )
        if tuple(self.labels) != LABELS:
            raise ModelError(
                f"The model's labels are {', '.join(self.labels) or 'none'}; this node needs the {len(LABELS)} regions "
                f"in this order: {', '.join(LABELS)}."
            )
        if self.input_size < 1:
            raise ModelError(f"The model card's input_size {self.input_size} is not a size in pixels.")

    def to_json(self) -> str:
        """One line of JSON, the value to store under `METADATA_KEY`."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)


def card_from_metadata(metadata: Mapping[str, str], *, imaging_version: int = IMAGING_VERSION) -> ModelCard:
    """Read and check the card from an ONNX file's metadata.

    Raises:
        ModelError: there is no card, it cannot be read, its labels are others, or it was made for other pixels.
    """
    text = metadata.get(METADATA_KEY)
    if text is None:
        raise ModelError(
            f"The model file has no '{METADATA_KEY}' metadata, so its labels and thresholds are unknown: "
            "make the file with `python -m training export`."
        )
    card = _parse(text)
    if card.imaging_version != imaging_version:
        raise ModelError(
            f"The model was made for imaging version {card.imaging_version}, this node has {imaging_version}: "
            "use the model that came with this release, or train and export one with it."
        )
    return card


def _parse(text: str) -> ModelCard:
    try:
        raw = json.loads(text)
        return ModelCard(
            **{
                **raw,
                "labels": tuple(raw["labels"]),
                "input_size": int(raw["input_size"]),
                "thresholds": Thresholds(**raw["thresholds"]),
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"The model card in the file's metadata cannot be read: {error!r}.") from error
