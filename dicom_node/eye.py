"""Looking at one file: header, pixels, model. Whatever is wrong with the file becomes part of the answer."""

import threading
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_node.bodypart import EMPTY_HEADER
from dicom_node.errors import ModelError, UndecodableError, is_of_the_machine
from dicom_node.header import header_region, header_values
from dicom_node.imaging import grey_from_dataset, model_input, not_a_radiograph, picture_from_file
from dicom_node.model.session import Model, Prediction
from dicom_node.object_file import open_object
from dicom_node.regions import REGIONS
from dicom_node.verdict import Outcome, Recognition, Sighting

Grey = NDArray[np.float32]

# Pixels: a radiograph that is larger takes some hundred MB of memory while it is looked at.
LARGE = 16_000_000


class Batching(Protocol):
    """Something that predicts one image of many, soon."""

    def submit(self, image: Grey) -> Future[Prediction]: ...


class Eye:
    """Looks at DICOM files and pictures with one model; several threads may look at once and share its batches."""

    def __init__(self, *, model: Model, batcher: Batching) -> None:
        self._model = model
        self._batcher = batcher
        self._one_large = threading.Lock()

    @property
    def model_id(self) -> str:
        return self._model.model_id

    @property
    def model_sha256(self) -> str:
        """SHA-256 of the model's file, in hex."""
        return self._model.sha256

    def look(self, path: Path) -> Sighting:
        """Look at a DICOM file. Outcomes:

        - not a plain radiograph: `not_a_radiograph`, the model never sees it;
        - damaged, or no decoder for its pixels: `unreadable` with the reason, and with the header as it was read;
        - the model would be guessing: `abstained`, with its best guess;
        - else `tagged`.

        Raises ModelError when the model itself fails, OSError and MemoryError when the machine does: these are no
        property of the file, and trying again later can help.
        """
        blank = Sighting.unreadable("")
        try:
            ds = open_object(path)
            blank = Sighting(outcome=Outcome.UNREADABLE, header=header_region(ds), values=header_values(ds))
            return self._look_at(ds, blank)
        except ModelError:
            raise
        except UndecodableError as error:
            why = str(error)
        except Exception as error:
            if is_of_the_machine(error):
                raise
            why = f"the object cannot be read ({type(error).__name__})"
        return _with(blank, Outcome.UNREADABLE, why)

    def look_at_picture(self, path: Path) -> Sighting:
        """Look at a PNG or JPEG file, which is taken for a radiograph; raises UndecodableError."""
        seen = model_input(picture_from_file(path), self._model.card.input_size)
        return self._recognised(Sighting(outcome=Outcome.ABSTAINED, header=EMPTY_HEADER, values={}), seen)

    def _look_at(self, ds: Dataset, blank: Sighting) -> Sighting:
        if "SOPClassUID" not in ds and "PixelData" not in ds:
            raise UndecodableError("this is no DICOM object (pictures must be named .png, .jpg or .jpeg)")
        why_not = not_a_radiograph(ds)
        if why_not is not None:
            return _with(blank, Outcome.NOT_A_RADIOGRAPH, why_not)
        return self._recognised(blank, self._seen(ds))

    def _seen(self, ds: Dataset) -> Grey:
        """What the model sees of a data set; of large ones, one at a time. Raises UndecodableError."""
        with self._one_large if _is_large(ds) else nullcontext():
            return model_input(grey_from_dataset(ds), self._model.card.input_size)

    def _recognised(self, blank: Sighting, seen: Grey) -> Sighting:
        prediction = self._batcher.submit(seen).result()
        return Sighting(
            outcome=Outcome(prediction.outcome),
            header=blank.header,
            values=blank.values,
            recognition=self._recognition(prediction),
        )

    def _recognition(self, prediction: Prediction) -> Recognition:
        return Recognition(
            model_id=self.model_id,
            probabilities=dict(zip(REGIONS, prediction.probabilities, strict=True)),
            region=prediction.region,
            confidence=prediction.confidence,
            reject_score=prediction.reject_score,
            embedding=prediction.embedding.astype("<f4").tobytes(),
        )


def _is_large(ds: Dataset) -> bool:
    try:
        return int(ds.Rows) * int(ds.Columns) > LARGE
    except (AttributeError, TypeError, ValueError):
        return False  # a damaged header is told by whoever decodes


def _with(blank: Sighting, outcome: Outcome, reason: str) -> Sighting:
    return Sighting(outcome=outcome, header=blank.header, values=blank.values, reason=reason)
