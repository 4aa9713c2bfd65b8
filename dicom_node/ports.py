"""What the stories need from the world, as small interfaces.

The ledger's ten rooms are kept by `dicom_node.ledger` (SQLite, PostgreSQL), in memory by `dicom_node.testing`; one
contract suite runs over all. Every method raises LedgerError while the ledger is away; every time is aware (UTC).
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from dicom_node.closing import Studies
from dicom_node.commitment import CommitmentReport, CommitmentRequest, Outcome, Promise, SopReference
from dicom_node.instance import Arrival, Delivery, DeliveryState, Done, Event, Instance, PlannedDelivery, Receipt
from dicom_node.label import Labels
from dicom_node.record import Counts, DestinationCounts, InstanceRecord, JobRun
from dicom_node.repair import Repairs
from dicom_node.standing import Standings
from dicom_node.verdict import Recognition, Verdict


class When(StrEnum):
    """When a destination gets images; a series has one body part per `When`."""

    AT_ONCE = "at_once"
    STUDY_CLOSED = "study_closed"


class Intake(Protocol):
    """The ledger as the receiver sees it."""

    def find(self, sop_instance_uid: str, digest: str) -> Instance | None:
        """The instance with this UID and this very content, if it is here."""

    def add(self, arrival: Arrival) -> Receipt:
        """Commit an arrival in state RECEIVED, durably, before returning; re-open its study if that was closed.

        The same UID and digest again gives the instance that is here, as a duplicate, also when two receivers race.
        The same UID with another digest is a new instance with `conflict` set, and an event of kind "conflict".
        """

    def restore(self, instance_id: int, *, path: str, now: datetime, resend: bool = True) -> None:
        """An instance's file had gone and is back, at `path`: note that, and make its FAILED deliveries PENDING and due
        now; with `resend` the SENT and DELIVERED ones too, since whoever sends it again misses it, and the time for
        which it is kept begins anew; without, it is `unasked`. One that was settled as unreadable, without its file
        that is, becomes RECEIVED again, and its study is open: it keeps that verdict until the next. One that was let
        go is so no more with `resend`; without, it stays so, and nothing of it is sent.
        """


class Work(Protocol):
    """The ledger as the classifier sees it."""

    def claim(self, *, worker: str, limit: int, now: datetime, lease: timedelta) -> Sequence[Instance]:
        """Take up to `limit` RECEIVED instances, oldest first, that nobody holds (or whose lease has run out).
        Each is leased to `worker` until now + lease and has its attempts counted up. Two workers never get the same.
        """

    def settle(
        self,
        instance_id: int,
        verdict: Verdict,
        *,
        recognition: Recognition | None,
        deliveries: Sequence[PlannedDelivery],
    ) -> bool:
        """Write verdict, recognition, deliveries and an event, and set SETTLED, in one transaction. Of an earlier
        verdict without its file (`Intake.restore`), PENDING deliveries to the same destinations get the times of these.
        False, and nothing written, when the instance was settled before: the first verdict stands.
        """

    def release(self, instance_ids: Sequence[int], *, worker: str) -> None:
        """Give a worker's own unfinished claims back at once, and their attempts: it was not the instances' doing."""

    def series_value(self, *, study_uid: str, series_uid: str, when: When, proposed: str | None) -> str | None:
        """The body part that copies of a whole series get (None: as received). The first proposal stands for good.

        A series is one of its study: there are digitisers that give all that they ever send one Series Instance UID.
        Images that lack one of the two UIDs share nothing.
        """

    def decided_value(self, *, study_uid: str, series_uid: str, when: When) -> str | None:
        """The body part that was decided for a series, None also where nothing is decided yet. Writes nothing."""


class Outbox(Protocol):
    """The ledger as the forwarder of one destination sees it."""

    def claim(
        self, *, destination: str, worker: str, limit: int, now: datetime, lease: timedelta
    ) -> Sequence[Delivery]:
        """Take up to `limit` PENDING deliveries of SETTLED instances whose due_at has come and that nobody holds."""

    def subject(self, delivery: Delivery) -> tuple[Instance, Verdict, Recognition | None]:
        """The instance that a delivery carries, with its verdict."""

    def delivered(self, delivery_id: int, *, sent_uid: str, written: str | None, now: datetime) -> None:
        """The destination has confirmed it. `written`: the body part that the copy was given, None for as received. An
        instance that was let go meanwhile is so no more, which is told as a "conflict".
        """

    def delivered_together(self, done: Sequence[Done]) -> None:
        """As `delivered` for each of them, in one transaction."""

    def sent(
        self, delivery_id: int, *, objects: Sequence[SopReference], written: str | None, now: datetime, ask_at: datetime
    ) -> None:
        """The destination has taken these objects, in this order, and is to be asked from `ask_at`
        on to commit itself to keep them: SENT. What it was asked of an earlier sending counts no more. An instance that
        was let go meanwhile: as by `delivered`.
        """

    def postpone(self, delivery_id: int, *, error: str, planned_at: datetime, due_at: datetime) -> None:
        """A transient failure: count the attempt, keep error and times (patience counts from the first), try again."""

    def fail(self, delivery_id: int, *, error: str, now: datetime) -> None:
        """A permanent failure: FAILED until somebody requeues it."""

    def release(self, delivery_ids: Sequence[int], *, worker: str) -> None:
        """Give a worker's own unfinished claims back at once, without counting an attempt."""

    def plan(self, instance_id: int, deliveries: Sequence[PlannedDelivery], *, now: datetime) -> int:
        """Add deliveries to a SETTLED instance that was not let go, for destinations that it has none for; returns how
        many were added.
        """

    def requeue(
        self, *, state: DeliveryState, uids: Sequence[str], now: datetime, destinations: Sequence[str] | None = None
    ) -> int:
        """Make deliveries in `state` (of these SOP, series or study UIDs; to these destinations) PENDING and due now,
        as new, and say how many. Not what waits for a closing, unless UIDs are given; nor of what was let go; nor,
        but if PENDING, gone files.
        """

    def give_up(self, destination: str, *, error: str, now: datetime) -> int:
        """Make a destination's PENDING and SENT deliveries FAILED with this error, with events of kind "given_up";
        returns how many. What a worker is just sending stays in its hands, and counts as delivered if it arrives.
        """


