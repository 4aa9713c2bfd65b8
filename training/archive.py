"""Archives without a manifest: folders of DICOM objects and pictures, and the node's own ledger.

What leaves here is de-identified: an image at the model's size, a region, a view, a group that stands for the patient
and an origin that stands for the object. Both are keyed hashes (HMAC-SHA256, RFC 2104), of the patient's ID and of the
SOP Instance UID; without their salt nobody can try out IDs, and the salt is kept apart from the cache or not at all.
Names of files and folders are often patients' names, so they do not go along either.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from dicom_node.bodypart import HeaderKind, HeaderRegion
from dicom_node.errors import NodeError, is_of_the_machine
from dicom_node.header import header_region
from dicom_node.imaging import grey_from_dataset, model_input, not_a_radiograph, picture_from_file
from dicom_node.media import MediaFile, media_files
from dicom_node.object_file import open_object
from dicom_node.part10 import is_dicom
from training.errors import TrainingError
from training.images import ABOUT, IMAGES, MANIFEST, UNREADABLE, LeftOut, Picture
from training.key import Key, Shares
from training.manifest import OOD_PREFIX, Row, is_region
from training.table_files import read_table

UInt8Array = npt.NDArray[np.uint8]

# Defined terms of ViewPosition (PS3.3 C.8.1.3 and C.8.11.1); other values are free text, which may name anybody.
VIEWS = frozenset({"AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO"})
PICTURES = "pictures"


@dataclass(frozen=True, kw_only=True, eq=False)
class Looked:
    """What one file gave. `patient` and `uid` identify somebody: they are for grouping and for `Key`, no further.

    `image` (S, S) uint8 as the model sees it, or None with a `reason`; `region` as in a manifest, empty where the
    header does not say one; `reviewed`: a person said it.
    """

    label: str
    image: UInt8Array | None = None
    reason: str = ""
    region: str = ""
    reviewed: bool = False
    view: str = ""
    patient: str = ""
    uid: str = ""
    source: str = ""

    @property
    def weight(self) -> int:
        """What its region counts: nothing, as a header's, or as a person's."""
        return (1 + self.reviewed) if self.region else 0


@contextmanager
def files_of(paths: Sequence[Path], *, out: Path) -> Iterator[tuple[list[MediaFile], list[Path]]]:
    """Every file under folders, DICOMDIR media and zip archives, open as long as the context is; and the folders that
    were passed over: `out`, and what is a prepared data set. Their pictures are copies of which nobody knows the
    patients.

    Raises:
        TrainingError: a path is not there, lies in `out` or is a prepared data set.
    """
    for path in paths:
        if not path.exists():
            raise TrainingError(f"There is no file or folder {path}.")
        if path.resolve().is_relative_to(out.resolve()):
            raise TrainingError(f"{path} would be read and lies in --out {out}: name another folder for the result.")
        result = path.parent if path.name == PICTURES else path
        if path.is_dir() and _is_prepared(each.name for each in result.iterdir()):
            raise TrainingError(
                f"{result} is a prepared data set already: name the folder of the originals; or its {MANIFEST}, which "
                "says whose each picture is."
            )
    with media_files(paths) as found:
        yield _originals(found, out)


def _is_prepared(names: Iterable[str]) -> bool:
    """Whether a folder with these files is a prepared data set, or what is left of one that ended early."""
    there = set(names)
    return f"{IMAGES}.part" in there or (IMAGES in there and bool(there & {ABOUT, UNREADABLE}))


def _originals(found: Sequence[MediaFile], out: Path) -> tuple[list[MediaFile], list[Path]]:
    names: dict[Path, set[str]] = {}
    for media in found:
        path = Path(media.label)  # of an archive's member: the archive's path, and the member's behind a colon
        names.setdefault(path.parent, set()).add(path.name)
    results = {folder for folder, there in names.items() if _is_prepared(there)}
    own = out.resolve()

    @cache
    def result_around(folder: Path) -> Path | None:
        if folder.resolve().is_relative_to(own):
            return out
        return next((each for each in (folder, *folder.parents) if each in results), None)

    around = [result_around(Path(media.label).parent) for media in found]
    kept = [media for media, result in zip(found, around, strict=True) if result is None]
    return kept, sorted({result for result in around if result is not None})


def look(media: MediaFile, *, size: int, source: str, labels: Mapping[str, str], reviewed: str = "") -> Looked | None:
    """Read one file through the node's decoding and cleaning; None for one that is no image at all.

    Args:
        media: the file.
        size: of the model's input.
        source: what to call the place that it came from.
        labels: reviewed regions by SOP Instance UID; they go before `reviewed`.
        reviewed: what a person said in the ledger; it goes before the header.
    """
    try:
        with media.opened() as path:
            if media.is_picture:
                image = _fitted(picture_from_file(path), size)
                return Looked(label=media.label, image=image, patient=media.label, source=source)
            if not (media.named or is_dicom(path)):
                return None
            ds = open_object(path)
            return look_at(ds, label=media.label, size=size, source=source, labels=labels, reviewed=reviewed)
    except NodeError as error:
        return Looked(label=media.label, reason=str(error))
    except Exception as error:
        if is_of_the_machine(error) and not isinstance(error, FileNotFoundError):
            raise
        return Looked(label=media.label, reason=f"the object cannot be read ({type(error).__name__})")


def look_at(
    ds: Dataset, *, label: str, size: int, source: str, labels: Mapping[str, str], reviewed: str = ""
) -> Looked:
    """The same for a data set that is open already. Raises UndecodableError."""
    reason = not_a_radiograph(ds)
    if reason is not None:
        return Looked(label=label, reason=reason)
    uid, view = _text(ds, "SOPInstanceUID"), _text(ds, "ViewPosition").upper()
    said = labels.get(uid) or reviewed
    return Looked(
        label=label,
        image=_fitted(grey_from_dataset(ds), size),
        region=said or said_region(header_region(ds)),
        reviewed=bool(said),
        view=view if view in VIEWS else "",
        patient=patient_of(ds, label),
        uid=uid,
        source=source,
    )


def said_region(header: HeaderRegion) -> str:
    """A header's statement as a manifest's region: one of the 14, `ood:<body part>`, or empty for none or several, and
    where words beside the known ones may name another (ABDO PELVIS).
    """
    if header.unexplained:
        return ""
    if header.kind is HeaderKind.OUTSIDE:
        return OOD_PREFIX + (header.term or "several").lower()
    return str(header.region or "")


def patient_of(ds: Dataset, label: str) -> str:
    """Whose object it is, to be hashed: whoever has the ID, else the study, else the file `label` alone. Too small a
    group can leak, but a missing ID must not join strangers.

    The case of the ID and spaces around it do not count, nor does its issuer: where only some modalities set
    it, it would make two of one patient, and two patients of one ID lose nothing by being on one side together.
    """
    patient = _text(ds, "PatientID")
    if patient:
        return f"patient {patient.upper()} of "  # the end is there for keys of older releases
    study = _text(ds, "StudyInstanceUID")
    return f"study {study}" if study else f"file {label}"


def _text(ds: Dataset, keyword: str) -> str:
    try:
        return str(ds.get(keyword) or "").strip(" \0")
    except Exception:  # noqa: BLE001 - pydicom raises what its converters raise; damaged counts as empty
        return ""


def _fitted(grey: npt.NDArray[np.float32], size: int) -> UInt8Array:
    return np.round(model_input(grey, size) * 255.0).astype(np.uint8)


def deidentified(looked: Iterable[Looked], key: Key, shares: Shares, *, out: Path) -> Iterator[Picture | LeftOut]:
    """Give each image a number for a name and its patient's group, and write it as a picture under `out`; the links
    back are written when all were taken.

    The same object, or the very same pixels, a second time is left out: under another patient's ID it would be on
    both sides of the split. If it is the one that a person labelled, or the only one with a label, the first gets that.

    Raises:
        TrainingError: a picture cannot be written.
    """
    (out / PICTURES).mkdir(parents=True, exist_ok=True)
    links: list[tuple[str, str, str]] = []
    first: dict[bytes, tuple[Row, int]] = {}
    for number, one in enumerate(looked):
        name = f"{PICTURES}/{number:06d}.png"
        links.append((name, one.label, one.uid))
        if one.image is None:
            yield LeftOut(file=name, why=one.reason)
            continue
        row, digest = _row(one, out / name, key, shares), hashlib.sha256(one.image.tobytes()).digest()
        if digest in first:
            earlier, weight = first[digest]
            better = replace(earlier, region=one.region) if one.weight > weight else None
            first[digest] = (better or earlier, max(weight, one.weight))
            yield LeftOut(file=name, why=f"the same pixels as {PICTURES}/{earlier.file.name}", instead=better)
            continue
        first[digest] = row, one.weight
        _write_png(out / name, one.image)
        yield row, one.image
    key.keep_links(links)


def _write_png(file: Path, image: UInt8Array) -> None:
    # Not imwrite, which says no more than that it failed, if that: rows would name pictures that are not there.
    try:
        file.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    except OSError as error:
        raise TrainingError(f"{file} cannot be written: {error.strerror}.") from error


def _row(one: Looked, file: Path, key: Key, shares: Shares) -> Row:
    group = key.group(one.patient)
    return Row(
        file=file,
        region=one.region,
        group=group,
        use=shares.use(group),
        view=one.view,
        source=one.source,
        origin=key.origin(one.uid),
    )


def read_labels(path: Path | None) -> dict[str, str]:
    """Reviewed regions by SOP Instance UID, from a CSV with the columns sop_instance_uid and region.

    Raises:
        TrainingError: it cannot be read, lacks a column, or names what is no region.
    """
    if path is None:
        return {}
    try:
        read = {str(line["sop_instance_uid"]).strip(): (line["region"] or "").strip() for line in read_table(path)}
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"The labels {path} cannot be read: {error}.") from error
    except (KeyError, AttributeError) as error:
        raise TrainingError(f"{path} is no CSV with the columns sop_instance_uid and region.") from error
    unknown = next((region for region in read.values() if region and not is_region(region)), None)
    if unknown is not None:
        raise TrainingError(f"{path} names '{unknown}', which is neither one of the 14 regions nor 'ood:<kind>'.")
    return read
