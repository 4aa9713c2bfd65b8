"""Reading data sets with pydicom at a bounded cost, however many elements and items a stranger has nested into them.

pydicom makes an object of every item, of some 700 bytes and in some 20 microseconds, where an item takes 8 bytes on the
wire and next to nothing when it is deflated; it looks for the end of a sequence of undefined length in no other way.
So sequences are walked over first (`sequence_walk`), which makes nothing of them, and pydicom never sees the long ones.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, TypeVar, cast

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from dicom_node.content import PIECE
from dicom_node.sequence_walk import HEAD, MOST_STEPS, UNDEFINED_LENGTH, SequenceWalk, UnclearError, is_sequence

# Content trees of structured reports are nested some ten deep; pydicom reaches Python's limit at some 200.
DEEPEST = 100
# How often pydicom may read each byte: once to find an end, once for the value, and once more.
MOST_READINGS = 3

StopWhen = Callable[[BaseTag, str | None, int], bool]
Read = TypeVar("Read", bound=Dataset)


class TooLongError(Exception):
    """The data set has more elements or items than are read; the message says of what, and quotes nothing."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much of a data set pydicom gets to see: elements at the top level, and elements and items below it."""

    elements: int
    nested: int
    # Whether a sequence beyond that is passed over, and the data set goes on behind it; else the data set is refused.
    passes_over: bool

    @property
    def heads(self) -> int:
        """How often pydicom reads 8 bytes for all that: twice for what has a value of 8 bytes."""
        return 2 * (self.elements + self.nested) + 100  # and the file meta's


class Walk:
    """What pydicom asks about every element at the top level, before it reads the value (`stop_when`)."""

    def __init__(self, file: BinaryIO, limits: Limits, *, big_endian: bool) -> None:
        self.limits = limits
        self.last: BaseTag | None = None
        # Where the last element ends; 0 for one of undefined length.
        self.end = 0
        # The sequence before which pydicom was stopped, and where it ends.
        self.passed_over: tuple[BaseTag, int] | None = None
        self._file = file
        self._order = ">" if big_endian else "<"
        self._elements = limits.elements
        self._nested = limits.nested
        self._steps = MOST_STEPS

    def __call__(self, tag: BaseTag, vr: str | None, length: int) -> bool:
        """Whether to stop before this element, to pass over it. Raises TooLongError after too many."""
        self._elements -= 1
        if self._elements < 0:
            raise TooLongError(f"the data set has more than {self.limits.elements} elements")
        start, undefined = self._file.tell(), length == UNDEFINED_LENGTH
        self.last, self.end = tag, 0 if undefined else start + length
        self.passed_over = None
        if length and is_sequence(tag, vr, lambda: self._file.read(HEAD), self._order, undefined=undefined):
            self._file.seek(start)
            end = self._end_of(length, implicit=vr is None)
            self.passed_over = None if end is None else (tag, end)
        self._file.seek(start)
        return self.passed_over is not None

    def _end_of(self, length: int, *, implicit: bool) -> int | None:
        """Where a sequence ends that is too long or too deep for pydicom; None for any other.

        A damaged one is left to pydicom, whose own reading is rationed. One that has its length is read later, without
        a ration: there its length counts.
        """
        undefined = length == UNDEFINED_LENGTH
        # Only an end that is unknown and needed is worth more than the steps that are left to pydicom.
        most = self._steps if undefined and self.limits.passes_over else min(self._steps, self._nested + 1)
        walk = SequenceWalk(self._file, self._order, implicit=implicit)
        try:
            found = walk.to_end(length, most)
            cost = walk.steps if found else most + 1
        except UnclearError:
            found = False
            cost = walk.steps if undefined else length // HEAD
        self._steps -= walk.steps
        if cost <= self._nested and walk.deepest <= DEEPEST:
            self._nested -= cost
            return None
        if not self.limits.passes_over:
            raise TooLongError(f"the sequences have more than {self.limits.nested} elements and items, or are too deep")
        if undefined and not found:
            raise TooLongError("the end of a long sequence cannot be found")
        return walk.at if undefined else self.end


class _Rationed:
    """An open file that gives out so many heads of elements and items, and so many bytes, and then no more.

    pydicom may see more in a damaged sequence than the walk did, and look for the ends of values to the end of the file
    again and again; this counts what it really reads.
    """

    def __init__(self, file: BinaryIO, heads: int) -> None:
        self.name = str(getattr(file, "name", ""))
        self.spent = False
        self._file = file
        self._heads = heads
        begins_at = file.tell()
        file.seek(0, os.SEEK_END)
        self._size = file.tell()
        file.seek(begins_at)
        self._bytes = MOST_READINGS * self._size + PIECE

    def read(self, size: int = -1) -> bytes:
        """As of any file. Raises TooLongError, of which pydicom may make another error: `spent` tells."""
        self._heads -= size == HEAD
        self.spent = self.spent or self._heads < 0 or self._bytes < 0
        if self.spent:
            raise TooLongError
        content = self._file.read(size)
        self._bytes -= len(content)
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file; behind the end is at the end, since a mapped file has nothing there."""
        at = offset + (0, self._file.tell(), self._size)[whence]
        self._file.seek(min(at, self._size))
        return at

    def tell(self) -> int:
        return self._file.tell()


def read_bounded(
    file: BinaryIO,
    walk: Walk,
    read: Callable[[BinaryIO, StopWhen], Read],
    *,
    stop_when: StopWhen | None = None,
    defer_size: int | None = None,
) -> Read:
    """What pydicom reads of an open file, by `read`, within the limits of `walk`; up to `stop_when`, if it is given.

    In place of a sequence that is passed over stands one of a single empty item: something is there, and says nothing.
    Raises TooLongError, and whatever pydicom raises.
    """
    rationed = _Rationed(file, walk.limits.heads)
    source = cast("BinaryIO", rationed)

    def stops(tag: BaseTag, vr: str | None, length: int) -> bool:
        walk.passed_over = None
        return bool(stop_when and stop_when(tag, vr, length)) or walk(tag, vr, length)

    try:
        ds = read(source, stops)
        while walk.passed_over is not None:
            tag, end = walk.passed_over
            ds[tag] = DataElement(tag, "SQ", Sequence([Dataset()]))
            walk.passed_over = None
            source.seek(end)
            ds.update(dict(_rest(source, stops, ds, defer_size).items()))
    except Exception as error:
        if rationed.spent:
            raise TooLongError("the sequences have more elements and items than can be read") from error
        raise
    return ds


def _rest(source: BinaryIO, stops: StopWhen, ds: Dataset, defer_size: int | None) -> Dataset:
    """What follows a sequence that was passed over, in the encoding and the character set of what came before."""
    implicit, little_endian = ds.original_encoding
    return read_dataset(
        source,
        bool(implicit),
        bool(little_endian),
        stop_when=stops,
        defer_size=defer_size,
        parent_encoding=ds.original_character_set,
    )
