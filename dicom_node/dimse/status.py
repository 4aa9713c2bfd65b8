"""The one table from errors to C-STORE statuses (PS3.4 table B.2-1, PS3.7 annex C). There is no warning in it.

A status other than success goes with an Error Comment (0000,0902), LO of 64 characters. The comments are fixed texts:
nothing of the object or of the machine reaches the sender through them.
"""

from dataclasses import dataclass

from dicom_node.errors import (
    LedgerError,
    MismatchError,
    NotAuthorisedError,
    NotUnderstoodError,
    OutOfResourcesError,
    UnnamedError,
    WrongContextError,
    is_of_the_machine,
)


@dataclass(frozen=True, kw_only=True)
class Status:
    """A status as it goes over the wire."""

    code: int
    comment: str = ""


SUCCESS = Status(code=0x0000)

# Refused: out of resources. Senders keep the object and try again; which resource it is, the comment says. The first is
# also the answer to whatever else the machine raises for want of disk, memory or open files.
OUT_OF_RESOURCES = Status(code=0xA700, comment="Out of resources: storage is not available, send again later")
LEDGER_AWAY = Status(code=0xA700, comment="Out of resources: the index is not available, send again later")
# Error: data set does not match SOP class.
MISMATCH = Status(code=0xA900, comment="SOP Class or Instance UID of data set and command differ")
# Error: cannot understand. The numbers within Cxxx are the implementation's own.
NOT_UNDERSTOOD = Status(code=0xC210, comment="Cannot understand: the data set cannot be parsed")
UNFORESEEN = Status(code=0xC211, comment="Cannot process: unforeseen fault in the receiver, see its log")
# Invalid SOP Instance (PS3.7 C.5.12).
UNNAMED = Status(code=0x0117, comment="Affected SOP Instance UID: none, several or one too long")
# Refused: SOP Class not supported (PS3.7 C.5.22).
WRONG_CONTEXT = Status(code=0x0122, comment="This presentation context is not for storage")
# Refused: not authorised (PS3.7 C.5.24).
NOT_AUTHORISED = Status(code=0x0124, comment="Not authorised to store objects here")

STATUSES: dict[type[Exception], Status] = {
    OutOfResourcesError: OUT_OF_RESOURCES,
    LedgerError: LEDGER_AWAY,
    MismatchError: MISMATCH,
    NotUnderstoodError: NOT_UNDERSTOOD,
    UnnamedError: UNNAMED,
    WrongContextError: WRONG_CONTEXT,
    NotAuthorisedError: NOT_AUTHORISED,
}


def status_of(error: Exception) -> Status:
    """The status that tells a sender about an error: to come again, whenever that can help."""
    status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), UNFORESEEN)
    if status is not LEDGER_AWAY and is_of_the_machine(error):
        return OUT_OF_RESOURCES
    return status