class Commitments(Protocol):
    """The ledger as whoever asks destinations for their commitment sees it (storage commitment SCU)."""

    def begin(
        self, *, destination: str, transaction_uid: str, limit: int, now: datetime, ask_again_at: datetime
    ) -> Sequence[SopReference]:
        """Put up to `limit` SENT deliveries whose time has come under a new transaction; returns all their objects.
        Each is asked for again at `ask_again_at`, unless one of its first and its LATEST_ASKED latest transactions is
        answered before; asked again, it gets the error that no answer came. Nothing due: nothing is written.
        """

    def postpone(self, transaction_uid: str, *, error: str, due_at: datetime) -> None:
        """The request was not taken: forget it, keep the error, and ask for the same deliveries anew at `due_at`."""

    def take(
        self, report: CommitmentReport, *, destinations: Sequence[str], now: datetime, most_refusals: int
    ) -> Outcome:
        """What a destination that is one of these says. SENT deliveries of the transaction, all of whose objects are
        committed: DELIVERED, also when meanwhile they were asked for again. Others, unless they were: PENDING and due
        now, or FAILED when that was denied `most_refusals` times. All in one transaction. The same transaction
        again is KNOWN; another's, or none of ours, STRANGE.
        """

    def waive(self, destination: str, *, now: datetime) -> int:
        """A destination is no longer asked to commit itself: its SENT deliveries are DELIVERED. Returns how many."""


