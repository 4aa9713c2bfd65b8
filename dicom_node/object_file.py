"""Opening a kept object, for a look at it or as a whole: at bounded cost, whatever a stranger has put into it.

The one place where a data set is inflated to be used (the receiver inflates no more than the head, in `part10`).
"""

import os
import zlib
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.element_text import text_of
from dicom_node.errors import UndecodableError
from dicom_node.part10 import DEFLATED, split_meta

TRANSFER_SYNTAX_UID = 0x00020010
# Most objects are judged by their headers: what is larger is read when somebody asks for it.
BULK = 64 << 10
# Twice the largest radiograph that the imaging package decodes (64 megapixels of 16 bits). A data set that inflates to
# more is kept and sent as it is, and neither looked at nor rewritten.
LARGEST_INFLATED = 256 << 20
# Real data sets have hundreds of elements at their top level; a file of empty ones would be parsed for minutes.
MOST_ELEMENTS = 20_000
UNDEFINED_LENGTH = 0xFFFFFFFF


def open_object(path: Path) -> Dataset:
    """The data set of a Part 10 file, with deferred bulk. A deflated one is inflated, up to a limit.

    Raises UndecodableError for a file that would cost too much, OSError, and whatever pydicom raises on a broken one.
    """
    with path.open("rb") as file:
        meta, offset = split_meta(file)
        if text_of(meta, TRANSFER_SYNTAX_UID) in DEFLATED:
            return _read_inflated(file, meta, offset)
        file.seek(0)
        return read_partial(file, stop_when=_Walk(file), defer_size=BULK, force=True)


def read_object(path: Path) -> FileDataset:
    """The whole data set of a Part 10 file, for making another of it.

    Raises as `open_object`, and UndecodableError for a data set that is cut short: pydicom leaves out what it cannot
    read to the end, and what is made of the rest would pass for all of it.
    """
    with path.open("rb") as file:
        meta, offset = split_meta(file)
        if text_of(meta, TRANSFER_SYNTAX_UID) in DEFLATED:
            return _read_inflated(file, meta, offset, whole=True)
        file.seek(0)
        return _read_whole(file)


def _read_whole(file: BinaryIO) -> FileDataset:
    walk = _Walk(file)
    ds = read_partial(file, stop_when=walk, force=True)
    walk.require_end(ds)
    return ds


def _read_inflated(file: BinaryIO, meta: Dataset, offset: int, *, whole: bool = False) -> FileDataset:
    """What was deflated is, and comes as, Explicit VR Little Endian (PS3.5 A.5)."""
    file.seek(offset)
    inflated = BytesIO(_inflated(file.read()))
    ds = _read_whole(inflated) if whole else read_partial(inflated, stop_when=_Walk(inflated), force=True)
    ds.file_meta = FileMetaDataset(meta)
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.preamble = bytes(128)
    return ds


def _inflated(deflated: bytes) -> bytes:
    """All of it; a part would pass for a whole image whose rest is missing."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = stream.decompress(deflated, LARGEST_INFLATED)
    except zlib.error as error:
        raise UndecodableError("the deflated data set cannot be inflated") from error
    if not stream.eof:
        why = "ends too early" if not stream.unconsumed_tail else f"inflates to more than {LARGEST_INFLATED >> 20} MiB"
        raise UndecodableError(f"the deflated data set {why}")
    return content


class _Walk:
    """What pydicom asks about every element at the top level, before it reads the value."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._count = 0
        self._last: BaseTag | None = None
        self._end = 0

    def __call__(self, tag: BaseTag, _vr: str | None, length: int) -> bool:
        """Never to stop here; raises UndecodableError after too many elements."""
        self._count += 1
        if self._count > MOST_ELEMENTS:
            raise UndecodableError(f"the data set has more than {MOST_ELEMENTS} elements")
        self._last = tag
        self._end = 0 if length == UNDEFINED_LENGTH else self._file.tell() + length
        return False

    def require_end(self, ds: Dataset) -> None:
        """Raise UndecodableError unless the last element is there, to its last byte, and nothing follows but zeros."""
        size = self._file.seek(0, os.SEEK_END)
        if self._last is None or self._last not in ds or self._end > size or self._is_more_behind():
            raise UndecodableError("the data set is cut short or damaged: its last element cannot be read to the end")

    def _is_more_behind(self) -> bool:
        """Fewer than 8 bytes are no element to pydicom; a sender's padding is not the head of one that is cut off."""
        self._file.seek(self._end)
        return bool(self._end) and any(self._file.read(8))
