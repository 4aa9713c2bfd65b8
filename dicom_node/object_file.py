"""Opening a kept object for a look at it: at little cost, whatever a stranger has put into it."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.errors import UndecodableError
from dicom_node.part10 import DEFLATED, inflate, split_meta, text_of

TRANSFER_SYNTAX_UID = 0x00020010
# Most objects are judged by their headers: what is larger is read when somebody asks for it.
BULK = 64 << 10
# Twice the largest radiograph that the imaging package decodes (64 megapixels of 16 bits).
LARGEST_INFLATED = 256 << 20
# Real data sets have hundreds of elements at their top level; a file of empty ones would be parsed for minutes.
MOST_ELEMENTS = 20_000


def open_object(path: Path) -> Dataset:
    """The data set of a Part 10 file, with deferred bulk. A deflated one is inflated, up to a limit.

    Raises UndecodableError for a file that would cost too much, OSError, and whatever pydicom raises on a broken one.
    """
    with path.open("rb") as file:
        meta, offset = split_meta(file)
        if text_of(meta, TRANSFER_SYNTAX_UID) not in DEFLATED:
            file.seek(0)
            return read_partial(file, stop_when=_too_many(), defer_size=BULK, force=True)
        file.seek(offset)
        inflated = inflate(file.read(), LARGEST_INFLATED)
    ds = read_partial(BytesIO(inflated), stop_when=_too_many(), force=True)
    # What was deflated is Explicit VR Little Endian (PS3.5 A.5).
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def _too_many() -> Callable[[BaseTag, str | None, int], bool]:
    count = 0

    def stop(_tag: BaseTag, _vr: str | None, _length: int) -> bool:
        nonlocal count
        count += 1
        if count > MOST_ELEMENTS:
            raise UndecodableError(f"the data set has more than {MOST_ELEMENTS} elements")
        return False

    return stop