class Promises(Protocol):
    """The ledger as the storage commitment SCP sees it: what peers ask us to keep, and have to be told."""

    def ask(self, request: CommitmentRequest, *, now: datetime, due_at: datetime) -> Promise | None:
        """Keep a request, durably. While it is OPEN the same again changes nothing, others give None; then anew."""

    def claim(self, *, limit: int, now: datetime, lease: timedelta) -> Sequence[Promise]:
        """Take up to `limit` due OPEN promises, longest due, then least tried first, due again at now + lease."""

    def here(self, sop_instance_uids: Sequence[str]) -> Sequence[Instance]:
        """The instances with these SOP Instance UIDs whose files ought to be in the spool: lost ones are among them,
        and, of a UID of which another content is here, those that retention has removed, unless they were let go.
        """

    def reported(self, promise_id: int, *, now: datetime) -> None:
        """The peer has confirmed our report."""

    def postpone(self, promise_id: int, *, error: str, due_at: datetime) -> None:
        """Count an attempt that failed, keep the error, and report again at `due_at`."""

    def hand_on(self, promise_id: int, *, due_at: datetime) -> None:
        """Report at `due_at` instead; no attempt is counted."""

    def extend(self, promise_id: int, *, until: datetime) -> bool:
        """Whether it is OPEN; if so, somebody is just telling its peer, and nobody else shall before `until`."""

    def hold(self, calling_ae: str, *, until: datetime) -> None:
        """Report nothing to this peer before `until` of what is due by then; no attempt is counted."""

    def give_up(self, calling_ae: str, *, asked_by: datetime, error: str) -> int:
        """No more attempts on what this peer asked for by then, whose objects are forgotten. Returns how many."""

    def forget(self, *, before: datetime) -> int:
        """Forget what is GIVEN_UP and was asked for before this time. Returns how many."""

    def unreported(self) -> Sequence[Promise]:
        """The latest MOST_SHOWN of those that their peers have not heard of, OPEN or GIVEN_UP, oldest first."""


class Records(Protocol):
    """The ledger as people and monitors see it."""

    def counts(self) -> Counts:
        """received: all instances; classified: SETTLED ones; forwarded: those all of whose deliveries (one at least)
        are DELIVERED; failed: FAILED deliveries; abstained, review: instances by outcome and by decision; unrouted:
        SETTLED ones without any delivery; lost: those whose file is gone though nobody removed it; uncommitted: SENT
        deliveries; unreported: promises that are not REPORTED.
        """

    def is_empty(self) -> bool:
        """Whether no instance was ever received."""

    def destinations(self) -> Sequence[DestinationCounts]:
        """One row per destination that has ever had a delivery, by name."""

    def oldest_received(self) -> datetime | None:
        """When the longest waiting instance without a verdict arrived."""

    def find(self, uid: str) -> Sequence[InstanceRecord]:
        """The instances with this SOP Instance, Series Instance or Study Instance UID, or of which a copy or report was
        sent under this UID; oldest first. Events: "received", "conflict", "settled", "review" (by its series' closing),
        "sent", "uncommitted" (denied, and to be sent again), "delivered", "failed", "given_up", "requeued", and what
        was noted.
        """

    def settled(self, *, after_id: int, limit: int) -> Sequence[InstanceRecord]:
        """A page of settled instances in order of id, for replaying rules over the past."""

    def retired(self, *, before: datetime, limit: int, after: Instance | None = None) -> Sequence[Instance]:
        """A page of the instances that were last sent before a time, whose image every destination (one at least) has
        and whose UID no other content bears that was not let go; the first to arrive first.
        """

    def retire(self, instance_id: int, *, remove: Callable[[str], None], now: datetime) -> bool:
        """Have the file at an instance's path removed (its OSError comes out), and note an event of kind "retired".
        False, nothing done, unless it is here and all destinations (one at least) have it. Meanwhile nobody resends it.
        """

    def let_go(self, instance_id: int, *, remove: Callable[[str], None], now: datetime) -> bool:
        """As `retire`, whoever has it, for a settled instance with whose UID there are other contents; what is not
        DELIVERED of it is LET_GO, and the time for which those are kept begins anew. False, nothing done, unless one of
        them is neither lost nor let go. BeingSentError, nothing done, while a delivery of it is leased.
        """

    def note(self, event: Event) -> None:
        """Keep an event."""

    def job_ran(self, run: JobRun) -> None:
        """Keep the latest run of a periodic job, for `status`."""

    def jobs(self) -> Sequence[JobRun]:
        """The periodic jobs, by name."""


class Ledger(Protocol):
    """The whole ledger; the rooms share one database."""

    @property
    def intake(self) -> Intake: ...
    @property
    def work(self) -> Work: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def commitments(self) -> Commitments: ...
    @property
    def promises(self) -> Promises: ...
    @property
    def studies(self) -> Studies: ...
    @property
    def labels(self) -> Labels: ...
    @property
    def records(self) -> Records: ...
    @property
    def standings(self) -> Standings: ...
    @property
    def repairs(self) -> Repairs: ...

    def ready(self) -> None:
        """Raise LedgerError unless the ledger can be read and written now."""

    def close(self) -> None:
        """Let go of every connection."""
