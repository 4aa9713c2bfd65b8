"""The story of a promise: a peer asks us to keep objects, and is told which of them we do (storage commitment SCP)."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from dicom_node.commitment import CommitmentReport, CommitmentRequest, Promise, report_on
from dicom_node.errors import DeliveryError
from dicom_node.ports import Promises
from dicom_node.retry import Retry
from dicom_node.soundness import is_surely_sound
from dicom_node.spool import Spool

log = structlog.get_logger(__name__)

AT_A_TIME = 4
# For one report over an association of our own, the slowest peer included. After a crash, it is made again then.
LEASE = timedelta(minutes=5)
# After which a request that was given up is forgotten.
FORGET_AFTER = timedelta(days=30)


class Reporter(Protocol):
    """A way to tell a peer."""

    def report(self, report: CommitmentReport) -> None:
        """Returns once the peer has confirmed the report; raises DeliveryError."""


def keep_request(request: CommitmentRequest, *, promises: Promises, held: timedelta, now: datetime) -> Promise | None:
    """Take a request in, durably; only then may the peer hear 0x0000, which says no more than that (PS3.4 J.3.2).

    For `held`, its report is left to whoever has the peer's own association. None: its transaction UID is in use.
    """
    return promises.ask(request, now=now, due_at=now + held)


def made_report(promise: Promise, *, promises: Promises, spool: Spool) -> CommitmentReport | None:
    """The report for a peer that has kept its association open; None where it has been told meanwhile. For the time
    that reading and telling take, nobody else tells it. Raises as `report_of`.
    """
    until = promise.due_at + LEASE
    if not promises.extend(promise.id, until=until):
        return None
    report = report_of(promise, promises=promises, spool=spool)
    return report if promises.extend(promise.id, until=until) else None


def report_of(promise: Promise, *, promises: Promises, spool: Spool) -> CommitmentReport:
    """What we can say at this moment: committed is what the ledger knows and whose file is in the spool, undamaged.
    Each is read as a whole for that, since its sender may delete it now. A request names UIDs and no contents: of a UID
    that several bear, all have to be here and sound, for nobody knows which of them the sender would delete.

    An object that retention has removed, because every destination has it, is not ours to commit to any more: a peer
    that sends it again makes it so. Raises LedgerError, and OutOfResourcesError while the spool is away: a final "no
    such object" for want of a disk would be a lie.
    """
    spool.check_here()
    classes: dict[str, set[str]] = {}
    damaged: set[str] = set()
    uids = [reference.sop_instance_uid for reference in promise.references]
    for instance in promises.here(sorted(set(uids))):
        if instance.spooled and is_surely_sound(spool.path(instance.path), instance.digest):
            classes.setdefault(instance.sop_instance_uid, set()).add(instance.sop_class_uid)
        else:
            damaged.add(instance.sop_instance_uid)
    spool.check_here()  # reading takes its time, in which a disk may go
    kept = {uid: frozenset(of_uid) for uid, of_uid in classes.items() if uid not in damaged}
    return report_on(promise.transaction_uid, promise.references, lambda uid: kept.get(uid, frozenset()))


@dataclass(kw_only=True)
class Telling:
    """Tells peers on associations of our own, each of them one thing after another: one that is away costs one attempt,
    however much it is to be told. `failures`: how often in a row each could not be told, from round to round.
    """

    promises: Promises
    spool: Spool
    reporters: Mapping[str, Reporter]
    retry: Retry
    now: Callable[[], datetime]
    chance: Callable[[], float]
    failures: Counter[str] = field(default_factory=Counter)

    def claim(self) -> Sequence[Sequence[Promise]]:
        """What is due, the promises of each peer together."""
        of_peers: dict[str, list[Promise]] = {}
        for promise in self.promises.claim(limit=AT_A_TIME, now=self.now(), lease=LEASE):
            of_peers.setdefault(promise.calling_ae, []).append(promise)
        return list(of_peers.values())

    def tell(self, of_a_peer: Sequence[Promise]) -> None:
        """Tell a peer of these, one after the other, until that fails.

        Outcomes of each: reported, also when somebody else has told it meanwhile; open, with the error, to be tried
        again (also for a peer whose address nobody has named: that is put right by people); given up when the time for
        that is over. Where one fails, the peer is left alone for a while. Telling twice after a crash is harmless.
        """
        for number, promise in enumerate(of_a_peer):
            try:
                report = self._report(promise)
            except DeliveryError as error:
                self._postpone(promise, of_a_peer[number + 1 :], str(error))
                return
            if report is None:
                continue
            self.failures.pop(promise.calling_ae, None)
            self.promises.reported(promise.id, now=self.now())
            committed, failed = len(report.committed), len(report.failed)
            log.info("commitment_told", calling_ae=promise.calling_ae, committed=committed, failed=failed)

    def _report(self, promise: Promise) -> CommitmentReport | None:
        reporter = self.reporters.get(promise.calling_ae)
        if reporter is None:
            raise DeliveryError(
                f"nobody knows where {promise.calling_ae} takes reports: name its address in [[commitment_peers]]"
            )
        report = report_of(promise, promises=self.promises, spool=self.spool)
        # Reading took its time, and so did the promises before it.
        if not self.promises.extend(promise.id, until=self.now() + LEASE):
            return None
        reporter.report(report)
        return report

    def _postpone(self, promise: Promise, others: Sequence[Promise], error: str) -> None:
        """The peer pauses by its own failures, the promise by its own: one that the peer refuses holds up no other."""
        peer, now, chance = promise.calling_ae, self.now(), self.chance()
        self.failures[peer] += 1
        due_at = now + self.retry.pause(attempts=promise.attempts + 1, chance=chance)
        self.promises.postpone(promise.id, error=error, due_at=due_at)
        for other in others:
            self.promises.hand_on(other.id, due_at=now)
        self.promises.hold(peer, until=now + self.retry.pause(attempts=self.failures[peer], chance=chance))
        log.warning("commitment_postponed", calling_ae=peer, error=error, due_at=due_at.isoformat())
        over = self.retry.over(now)
        # All that is over, tried or not: new requests of a peer that is away come before old ones have had their turn.
        if over is not None and (count := self.promises.give_up(peer, asked_by=over, error=error)):
            log.error("commitment_given_up", calling_ae=peer, error=error, requests=count)
