"""Storage commitment over the wire (PS3.4 annex J, Push Model): data sets as values, and the handlers of a receiver."""

import re
from collections.abc import Callable
from typing import Any, Protocol, cast

import structlog
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT
from pynetdicom.events import Event, EventHandlerType

from dicom_node.commitment import (
    CommitmentReport,
    CommitmentRequest,
    Failure,
    Outcome,
    Promise,
    SopReference,
)
from dicom_node.dimse.contexts import PUSH_MODEL_INSTANCE
from dicom_node.dimse.requests import peer_of, proposal_of
from dicom_node.dimse.status import Status
from dicom_node.errors import LedgerError, reason

log = structlog.get_logger(__name__)

REQUEST_COMMITMENT = 1  # action type (PS3.4 table J.3-1)
ALL_COMMITTED, SOME_FAILED = 1, 2  # event types (PS3.4 table J.3-3)

# N-ACTION and N-EVENT-REPORT statuses (PS3.7 10.1.1.1.8, 10.1.4.1.10).
DONE = Status(code=0x0000)
NO_SUCH_INSTANCE = Status(code=0x0112, comment="Storage commitment has the one well-known instance")
NO_SUCH_EVENT = Status(code=0x0113, comment="Storage commitment knows the event types 1 and 2")
INVALID = Status(code=0x0115, comment="Transaction UID or Referenced SOP Sequence cannot be used")
IN_USE = Status(code=0x0115, comment="This Transaction UID is in use for other instances")
STRANGE = Status(code=0x0115, comment="No such transaction with this AE")
NO_SUCH_ACTION = Status(code=0x0123, comment="Storage commitment knows the action type 1")
LEDGER_AWAY = Status(code=0x0213, comment="The index is not available, ask again later")
UNFORESEEN = Status(code=0x0110, comment="Unforeseen fault in the receiver, see its log")

ACTION_STATUSES = (DONE, NO_SUCH_INSTANCE, INVALID, IN_USE, NO_SUCH_ACTION, LEDGER_AWAY, UNFORESEEN)
EVENT_STATUSES = (DONE, NO_SUCH_INSTANCE, NO_SUCH_EVENT, INVALID, STRANGE, LEDGER_AWAY, UNFORESEEN)

_UID = re.compile(r"[0-9.]{1,64}")


class Desk(Protocol):
    """What a receiver does with storage commitment."""

    def ask(self, request: CommitmentRequest) -> Promise | None:
        """A peer asks us; returns once that is durable. None: its transaction UID is in use. Raises LedgerError."""

    def take(self, report: CommitmentReport, *, calling_ae: str) -> Outcome:
        """A destination answers us. Raises LedgerError."""


# Told of a promise, over which association it was asked for, before the answer to the request goes out.
Expect = Callable[[Association, Promise], None]


def commitment_handlers(desk: Desk, expect: Expect) -> list[EventHandlerType]:
    """The handlers of N-ACTION and N-EVENT-REPORT for a receiver, in each of which the outcome is the reply."""

    def asked(event: Event) -> tuple[Dataset, None]:
        return _answered(event, "commitment_asked", lambda: _ask(event, desk, expect))

    return [(evt.EVT_N_ACTION, asked), report_handler(desk)]


def report_handler(desk: Desk, calling_ae: str | None = None) -> EventHandlerType:
    """The handler of N-EVENT-REPORT; `calling_ae`: who reports, where it was we who opened the association."""

    def reported(event: Event) -> tuple[Dataset, None]:
        ae_title = calling_ae or proposal_of(event.assoc).calling_ae_title.strip()
        return _answered(event, "commitment_reported", lambda: _take(event, desk, ae_title))

    return evt.EVT_N_EVENT_REPORT, reported


