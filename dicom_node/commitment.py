"""Storage commitment as values (PS3.4 annex J, Push Model): who asks for what to be kept, and what comes of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum


class FailureReason(IntEnum):
    """Why an instance is not committed (PS3.4 table J.3-2)."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119
    CLASS_NOT_SUPPORTED = 0x0122
    DUPLICATE_TRANSACTION = 0x0131
    RESOURCE_LIMITATION = 0x0213


# The error of a delivery whose commitment was asked for in vain.
NO_ANSWER = "the destination has taken it, and did not say in time whether it commits itself to keep it; asked again"

# Of the transactions that ask for a delivery: besides the first, so many are remembered.
LATEST_ASKED = 7
# Of what peers were not told, so many are shown.
MOST_SHOWN = 100

_MEANINGS = {
    FailureReason.PROCESSING_FAILURE: "processing failure",
    FailureReason.NO_SUCH_INSTANCE: "no such object instance",
    FailureReason.CLASS_INSTANCE_CONFLICT: "class / instance conflict",
    FailureReason.CLASS_NOT_SUPPORTED: "SOP class not supported",
    FailureReason.DUPLICATE_TRANSACTION: "duplicate transaction UID",
    FailureReason.RESOURCE_LIMITATION: "resource limitation",
}


def explained_reason(code: int) -> str:
    """A failure reason for people, as "0112 (no such object instance)"."""
    known = _MEANINGS[FailureReason(code)] if code in set(FailureReason) else "a reason of its own"
    return f"{code:04X} ({known})"


@dataclass(frozen=True, kw_only=True, order=True)
class SopReference:
    """One object, as the Referenced SOP Sequence names it."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, kw_only=True)
class CommitmentRequest:
    """What a peer asks by N-ACTION. `peer`: its address."""

    transaction_uid: str
    references: tuple[SopReference, ...]
    calling_ae: str
    called_ae: str
    peer: str


class PromiseState(StrEnum):
    """Where our answer to a request stands."""

    OPEN = "open"  # the peer has not heard of it yet
    REPORTED = "reported"  # the peer has confirmed our report; its transaction UID is dead
    GIVEN_UP = "given_up"  # the peer could not be reached for too long; it may ask again


@dataclass(frozen=True, kw_only=True)
class Promise(CommitmentRequest):
    """A request that the ledger keeps. `due_at`: when our report is tried next; `attempts`: how often it failed."""

    id: int
    state: PromiseState
    asked_at: datetime
    due_at: datetime
    attempts: int = 0
    last_error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An object that is not committed; `reason` as it goes over the wire."""

    reference: SopReference
    reason: int


@dataclass(frozen=True, kw_only=True)
class CommitmentReport:
    """What an N-EVENT-REPORT says of a transaction: event type 1 without failures, 2 with some."""

    transaction_uid: str
    committed: tuple[SopReference, ...]
    failed: tuple[Failure, ...] = ()


class Outcome(StrEnum):
    """What became of a report that a destination sent."""

    TAKEN = "taken"
    KNOWN = "known"  # it came before: nothing changes, and the destination may rest
    STRANGE = "strange"  # no transaction of ours with this destination


def report_on(
    transaction_uid: str, references: Iterable[SopReference], kept_classes: Callable[[str], frozenset[str]]
) -> CommitmentReport:
    """The report on a request. `kept_classes`: SOP Instance UID -> classes of the objects with it that are kept here.

    More than one class is a UID that was used twice: each of them is kept. An object named twice is answered once.
    """
    committed: list[SopReference] = []
    failed: list[Failure] = []
    for reference in dict.fromkeys(references):
        classes = kept_classes(reference.sop_instance_uid)
        if reference.sop_class_uid in classes:
            committed.append(reference)
        else:
            reason = FailureReason.CLASS_INSTANCE_CONFLICT if classes else FailureReason.NO_SUCH_INSTANCE
            failed.append(Failure(reference=reference, reason=reason))
    return CommitmentReport(transaction_uid=transaction_uid, committed=tuple(committed), failed=tuple(failed))


def missing_from(report: CommitmentReport, objects: Iterable[SopReference]) -> int | None:
    """The reason for which not all of these objects are committed, None when they are.

    An object that the report does not name at all counts as not committed: both lists have to be complete.
    """
    committed = {reference.sop_instance_uid for reference in report.committed}
    reasons = {failure.reference.sop_instance_uid: failure.reason for failure in report.failed}
    for each in objects:
        if each.sop_instance_uid in reasons:
            return reasons[each.sop_instance_uid]
        if each.sop_instance_uid not in committed:
            return FailureReason.PROCESSING_FAILURE
    return None
