"""The story of a promise: a peer asks us to keep objects, and is told which of them we do (storage commitment SCP)."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from dicom_node.commitment import CommitmentReport, CommitmentRequest, Promise, PromiseState, report_on
from dicom_node.errors import DeliveryError
from dicom_node.ports import Promises
from dicom_node.retry import Retry
from dicom_node.spool import Spool

log = structlog.get_logger(__name__)

AT_A_TIME = 4
# For one report over an association of our own, the slowest peer included. After a crash, it is made again then.
LEASE = timedelta(minutes=5)


class Reporter(Protocol):
    """A way to tell a peer."""

    def report(self, report: CommitmentReport) -> None:
        """Returns once the peer has confirmed the report; raises DeliveryError."""


def keep_request(request: CommitmentRequest, *, promises: Promises, held: timedelta, now: datetime) -> Promise | None:
    """Take a request in, durably; only then may the peer hear 0x0000, which says no more than that (PS3.4 J.3.2).

    For `held`, its report is left to whoever has the peer's own association. None: its transaction UID is in use.
    """
    return promises.ask(request, now=now, due_at=now + held)


def made_report(promise: Promise, *, promises: Promises, spool: Spool) -> CommitmentReport:
    """What we can say at this moment: committed is what the ledger knows and whose file is in the spool.

    An object that retention has removed, because every destination has it, is not ours to commit to any more: a peer
    that sends it again makes it so. Raises LedgerError.
    """
    classes: dict[str, set[str]] = {}
    uids = [reference.sop_instance_uid for reference in promise.references]
    for instance in promises.here(sorted(set(uids))):
        if spool.path(instance.path).is_file():
            classes.setdefault(instance.sop_instance_uid, set()).add(instance.sop_class_uid)
    return report_on(promise.transaction_uid, promise.references, lambda uid: frozenset(classes.get(uid, ())))


def fulfil(
    promise: Promise,
    *,
    promises: Promises,
    spool: Spool,
    reporters: Mapping[str, Reporter],
    retry: Retry,
    now: Callable[[], datetime],
    chance: Callable[[], float],
) -> PromiseState:
    """Tell a peer on an association of our own, and say in which state that left the promise.

    Outcomes: reported; open, with the error, to be tried again (also for a peer whose address nobody has named: that is
    put right by people); given up when the time for that is over. Telling twice after a crash is harmless.
    """
    report = made_report(promise, promises=promises, spool=spool)
    try:
        reporter = reporters.get(promise.calling_ae)
        if reporter is None:
            raise DeliveryError(
                f"nobody knows where {promise.calling_ae} takes reports: name its address in [[commitment_peers]]"
            )
        reporter.report(report)
    except DeliveryError as error:
        return _postpone(promise, str(error), promises=promises, retry=retry, now=now(), chance=chance())
    promises.reported(promise.id, now=now())
    log.info(
        "commitment_told", calling_ae=promise.calling_ae, committed=len(report.committed), failed=len(report.failed)
    )
    return PromiseState.REPORTED


def _postpone(
    promise: Promise, error: str, *, promises: Promises, retry: Retry, now: datetime, chance: float
) -> PromiseState:
    due_at = retry.next_attempt(attempts=promise.attempts + 1, planned_at=promise.asked_at, now=now, chance=chance)
    if due_at is None:
        promises.give_up(promise.id, error=error)
        log.error("commitment_given_up", calling_ae=promise.calling_ae, error=error)
        return PromiseState.GIVEN_UP
    promises.postpone(promise.id, error=error, due_at=due_at)
    log.warning("commitment_postponed", calling_ae=promise.calling_ae, error=error, due_at=due_at.isoformat())
    return PromiseState.OPEN
