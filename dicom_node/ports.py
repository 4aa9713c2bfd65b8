"""What the stories need from the world, as small interfaces.

The ledger's five rooms are kept by `dicom_node.ledger` (SQLite, PostgreSQL) and by the in-memory double in
`dicom_node.testing`; one contract suite runs over all of them. Every method raises LedgerError when the ledger cannot
be reached, and every time is aware (UTC).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from dicom_node.instance import Arrival, Delivery, DeliveryState, Event, Instance, PlannedDelivery, Receipt
from dicom_node.verdict import Recognition, Verdict


class When(StrEnum):
    """When a destination gets images; a series has one body part per `When` (DESIGN section 3)."""

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

    def restore(self, instance_id: int, *, now: datetime) -> None:
        """An instance whose file had gone was sent again and its file is back: note that, and make its DELIVERED and
        FAILED deliveries PENDING and due now, since whoever sends it again misses it.
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
        """Write verdict, recognition, deliveries and an event, and set SETTLED, in one transaction.

        False, and nothing written, when the instance was settled before: the first verdict stands.
        """

    def release(self, instance_ids: Sequence[int]) -> None:
        """Give unfinished claims back at once, and take the attempt back: what failed was not the instance's doing."""

    def series_value(self, *, series_uid: str, when: When, proposed: str | None) -> str | None:
        """The body part that copies of a whole series get (None: as received). The first proposal stands for good."""

    def decided_value(self, *, series_uid: str, when: When) -> str | None:
        """The body part that was decided for a series, None also where nothing is decided yet. Writes nothing."""


class Outbox(Protocol):
    """The ledger as the forwarder of one destination sees it."""

    def claim(
        self, *, destination: str, worker: str, limit: int, now: datetime, lease: timedelta
    ) -> Sequence[Delivery]:
        """Take up to `limit` PENDING deliveries of a destination whose due_at has come and that nobody holds."""

    def subject(self, delivery: Delivery) -> tuple[Instance, Verdict, Recognition | None]:
        """The instance that a delivery carries, with its verdict."""

    def delivered(self, delivery_id: int, *, sent_uid: str, written: str | None, now: datetime) -> None:
        """The destination has confirmed it. `written`: the body part that the copy was given, None for as received."""

    def postpone(self, delivery_id: int, *, error: str, due_at: datetime) -> None:
        """A transient failure: count the attempt, keep the error, try again at `due_at`."""

    def fail(self, delivery_id: int, *, error: str, now: datetime) -> None:
        """A permanent failure: FAILED until somebody requeues it."""

    def release(self, delivery_ids: Sequence[int]) -> None:
        """Give unfinished claims back at once, without counting an attempt."""

    def plan(self, instance_id: int, deliveries: Sequence[PlannedDelivery], *, now: datetime) -> int:
        """Add deliveries to a SETTLED instance, for destinations that it has none for; returns how many were added."""

    def requeue(self, *, state: DeliveryState, uids: Sequence[str], now: datetime) -> int:
        """Make deliveries in `state` (of these SOP, series or study UIDs; all when none is given) PENDING and due now.

        Returns how many. Attempts start again at zero. What waits for its study to close goes on waiting.
        """


class Studies(Protocol):
    """The ledger as the study closer sees it."""

    def quiet(self, *, since: datetime) -> Sequence[str]:
        """UIDs of open studies whose newest instance is older than `since` and whose instances are all SETTLED."""

    def settled(self, study_uid: str) -> Sequence[tuple[Instance, Verdict]]:
        """The settled instances of a study, oldest first."""

    def close(self, study_uid: str, *, since: datetime, values: Mapping[str, str | None], now: datetime) -> int | None:
        """Close a study: keep each series' value for STUDY_CLOSED (one that is there already stands), make the
        deliveries that waited for it due now, and say how many those were.

        None, and nothing written, when it is no longer quiet: an instance came at or after `since`, or one has no
        verdict yet, or the study is not open.
        """


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The figures of `status`. `pending`: instances without a verdict plus deliveries not yet made."""

    received: int
    classified: int
    forwarded: int
    pending: int
    failed: int
    abstained: int
    review: int
    unrouted: int


@dataclass(frozen=True, kw_only=True)
class DestinationCounts:
    """How one destination stands. `oldest_due`: the time at which its longest waiting delivery became due.
    `last_error`: the latest error of a delivery that has not arrived; None when there is none.
    """

    destination: str
    pending: int
    delivered: int
    failed: int
    oldest_due: datetime | None
    last_error: str | None


@dataclass(frozen=True, kw_only=True)
class InstanceRecord:
    """Everything that the ledger knows of one instance."""

    instance: Instance
    verdict: Verdict | None
    recognition: Recognition | None
    deliveries: tuple[Delivery, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, kw_only=True)
class JobRun:
    """When a periodic job last ran and will run next."""

    name: str
    last_run: datetime | None
    next_run: datetime | None


class Records(Protocol):
    """The ledger as people and monitors see it."""

    def counts(self) -> Counts:
        """received: all instances; classified: SETTLED ones; forwarded: those all of whose deliveries (one at least)
        are DELIVERED; failed: FAILED deliveries; abstained, review: instances by outcome and by decision; unrouted:
        SETTLED ones without any delivery.
        """

    def destinations(self) -> Sequence[DestinationCounts]:
        """One row per destination that has ever had a delivery, by name."""

    def oldest_received(self) -> datetime | None:
        """When the longest waiting instance without a verdict arrived."""

    def find(self, uid: str) -> Sequence[InstanceRecord]:
        """The instances with this SOP Instance, Series Instance or Study Instance UID, or of which a copy or report was
        sent under this UID; oldest first. Events: "received", "conflict", "settled", "delivered", "failed", "requeued",
        and what was noted.
        """

    def settled(self, *, after_id: int, limit: int) -> Sequence[InstanceRecord]:
        """A page of settled instances in order of id, for replaying rules over the past."""

    def retired(self, *, before: datetime, limit: int) -> Sequence[Instance]:
        """Instances received before a time whose files every one of their destinations (one at least) has."""

    def forget_file(self, instance_id: int) -> None:
        """Note that retention removed an instance's file."""

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
    def studies(self) -> Studies: ...
    @property
    def records(self) -> Records: ...

    def ready(self) -> None:
        """Raise LedgerError unless the ledger can be read and written now."""

    def close(self) -> None:
        """Let go of every connection."""
