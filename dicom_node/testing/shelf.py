"""What the rooms of a ledger in memory share."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from dicom_node.commitment import Promise, SopReference
from dicom_node.instance import REPORT_ALONE, Delivery, DeliveryState, Event, Instance, InstanceState, PlannedDelivery
from dicom_node.label import Label
from dicom_node.ports import When
from dicom_node.record import JobRun
from dicom_node.verdict import Recognition, Verdict


@dataclass(kw_only=True)
class Shelf:
    """What the rooms share; whoever reads or writes it holds the lock."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    instances: dict[int, Instance] = field(default_factory=dict)
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    recognitions: dict[int, Recognition] = field(default_factory=dict)
    deliveries: dict[int, Delivery] = field(default_factory=dict)
    leases: dict[int, datetime] = field(default_factory=dict)
    delivery_leases: dict[int, datetime] = field(default_factory=dict)
    newest: dict[str, datetime] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    # By Study and Series Instance UID.
    series_values: dict[tuple[str, str, When], str | None] = field(default_factory=dict)
    # Who has them in hand, as long as they are leased.
    holders: dict[int, str] = field(default_factory=dict)
    delivery_holders: dict[int, str] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    let_go: set[int] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    jobs: dict[str, JobRun] = field(default_factory=dict)
    # The errors of deliveries that are not made, by delivery, the latest last.
    troubles: dict[int, str] = field(default_factory=dict)
    # Of SENT deliveries: what they consisted of, and the transactions that ask for them, the latest last.
    sent: dict[int, list[SopReference]] = field(default_factory=dict)
    asked: dict[int, list[str]] = field(default_factory=dict)
    # Transaction UID -> its destination, and whether it was answered.
    transactions: dict[str, str] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    promises: dict[int, Promise] = field(default_factory=dict)
    labels: dict[int, list[Label]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    def in_state(self, state: InstanceState) -> list[Instance]:
        return oldest_first(instance for instance in self.instances.values() if instance.state is state)

    def deliveries_of(self, instance_id: int) -> list[Delivery]:
        return [delivery for delivery in self.deliveries.values() if delivery.instance_id == instance_id]

    def enqueue(
        self, instance_id: int, planned: Sequence[PlannedDelivery], *, now: datetime, closing_ahead: bool
    ) -> int:
        """Add deliveries for new destinations; unless a closing is ahead, `now` takes the place of a due_at of None."""
        known = {delivery.destination for delivery in self.deliveries_of(instance_id)}
        first = {plan.destination: plan for plan in reversed(planned) if plan.destination not in known}
        for _, plan in sorted(first.items()):
            due_at = plan.due_at if closing_ahead else plan.due_at or now
            self._put(len(self.deliveries) + 1, instance_id, plan.destination, due_at=due_at, now=now)
        return len(first)

    def begin_anew(self, delivery: Delivery, now: datetime) -> None:
        """Make it as if it had just been planned, and due at once; whoever is sending it keeps it."""
        self.troubles.pop(delivery.id, None)
        self._put(delivery.id, delivery.instance_id, delivery.destination, due_at=now, now=now)

    def trouble(self, delivery_id: int, error: str) -> None:
        """Keep an error, as the latest of its destination."""
        self.deliveries[delivery_id] = replace(self.deliveries[delivery_id], last_error=error)
        self.troubles.pop(delivery_id, None)
        self.troubles[delivery_id] = error

    def note_way(self, kind: str, delivery: Delivery, now: datetime) -> None:
        """An event of a delivery."""
        event = Event(kind=kind, at=now, instance_id=delivery.instance_id, detail=delivery.destination)
        self.events.append(event)

    def _put(self, key: int, instance_id: int, destination: str, *, due_at: datetime | None, now: datetime) -> None:
        self.deliveries[key] = Delivery(
            id=key,
            instance_id=instance_id,
            destination=destination,
            state=DeliveryState.PENDING,
            planned_at=now,
            due_at=due_at,
        )

    def everywhere(self, instance: Instance) -> bool:
        """Whether it has deliveries, and all of them are made."""
        states = {delivery.state for delivery in self.deliveries_of(instance.id)}
        return states == {DeliveryState.DELIVERED}

    def others(self, instance: Instance) -> list[Instance]:
        """Those with the same UID and other contents that nobody has let go."""
        same = (one for one in self.instances.values() if one.sop_instance_uid == instance.sop_instance_uid)
        return [one for one in same if one.id != instance.id and one.id not in self.let_go]

    def is_conflicting(self, instance: Instance) -> bool:
        return instance.id not in self.let_go and bool(self.others(instance))

    def may_go(self, instance: Instance) -> bool:
        """Whether that is so, it has its verdict, one of them was the image itself, and no other has its UID."""
        if instance.state is not InstanceState.SETTLED or self.is_conflicting(instance):
            return False
        if not self.everywhere(instance):
            return False
        return any(way.sent_uid and way.written != REPORT_ALONE for way in self.deliveries_of(instance.id))

    def is_open(self, study_uid: str) -> bool:
        return study_uid in self.newest and study_uid not in self.closed

    def is_waiting(self, study_uid: str) -> bool:
        return any(instance.study_uid == study_uid for instance in self.in_state(InstanceState.RECEIVED))


class Room:
    """One of the rooms."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf


def is_free(leases: Mapping[int, datetime], key: int, now: datetime) -> bool:
    return key not in leases or leases[key] <= now


def oldest_first(instances: Iterable[Instance]) -> list[Instance]:
    return sorted(instances, key=age)


def age(instance: Instance) -> tuple[datetime, int]:
    return instance.received_at, instance.id


def uids_of(instance: Instance) -> frozenset[str]:
    """What it may be asked for by; images that lack a UID do not share one."""
    return frozenset({instance.sop_instance_uid, instance.series_uid, instance.study_uid}) - {""}
