"""How often a model's answer changes when the picture is changed in a way that must not matter."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dicom_node.errors import UndecodableError
from dicom_node.imaging import model_input, picture_from_file
from dicom_node.model.session import Model, Prediction
from training.errors import TrainingError
from training.manifest import Row
from training.metrics import Bools, interval
from training.perturb import CHANGES, variants


def steadiness(
    model: Model, rows: Sequence[Row], *, seed: int = 0, advance: Callable[[int], None] = lambda _n: None
) -> list[dict[str, Any]]:
    """Compare the answer to every row's picture with the answers to the same picture changed.

    Args:
        model: the model file, opened; it decides with its own thresholds, as in the node.
        rows: their pictures are decoded, changed, and then cleaned and fitted as the node does it.
        seed: for angles, widths and places; a row's depend on its number and on nothing else.
        advance: told how many pictures were done.

    Returns:
        One line for each of `perturb.CHANGES`: `n`, `groups`; `top1_changes`, the share with another region on top;
        `named`, the number that was named before the change, and of these the shares `named_otherwise` (another region)
        and `abstains`, left out where nothing was named. Each share has a 95 % bootstrap interval over groups.

    Raises:
        TrainingError: there are no rows, or a picture cannot be read.
    """
    if not rows:
        raise TrainingError("There is no picture to change: give rows of a region, or unlabelled ones.")
    answers = []
    for number, row in enumerate(rows):
        answers.append(_answers(model, row.file, np.random.default_rng([seed, number])))
        advance(1)
    groups = np.array([row.group for row in rows])
    return [
        {"change": name, **_compared([each[start] for each in answers], [each[name] for each in answers], groups)}
        for name, (start, _) in CHANGES.items()
    ]


def _answers(model: Model, file: Path, random: np.random.Generator) -> dict[str, Prediction]:
    try:
        grey = picture_from_file(file)
    except UndecodableError as error:
        raise TrainingError(
            f"{file}: {error}. To change pictures they have to be there: name the manifest of the originals."
        ) from error
    pictures = variants(grey, random)
    batch = np.stack([model_input(picture, model.card.input_size) for picture in pictures.values()])
    return dict(zip(pictures, model.predict(batch), strict=True))


def _compared(
    before: Sequence[Prediction], after: Sequence[Prediction], groups: np.ndarray[Any, Any]
) -> dict[str, Any]:
    other = np.array([old.region != new.region for old, new in zip(before, after, strict=True)])
    named = np.array([old.outcome == "tagged" for old in before])
    still = np.array([new.outcome == "tagged" for new in after])
    return {
        "n": len(before),
        "groups": len(set(groups)),
        **_share("top1_changes", other, groups),
        "named": int(named.sum()),
        **_share("named_otherwise", (other & still)[named], groups[named]),
        **_share("abstains", ~still[named], groups[named]),
    }


def _share(name: str, cases: Bools, groups: np.ndarray[Any, Any]) -> dict[str, Any]:
    if not len(cases):
        return {}
    return {name: float(cases.mean()), f"{name}_interval": interval(cases.astype(float), groups)}