def _ask(event: Event, desk: Desk, expect: Expect) -> Status:
    if cast("N_ACTION", event.request).RequestedSOPInstanceUID != PUSH_MODEL_INSTANCE:
        return NO_SUCH_INSTANCE
    if event.action_type != REQUEST_COMMITMENT:
        return NO_SUCH_ACTION
    proposal = proposal_of(event.assoc)
    try:
        ds = event.action_information
        request = CommitmentRequest(
            transaction_uid=_transaction_of(ds),
            references=_references_of(ds, "ReferencedSOPSequence"),
            calling_ae=proposal.calling_ae_title.strip(),
            called_ae=proposal.called_ae_title.strip(),
            peer=event.assoc.requestor.address,
        )
    except Exception:  # noqa: BLE001 - a data set that pydicom cannot read, in whatever way
        return INVALID
    if not request.references:
        return INVALID
    promise = desk.ask(request)
    if promise is None:
        return IN_USE
    expect(event.assoc, promise)
    return DONE


def _take(event: Event, desk: Desk, calling_ae: str) -> Status:
    if cast("N_EVENT_REPORT", event.request).AffectedSOPInstanceUID != PUSH_MODEL_INSTANCE:
        return NO_SUCH_INSTANCE
    if event.event_type not in (ALL_COMMITTED, SOME_FAILED):
        return NO_SUCH_EVENT
    try:
        report = _report_of(event.event_information)
    except Exception:  # noqa: BLE001 - as above
        return INVALID
    return STRANGE if desk.take(report, calling_ae=calling_ae) is Outcome.STRANGE else DONE


def _answered(event: Event, name: str, act: Callable[[], Status]) -> tuple[Dataset, None]:
    try:
        status = act()
    except LedgerError as error:
        log.error("commitment_not_kept", error=reason(error))
        status = LEDGER_AWAY
    except Exception as error:  # noqa: BLE001 - a peer gets a status whatever happens
        log.error("commitment_trouble", error=reason(error))
        status = UNFORESEEN
    level = log.info if status is DONE else log.warning
    peer = peer_of(event.assoc) if event.assoc.is_acceptor else {}
    level(name, **peer, status=f"{status.code:04X}", **({"reason": status.comment} if status.comment else {}))
    response = Dataset()
    response.Status = status.code
    if status.comment:
        response.ErrorComment = status.comment
    return response, None


def request_dataset(transaction_uid: str, references: tuple[SopReference, ...]) -> Dataset:
    """The action information of a request (PS3.4 table J.3-1)."""
    ds = Dataset()
    ds.TransactionUID = transaction_uid
    ds.ReferencedSOPSequence = [_item(each) for each in references]
    return ds


def report_dataset(report: CommitmentReport) -> Dataset:
    """The event information of a report (PS3.4 table J.3-3)."""
    ds = Dataset()
    ds.TransactionUID = report.transaction_uid
    if report.committed:
        ds.ReferencedSOPSequence = [_item(each) for each in report.committed]
    if report.failed:
        ds.FailedSOPSequence = [_item(each.reference, each.reason) for each in report.failed]
    return ds


def event_type_of(report: CommitmentReport) -> int:
    return SOME_FAILED if report.failed else ALL_COMMITTED


def _item(reference: SopReference, failure: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    if failure is not None:
        item.FailureReason = failure
    return item


def _report_of(ds: Dataset) -> CommitmentReport:
    failed = [
        Failure(reference=_reference_of(item), reason=int(item.FailureReason))
        for item in _items(ds, "FailedSOPSequence")
    ]
    return CommitmentReport(
        transaction_uid=_transaction_of(ds),
        committed=_references_of(ds, "ReferencedSOPSequence"),
        failed=tuple(failed),
    )


def _transaction_of(ds: Dataset) -> str:
    uid = str(ds.TransactionUID).strip()
    if not _UID.fullmatch(uid):
        raise ValueError("not a UID")
    return uid


def _references_of(ds: Dataset, keyword: str) -> tuple[SopReference, ...]:
    return tuple(_reference_of(item) for item in _items(ds, keyword))


def _items(ds: Dataset, keyword: str) -> Any:
    return ds.get(keyword) or ()


def _reference_of(item: Dataset) -> SopReference:
    return SopReference(
        sop_class_uid=str(item.ReferencedSOPClassUID).strip(),
        sop_instance_uid=str(item.ReferencedSOPInstanceUID).strip(),
    )
