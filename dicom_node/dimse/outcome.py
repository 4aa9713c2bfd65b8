"""What a peer's answer means for a delivery: done, try again later, or in vain until somebody changes something."""

from pydicom.dataset import Dataset
from pynetdicom.pdu_primitives import A_ASSOCIATE

from dicom_node.errors import DeliveryError, PermanentError, TransientError

# Failures that pass (PS3.7 annex C): 0110 processing failure, 0213 resource limitation. PS3.4 B.2.3: A7xx.
_TRANSIENT = frozenset({0x0110, 0x0213, *range(0xA700, 0xA800)})
# An object with this UID is there already, as after a crash between sending and noting it; it says nothing of content.
_DUPLICATE = 0x0111
# Warnings: the object is stored (PS3.4 B.2.3, PS3.7 annex C).
_WARNINGS = frozenset({0x0001, 0x0107, _DUPLICATE, 0x0116, *range(0xB000, 0xC000)})
_MEANINGS = {
    0x0110: "processing failure",
    0x0117: "invalid SOP instance",
    0x0122: "SOP class not supported",
    0x0124: "not authorised",
    0x0213: "out of resources",
    # Of C-FIND, C-GET and C-MOVE; to a C-STORE they say nothing (PS3.7 annex C).
    0xFE00: "cancelled",
    0xFF00: "pending, which is no answer to an object",
    0xFF01: "pending, which is no answer to an object",
}
_RANGES = {0xA7: "out of resources", 0xA9: "data set does not match SOP class"}

_PERMANENT_RESULT = 0x01
_BY_PRESENTATION_PROVIDER = 0x03
_SERVICE_USER = 0x01
_NOT_RECOGNISED = {0x03: "does not know our AE title", 0x07: "does not go by that AE title"}


def is_warning(status: int) -> bool:
    """Whether a status says that the object is stored, with a remark."""
    return status in _WARNINGS


def is_duplicate(status: int) -> bool:
    """Whether a status says that an object with this UID, of whatever content, was there before (0111)."""
    return status == _DUPLICATE


def failure_of(response: Dataset) -> DeliveryError | None:
    """The error that a C-STORE or C-ECHO response amounts to; None when it was done.

    The peer's Error Comment is not repeated: it may quote the object.
    """
    status = int(response.Status)
    if status == 0 or is_warning(status):
        return None
    kind = TransientError if status in _TRANSIENT else PermanentError
    return kind(f"the peer refused the object with status {status:04X} ({_meaning(status)})")


def _meaning(status: int) -> str:
    if 0xC000 <= status <= 0xCFFF:
        return "cannot understand"
    return _MEANINGS.get(status) or _RANGES.get(status >> 8, "failure")


def rejection_of(answer: A_ASSOCIATE) -> DeliveryError:
    """The error that an A-ASSOCIATE-RJ amounts to (PS3.8 table 9-21).

    A full peer (source 3: temporary congestion, local limit exceeded) passes, whatever it calls the result; an AE title
    that is not recognised does not.
    """
    unknown = _NOT_RECOGNISED.get(answer.diagnostic or 0) if answer.result_source == _SERVICE_USER else None
    if unknown:
        return PermanentError(f"the peer {unknown}: correct the AE titles here or there")
    reason = f"the peer rejected the association ({answer.result_str}; {answer.reason_str})"
    if answer.result == _PERMANENT_RESULT and answer.result_source != _BY_PRESENTATION_PROVIDER:
        return PermanentError(reason)
    return TransientError(reason)
