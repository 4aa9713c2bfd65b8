"""Finding the end of an encoded sequence as pydicom would, without making anything of it (PS3.5 section 7.5)."""

from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from typing import BinaryIO

from pydicom.datadict import dictionary_VR
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, STANDARD_VR

UNDEFINED_LENGTH = 0xFFFFFFFF
HEAD = 8
"""Bytes: tag and length of an item; tag, VR and length of most elements."""
MOST_STEPS = 3_000_000
"""Elements and items that are walked over: some seconds. The largest real sequences have some hundred thousand."""

_ITEM, _ITEM_END, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
_VRS = frozenset(str(vr).encode("ascii") for vr in STANDARD_VR)
_LONG_VRS = frozenset(str(vr).encode("ascii") for vr in EXPLICIT_VR_LENGTH_32)


class UnclearError(Exception):
    """What should be a sequence is damaged or cut short."""


def is_sequence(tag: int, vr: str | None, head: Callable[[], bytes], order: str, *, undefined: bool) -> bool:
    """Whether pydicom takes an element for a sequence. `head`: reads what its value begins with; `order`: < or >;
    `undefined`: whether its length is.
    """
    if vr not in (None, "UN"):
        return vr == "SQ"
    if vr == "UN" and undefined:  # PS3.5 section 6.2.2, note 4
        return True
    known = _dictionary_vr(tag)
    if known is not None:
        return known == "SQ"
    begins = head()
    return len(begins) == HEAD and Struct(f"{order}HH").unpack_from(begins) == _ITEM


@lru_cache(maxsize=1000)
def _dictionary_vr(tag: int) -> str | None:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return None


class _Level:
    """A sequence, an item, or a value in fragments. `end` is None where a delimiter says it; `implicit` is None for an
    item in an Explicit VR sequence whose first element has not been seen: some are encoded otherwise.
    """

    __slots__ = ("end", "fragments", "implicit", "items")

    def __init__(self, end: int | None, *, items: bool, implicit: bool | None, fragments: bool = False) -> None:
        self.end = end
        self.items = items
        self.implicit = implicit
        self.fragments = fragments


class SequenceWalk:
    """One walk over one sequence, at whose value the file stands. `order`: < or >; `implicit`: the VR of what is around
    it. Afterwards `at` is where it ended, `steps` how many elements and items it passed, `deepest` the sequences in
    each other.
    """

    def __init__(self, file: BinaryIO, order: str, *, implicit: bool) -> None:
        self.at = file.tell()
        self.steps = 0
        self.deepest = 1
        self._file = file
        self._order = order
        self._implicit = implicit
        self._words = Struct(f"{order}HHL").unpack
        self._short = Struct(f"{order}H").unpack_from
        self._long = Struct(f"{order}L").unpack
        self._levels: list[_Level] = []

    def to_end(self, length: int, most: int) -> bool:
        """Walk; False after `most` steps without having arrived. Raises UnclearError."""
        self._enter(length, implicit=self._implicit)
        levels = self._levels
        while levels:
            level = levels[-1]
            if level.end is not None and self.at >= level.end:
                levels.pop()
                continue
            if self.steps >= most:
                return False
            self.steps += 1
            head = self._taken(HEAD)
            if level.items:
                self._pass_item(level, head)
            else:
                self._pass_element(level, head)
        return True

    def _pass_item(self, level: _Level, head: bytes) -> None:
        group, element, length = self._words(head)
        if (group, element) == _SEQUENCE_END:
            self._levels.pop()
        elif level.fragments:
            self._skip(length)
        else:
            end = None if length == UNDEFINED_LENGTH else self.at + length
            self._levels.append(_Level(end, items=False, implicit=level.implicit or None))

    def _pass_element(self, level: _Level, head: bytes) -> None:
        group, element, length = self._words(head)
        if (group, element) == _ITEM_END:
            self._levels.pop()
            return
        vr, length = self._vr_and_length(level, head, length)
        undefined = length == UNDEFINED_LENGTH
        if length == 0 or (vr not in (None, "UN", "SQ") and not undefined):
            self._skip(length)
        elif is_sequence(group << 16 | element, vr, self._next_head, self._order, undefined=undefined):
            self._enter(length, implicit=bool(level.implicit))
        elif undefined:
            self._enter(length, implicit=False, fragments=True)
        else:
            self._skip(length)

    def _vr_and_length(self, level: _Level, head: bytes, length: int) -> tuple[str | None, int]:
        """As pydicom tells them: two letters that are no VR count as a short one, anything else as Implicit VR."""
        code = head[4:6]
        if level.implicit is None:
            level.implicit = not code.isalpha() or not code.isupper()
        if level.implicit or not (code in _VRS or b"AA" <= code <= b"ZZ"):
            return None, length
        length = self._long(self._taken(4))[0] if code in _LONG_VRS else self._short(head, 6)[0]
        return code.decode("latin-1"), length

    def _enter(self, length: int, *, implicit: bool, fragments: bool = False) -> None:
        end = None if length == UNDEFINED_LENGTH else self.at + length
        self._levels.append(_Level(end, items=True, implicit=implicit, fragments=fragments))
        self.deepest = max(self.deepest, (len(self._levels) + 1) // 2)

    def _next_head(self) -> bytes:
        head = self._file.read(HEAD)
        self._file.seek(self.at)
        return head

    def _taken(self, size: int) -> bytes:
        taken = self._file.read(size)
        if len(taken) < size:
            raise UnclearError
        self.at += size
        return taken

    def _skip(self, size: int) -> None:
        try:
            self._file.seek(size, 1)
        except (OSError, ValueError) as error:  # a mapped file has nothing behind its end
            raise UnclearError from error
        self.at += size
