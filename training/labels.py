"""A hospital's own few labelled images: a CSV file with `file` and `region`, read through the node's imaging."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dicom_node.errors import NodeError, UndecodableError, is_of_the_machine
from dicom_node.imaging import grey_from_dataset, model_input, not_a_radiograph, picture_from_file
from dicom_node.model.card import LABELS
from dicom_node.object_file import open_object
from training.archive import patient_of
from training.errors import TrainingError
from training.images import ImageSet
from training.manifest import OOD_PREFIX, Row
from training.table_files import numbered_table
from training.telling import tell

PICTURES = {".png", ".jpg", ".jpeg"}
SOURCE = "labels"


@dataclass(frozen=True, kw_only=True)
class Label:
    """One line: `region` is one of the 14 or `ood:<kind>`; `group` is empty where the file does not say."""

    file: Path
    region: str
    group: str
    line: int


def read_labels(path: Path) -> list[Label]:
    """Read `labels.csv`: the columns file and region, and group (a patient, never split) where there is one.

    Raises:
        TrainingError: the file is missing or empty, a column is, a region is unknown, a named image is not there, or
            has two regions or two groups.
    """
    try:
        lines = numbered_table(path)
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"The labels {path} cannot be read: {error}.") from error
    if not lines:
        raise TrainingError(f"The labels {path} are empty: one line per image, with the columns file and region.")
    labels = [_label(line, path, number) for number, line in lines]
    _check_not_contradicted(labels, path)
    return labels


def _check_not_contradicted(labels: Sequence[Label], path: Path) -> None:
    first: dict[Path, Label] = {}
    for label in labels:
        earlier = first.setdefault(label.file.resolve(), label)
        if earlier.region != label.region:
            raise TrainingError(
                f"{path}, line {label.line}: {label.file} shows '{label.region}' here and '{earlier.region}' on line "
                f"{earlier.line}: keep one of them."
            )
        if earlier.group != label.group:
            # Not named: a group may be called as the patient is.
            raise TrainingError(
                f"{path}, line {label.line}: the file is that of line {earlier.line} and has another group here: "
                "keep one of them, or it would be on both sides of a fold."
            )


def _label(line: dict[str, str | None], path: Path, number: int) -> Label:
    values = {name: (line.get(name) or "").strip() for name in ("file", "region", "group")}
    for name in ("file", "region"):
        if not values[name]:
            raise TrainingError(f"{path}, line {number}: the column '{name}' is missing or empty.")
    region = values["region"]
    if region not in LABELS and not (region.startswith(OOD_PREFIX) and region != OOD_PREFIX):
        raise TrainingError(
            f"{path}, line {number}: '{region}' is no region. Take one of {', '.join(LABELS)}, or 'ood:<kind>' for "
            "what shows none of them."
        )
    file = path.parent / values["file"]
    if not file.is_file():
        raise TrainingError(f"{path}, line {number}: there is no file {file}.")
    return Label(file=file, region=region, group=values["group"], line=number)


def load_labelled(path: Path, size: int, advance: Callable[[int], None] = lambda _n: None) -> ImageSet:
    """All images of `labels.csv`, as the model sees them; group is the column, also where it is filled in on another
    line of the same DICOM patient; else the DICOM patient, else the file. It is said when equal images differ in it.

    Raises:
        TrainingError: what `read_labels` raises, or an image cannot be decoded or is no radiograph, or an empty group
            could be one of several.
    """
    labels = read_labels(path)

    def load_one(label: Label) -> tuple[npt.NDArray[np.uint8], str]:
        try:
            grey, patient = _grey(label.file)
        except (NodeError, OSError) as error:
            raise TrainingError(f"{path}, line {label.line}: {label.file}: {error}") from error
        except Exception as error:  # damaged objects raise what pydicom and the decoders raise
            if is_of_the_machine(error):
                raise
            why = f"the object cannot be read ({type(error).__name__})"
            raise TrainingError(f"{path}, line {label.line}: {label.file}: {why}") from error
        advance(1)
        return np.round(model_input(grey, size) * 255.0).astype(np.uint8), patient

    with ThreadPoolExecutor(max_workers=4) as pool:
        loaded = list(pool.map(load_one, labels))
    groups = _groups(labels, [patient for _, patient in loaded], path)
    rows = tuple(
        Row(file=label.file, region=label.region, group=group, use="train", source=SOURCE)
        for label, group in zip(labels, groups, strict=True)
    )
    made = ImageSet(images=np.stack([image for image, _ in loaded]), rows=rows)
    _warn_of_twins(made, path)
    return made


def _warn_of_twins(data: ImageSet, path: Path) -> None:
    groups: dict[bytes, str] = {}
    twins = 0
    for image, row in zip(data.images, data.rows, strict=True):
        twins += groups.setdefault(hashlib.sha256(image.tobytes()).digest(), row.group) != row.group
    if twins:
        tell(
            f"{twins} images of {path} have the very pixels of an earlier one with another group: what is measured on "
            "them may have been learned. Give them one group, or remove them."
        )


def _groups(labels: Sequence[Label], patients: Sequence[str], path: Path) -> list[str]:
    """The group of each line: its own, else the one that another line gives the same patient, else the patient."""
    given: dict[str, set[str]] = {}
    for label, patient in zip(labels, patients, strict=True):
        given.setdefault(patient, set()).update({label.group} - {""})
    for label, patient in zip(labels, patients, strict=True):
        if not label.group and len(given[patient]) > 1:
            raise TrainingError(
                f"{path}, line {label.line}: the column 'group' is empty, and other lines of the same patient name "
                f"{len(given[patient])} groups: say which."
            )
    return [label.group or next(iter(given[patient]), patient) for label, patient in zip(labels, patients, strict=True)]


def _grey(file: Path) -> tuple[npt.NDArray[np.float32], str]:
    """The grey image and the name of its group; a patient's identifier leaves here as a digest alone."""
    if file.suffix.lower() in PICTURES:
        return picture_from_file(file), str(file.resolve())
    ds = open_object(file)
    why_not = not_a_radiograph(ds)
    if why_not is not None:
        raise UndecodableError(why_not)
    patient = patient_of(ds, str(file)).encode(errors="surrogateescape")
    return grey_from_dataset(ds), hashlib.sha256(patient).hexdigest()[:16]
