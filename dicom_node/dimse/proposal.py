"""What a sender proposes (PS3.8 section 9.3.2.2): each class in its file's own syntax, and uncompressed beside it."""

from collections.abc import Iterator

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.presentation import PresentationContext, build_context

# Odd context IDs from 1 to 255.
MOST_CONTEXTS = 128
UNCOMPRESSED = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))


class Proposal:
    """The classes and syntaxes that a sender has needed so far; when they become too many, the oldest go.

    The own syntax stands alone in its context: a peer picks one per context, and might else pick an uncompressed one
    although it takes the file as it is.
    """

    def __init__(self) -> None:
        self._wanted: dict[tuple[str, str], None] = {}

    def widen(self, sop_class_uid: str, transfer_syntax_uid: str) -> bool:
        """Make sure that this class and syntax is proposed; whether that is new."""
        key = (sop_class_uid, transfer_syntax_uid)
        if key in self._wanted:
            return False
        self._wanted[key] = None
        while len(list(self._pairs())) > MOST_CONTEXTS:
            del self._wanted[next(iter(self._wanted))]
        return True

    def contexts(self) -> list[PresentationContext]:
        """The contexts to propose, at most 128."""
        return [build_context(sop_class_uid, list(syntaxes)) for sop_class_uid, syntaxes in self._pairs()]

    def _pairs(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for sop_class_uid, syntax in self._wanted:
            yield sop_class_uid, (syntax,)
        for sop_class_uid in dict.fromkeys(sop_class_uid for sop_class_uid, _ in self._wanted):
            yield sop_class_uid, UNCOMPRESSED
