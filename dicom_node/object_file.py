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
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from dicom_node.bounded_reading import Limits, StopWhen, TooLongError, Walk, read_bounded
from dicom_node.content import PIECE
from dicom_node.element_text import text_of
from dicom_node.errors import UndecodableError
from dicom_node.part10 import DEFLATED, split_meta
from dicom_node.sequence_walk import MOST_STEPS

TRANSFER_SYNTAX_UID = 0x00020010
# Most objects are judged by their headers: what is larger is read when somebody asks for it.
BULK = 64 << 10
# Twice the largest radiograph that the imaging package decodes (64 megapixels of 16 bits). A data set that inflates to
# more is kept and sent as it is, and neither looked at nor rewritten.
LARGEST_INFLATED = 256 << 20
# Real data sets have hundreds of elements at their top level; a file of empty ones would be parsed for minutes. Below
# that, what is looked at has some hundreds as well; a whole one, of many frames or contours, some hundred thousand.
MOST_ELEMENTS = 20_000
A_LOOK = Limits(elements=MOST_ELEMENTS, nested=20_000, passes_over=True)
THE_WHOLE = Limits(elements=MOST_ELEMENTS, nested=300_000, passes_over=False)
# As much as can be walked over: 100 s and 3 GB of pydicom's objects, and so in a process of its own. A legal MR of
# 10,000 frames comes to some 400,000.
AT_ANY_LENGTH = Limits(elements=MOST_ELEMENTS, nested=MOST_STEPS, passes_over=False)


class TooManyError(UndecodableError):
    """The data set has more elements and items than the limits allow."""


def open_object(path: Path) -> Dataset:
    """The data set of a Part 10 file, with deferred bulk. A deflated one is inflated, up to a limit. Sequences of very
    many elements and items are there, and hold nothing (`read_bounded`).

    Raises UndecodableError for a file that would cost too much, OSError, and whatever pydicom raises on a broken one.
    """
    with path.open("rb") as file:
        meta, offset = split_meta(file)
        if text_of(meta, TRANSFER_SYNTAX_UID) in DEFLATED:
            return _read_inflated(file, meta, offset, A_LOOK)
        ds = _read(file, meta, A_LOOK, defer_size=BULK)
        ds.fileobj_type, ds.buffer = open, None  # what was deferred is read by the file's name
        return ds


def read_object(path: Path, limits: Limits = THE_WHOLE) -> FileDataset:
    """The whole data set of a Part 10 file, for making another of it. `limits` must pass nothing over.

    Raises as `open_object`, TooManyError, and UndecodableError for a data set that is cut short: pydicom leaves out
    what it cannot read to the end, and what is made of the rest would pass for all of it.
    """
    with path.open("rb") as file:
        meta, offset = split_meta(file)
        if text_of(meta, TRANSFER_SYNTAX_UID) in DEFLATED:
            return _read_inflated(file, meta, offset, limits)
        return _read(file, meta, limits)


def _read(file: BinaryIO, meta: Dataset, limits: Limits, *, defer_size: int | None = None) -> FileDataset:
    walk = Walk(file, limits, big_endian=text_of(meta, TRANSFER_SYNTAX_UID) == ExplicitVRBigEndian)

    def read(source: BinaryIO, stop_when: StopWhen) -> FileDataset:
        return read_partial(source, stop_when=stop_when, defer_size=defer_size, force=True)

    file.seek(0)
    try:
        ds = read_bounded(file, walk, read, defer_size=defer_size)
    except TooLongError as error:
        raise TooManyError(str(error)) from error
    if not limits.passes_over:
        _require_end(file, walk, ds)
    return ds


def _read_inflated(file: BinaryIO, meta: Dataset, offset: int, limits: Limits) -> FileDataset:
    """What was deflated is, and comes as, Explicit VR Little Endian (PS3.5 A.5)."""
    file.seek(offset)
    ds = _read(_inflated(file), Dataset(), limits)
    ds.file_meta = FileMetaDataset(meta)
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.preamble = bytes(128)
    return ds


def _inflated(file: BinaryIO) -> BytesIO:
    """All of it; a part would pass for a whole image whose rest is missing."""
    stream, content = zlib.decompressobj(-zlib.MAX_WBITS), BytesIO()
    try:
        while not stream.eof and (piece := file.read(PIECE)):
            content.write(stream.decompress(piece, LARGEST_INFLATED + 1 - content.tell()))
            if content.tell() > LARGEST_INFLATED:
                raise UndecodableError(f"the deflated data set inflates to more than {LARGEST_INFLATED >> 20} MiB")
    except zlib.error as error:
        raise UndecodableError("the deflated data set cannot be inflated") from error
    if not stream.eof:
        raise UndecodableError("the deflated data set ends too early")
    return content


def _require_end(file: BinaryIO, walk: Walk, ds: Dataset) -> None:
    """Raise UndecodableError unless the last element is there, to its last byte, and nothing follows but zeros."""
    size = file.seek(0, os.SEEK_END)
    if walk.last is None or walk.last not in ds or walk.end > size or _is_more_behind(file, walk.end):
        raise UndecodableError("the data set is cut short or damaged: its last element cannot be read to the end")


def _is_more_behind(file: BinaryIO, end: int) -> bool:
    """Fewer than 8 bytes are no element to pydicom; a sender's padding is not the head of one that is cut off."""
    file.seek(end)
    return bool(end) and any(file.read(8))
