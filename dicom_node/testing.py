"""A ledger in memory, for tests of whatever uses one; the suite of the real ones holds it to the same contract."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

from dicom_node.errors import LedgerError
from dicom_node.instance import (
    Arrival,
    Delivery,
    DeliveryState,
    Event,
    Instance,
    InstanceState,
    PlannedDelivery,
    Receipt,
)
from dicom_node.ports import Counts, DestinationCounts, InstanceRecord, JobRun, When
from dicom_node.verdict import Decision, Outcome, Recognition, Verdict


@dataclass(kw_only=True)
class _Shelf:
    """What the five rooms share; whoever reads or writes it holds the lock."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    instances: dict[int, Instance] = field(default_factory=dict)
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    recognitions: dict[int, Recognition] = field(default_factory=dict)
    deliveries: dict[int, Delivery] = field(default_factory=dict)
    leases: dict[int, datetime] = field(default_factory=dict)
    delivery_leases: dict[int, datetime] = field(default_factory=dict)
    newest: dict[str, datetime] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    series_values: dict[tuple[str, When], str | None] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    jobs: dict[str, JobRun] = field(default_factory=dict)
    last_errors: dict[str, str | None] = field(default_factory=dict)

    def in_state(self, state: InstanceState) -> list[Instance]:
        return _oldest_first(instance for instance in self.instances.values() if instance.state is state)

    def deliveries_of(self, instance_id: int) -> list[Delivery]:
        return [delivery for delivery in self.deliveries.values() if delivery.instance_id == instance_id]

    def everywhere(self, instance: Instance) -> bool:
        """Whether it has deliveries, and all of them are made."""
        states = {delivery.state for delivery in self.deliveries_of(instance.id)}
        return states == {DeliveryState.DELIVERED}

    def is_waiting(self, study_uid: str) -> bool:
        return any(instance.study_uid == study_uid for instance in self.in_state(InstanceState.RECEIVED))


class _Room:
    def __init__(self, shelf: _Shelf) -> None:
        self._shelf = shelf


class _Intake(_Room):
    def find(self, sop_instance_uid: str, digest: str) -> Instance | None:
        with self._shelf.lock:
            here = (one for one in self._shelf.instances.values() if one.sop_instance_uid == sop_instance_uid)
            return next((one for one in here if one.digest == digest), None)

    def add(self, arrival: Arrival) -> Receipt:
        shelf = self._shelf
        with shelf.lock:
            here = self.find(arrival.sop_instance_uid, arrival.digest)
            if here is not None:
                return Receipt(instance=here, duplicate=True)
            conflict = any(one.sop_instance_uid == arrival.sop_instance_uid for one in shelf.instances.values())
            key = len(shelf.instances) + 1
            instance = Instance(**asdict(arrival), id=key, state=InstanceState.RECEIVED, conflict=conflict)
            shelf.instances[key] = instance
            shelf.newest[arrival.study_uid] = max(
                arrival.received_at, shelf.newest.get(arrival.study_uid, arrival.received_at)
            )
            shelf.closed.discard(arrival.study_uid)
            if conflict:
                shelf.events.append(Event(kind="conflict", at=arrival.received_at, instance_id=key))
            return Receipt(instance=instance, duplicate=False)


class _Work(_Room):
    def claim(self, *, worker: str, limit: int, now: datetime, lease: timedelta) -> Sequence[Instance]:  # noqa: ARG002
        shelf = self._shelf
        with shelf.lock:
            free = [one for one in shelf.in_state(InstanceState.RECEIVED) if _is_free(shelf.leases, one.id, now)]
            taken = [replace(one, attempts=one.attempts + 1) for one in free[:limit]]
            for instance in taken:
                shelf.instances[instance.id] = instance
                shelf.leases[instance.id] = now + lease
            return taken

    def settle(
        self,
        instance_id: int,
        verdict: Verdict,
        *,
        recognition: Recognition | None,
        deliveries: Sequence[PlannedDelivery],
    ) -> bool:
        shelf = self._shelf
        with shelf.lock:
            instance = shelf.instances.get(instance_id)
            if instance is None or instance.state is InstanceState.SETTLED:
                return False
            if len({plan.destination for plan in deliveries}) < len(deliveries):
                raise LedgerError("An instance goes to a destination once.")
            shelf.instances[instance_id] = replace(instance, state=InstanceState.SETTLED)
            shelf.verdicts[instance_id] = verdict
            if recognition is not None:
                shelf.recognitions[instance_id] = recognition
            for plan in sorted(deliveries, key=lambda plan: plan.destination):
                self._plan(instance_id, plan, verdict.decided_at)
            shelf.events.append(
                Event(kind="settled", at=verdict.decided_at, instance_id=instance_id, detail=verdict.decision.value)
            )
            return True

    def _plan(self, instance_id: int, plan: PlannedDelivery, now: datetime) -> None:
        key = len(self._shelf.deliveries) + 1
        self._shelf.last_errors.setdefault(plan.destination, None)
        self._shelf.deliveries[key] = Delivery(
            id=key,
            instance_id=instance_id,
            destination=plan.destination,
            state=DeliveryState.PENDING,
            planned_at=now,
            due_at=plan.due_at,
        )

    def release(self, instance_ids: Sequence[int]) -> None:
        with self._shelf.lock:
            for instance_id in instance_ids:
                self._shelf.leases.pop(instance_id, None)

    def series_value(self, *, series_uid: str, when: When, proposed: str | None) -> str | None:
        with self._shelf.lock:
            return self._shelf.series_values.setdefault((series_uid, when), proposed)


class _Outbox(_Room):
    def claim(
        self,
        *,
        destination: str,
        worker: str,  # noqa: ARG002 - nobody asks who it was
        limit: int,
        now: datetime,
        lease: timedelta,
    ) -> Sequence[Delivery]:
        shelf = self._shelf
        with shelf.lock:
            due = [
                (one.due_at, one.id)
                for one in shelf.deliveries.values()
                if one.destination == destination
                and one.state is DeliveryState.PENDING
                and one.due_at is not None
                and one.due_at <= now
                and _is_free(shelf.delivery_leases, one.id, now)
            ]
            ids = [key for _, key in sorted(due)[:limit]]
            shelf.delivery_leases.update(dict.fromkeys(ids, now + lease))
            return [shelf.deliveries[key] for key in ids]

    def subject(self, delivery: Delivery) -> tuple[Instance, Verdict, Recognition | None]:
        key = delivery.instance_id
        with self._shelf.lock:
            if key not in self._shelf.verdicts:
                raise LedgerError("The ledger holds no settled instance for this delivery: is it another node's?")
            return self._shelf.instances[key], self._shelf.verdicts[key], self._shelf.recognitions.get(key)

    def delivered(self, delivery_id: int, *, sent_uid: str, now: datetime) -> None:
        with self._shelf.lock:
            one = self._shelf.deliveries.get(delivery_id)
            if one is None or one.state is DeliveryState.DELIVERED:
                return
            self._shelf.deliveries[delivery_id] = replace(
                one, state=DeliveryState.DELIVERED, delivered_at=now, sent_uid=sent_uid, attempts=one.attempts + 1
            )
            self._shelf.delivery_leases.pop(delivery_id, None)
            self._shelf.last_errors[one.destination] = None

    def postpone(self, delivery_id: int, *, error: str, due_at: datetime) -> None:
        with self._shelf.lock:
            if self._count_failure(delivery_id, error):
                self._shelf.deliveries[delivery_id] = replace(self._shelf.deliveries[delivery_id], due_at=due_at)

    def fail(self, delivery_id: int, *, error: str) -> None:
        with self._shelf.lock:
            if self._count_failure(delivery_id, error):
                one = self._shelf.deliveries[delivery_id]
                self._shelf.deliveries[delivery_id] = replace(one, state=DeliveryState.FAILED)

    def _count_failure(self, delivery_id: int, error: str) -> bool:
        one = self._shelf.deliveries.get(delivery_id)
        if one is None or one.state is not DeliveryState.PENDING:
            return False
        self._shelf.deliveries[delivery_id] = replace(one, attempts=one.attempts + 1, last_error=error)
        self._shelf.delivery_leases.pop(delivery_id, None)
        self._shelf.last_errors[one.destination] = error
        return True

    def release(self, delivery_ids: Sequence[int]) -> None:
        with self._shelf.lock:
            for delivery_id in delivery_ids:
                self._shelf.delivery_leases.pop(delivery_id, None)

    def requeue(self, *, state: DeliveryState, uids: Sequence[str], now: datetime) -> int:
        with self._shelf.lock:
            chosen = [one for one in self._shelf.deliveries.values() if one.state is state]
            if uids:
                chosen = [one for one in chosen if not _uids(self._shelf.instances[one.instance_id]).isdisjoint(uids)]
            for one in chosen:
                self._shelf.deliveries[one.id] = Delivery(
                    id=one.id,
                    instance_id=one.instance_id,
                    destination=one.destination,
                    state=DeliveryState.PENDING,
                    planned_at=now,
                    due_at=now,
                )
            return len(chosen)


class _Studies(_Room):
    def quiet(self, *, since: datetime) -> Sequence[str]:
        shelf = self._shelf
        with shelf.lock:
            candidates = sorted((at, uid) for uid, at in shelf.newest.items() if at < since)
            return [uid for _, uid in candidates if uid not in shelf.closed and not shelf.is_waiting(uid)]

    def settled(self, study_uid: str) -> Sequence[tuple[Instance, Verdict]]:
        shelf = self._shelf
        with shelf.lock:
            found = shelf.in_state(InstanceState.SETTLED)
            return [(one, shelf.verdicts[one.id]) for one in found if one.study_uid == study_uid]

    def close(self, study_uid: str, *, values: Mapping[str, str | None], now: datetime) -> int:
        shelf = self._shelf
        with shelf.lock:
            if study_uid not in shelf.newest or study_uid in shelf.closed or shelf.is_waiting(study_uid):
                return 0
            for series_uid, value in values.items():
                shelf.series_values.setdefault((series_uid, When.STUDY_CLOSED), value)
            shelf.closed.add(study_uid)
            held_back = [
                one
                for one in shelf.deliveries.values()
                if one.due_at is None
                and one.state is DeliveryState.PENDING
                and shelf.instances[one.instance_id].study_uid == study_uid
            ]
            for one in held_back:
                shelf.deliveries[one.id] = replace(one, due_at=now)
            return len(held_back)


class _Records(_Room):
    def counts(self) -> Counts:
        shelf = self._shelf
        with shelf.lock:
            settled = shelf.in_state(InstanceState.SETTLED)
            states = [one.state for one in shelf.deliveries.values()]
            verdicts = shelf.verdicts.values()
            return Counts(
                received=len(shelf.instances),
                classified=len(settled),
                forwarded=sum(shelf.everywhere(one) for one in settled),
                pending=len(shelf.instances) - len(settled) + states.count(DeliveryState.PENDING),
                failed=states.count(DeliveryState.FAILED),
                abstained=sum(one.outcome is Outcome.ABSTAINED for one in verdicts),
                review=sum(one.decision is Decision.REVIEW for one in verdicts),
            )

    def destinations(self) -> Sequence[DestinationCounts]:
        with self._shelf.lock:
            return [self._destination(name) for name in sorted(self._shelf.last_errors)]

    def _destination(self, name: str) -> DestinationCounts:
        ways = [one for one in self._shelf.deliveries.values() if one.destination == name]
        states = [one.state for one in ways]
        waiting = [one.due_at for one in ways if one.state is DeliveryState.PENDING and one.due_at is not None]
        return DestinationCounts(
            destination=name,
            pending=states.count(DeliveryState.PENDING),
            delivered=states.count(DeliveryState.DELIVERED),
            failed=states.count(DeliveryState.FAILED),
            oldest_due=min(waiting, default=None),
            last_error=self._shelf.last_errors[name],
        )

    def oldest_received(self) -> datetime | None:
        with self._shelf.lock:
            waiting = self._shelf.in_state(InstanceState.RECEIVED)
            return waiting[0].received_at if waiting else None

    def find(self, uid: str) -> Sequence[InstanceRecord]:
        with self._shelf.lock:
            found = _oldest_first(one for one in self._shelf.instances.values() if uid in _uids(one))
            return [self._record(instance) for instance in found]

    def settled(self, *, after_id: int, limit: int) -> Sequence[InstanceRecord]:
        with self._shelf.lock:
            later = [one for key, one in sorted(self._shelf.instances.items()) if key > after_id]
            page = [one for one in later if one.state is InstanceState.SETTLED][:limit]
            return [self._record(instance) for instance in page]

    def retired(self, *, before: datetime, limit: int) -> Sequence[Instance]:
        with self._shelf.lock:
            old = (one for one in self._shelf.instances.values() if one.spooled and one.received_at < before)
            return _oldest_first(one for one in old if self._shelf.everywhere(one))[:limit]

    def forget_file(self, instance_id: int) -> None:
        with self._shelf.lock:
            if instance_id in self._shelf.instances:
                self._shelf.instances[instance_id] = replace(self._shelf.instances[instance_id], spooled=False)

    def note(self, event: Event) -> None:
        with self._shelf.lock:
            if event.instance_id is not None and event.instance_id not in self._shelf.instances:
                raise LedgerError("The ledger holds no instance of this number.")
            self._shelf.events.append(event)

    def job_ran(self, run: JobRun) -> None:
        with self._shelf.lock:
            self._shelf.jobs[run.name] = run

    def jobs(self) -> Sequence[JobRun]:
        with self._shelf.lock:
            return [run for _, run in sorted(self._shelf.jobs.items())]

    def _record(self, instance: Instance) -> InstanceRecord:
        key = instance.id
        return InstanceRecord(
            instance=instance,
            verdict=self._shelf.verdicts.get(key),
            recognition=self._shelf.recognitions.get(key),
            deliveries=tuple(self._shelf.deliveries_of(key)),
            events=tuple(event for event in self._shelf.events if event.instance_id == key),
        )


class MemoryLedger:
    """Implements `dicom_node.ports.Ledger` without a database; safe for threads, gone with the process."""

    def __init__(self) -> None:
        shelf = _Shelf()
        self.intake = _Intake(shelf)
        self.work = _Work(shelf)
        self.outbox = _Outbox(shelf)
        self.studies = _Studies(shelf)
        self.records = _Records(shelf)

    def ready(self) -> None:
        """Memory is always there."""

    def close(self) -> None:
        """There is nothing to let go of."""


def _is_free(leases: Mapping[int, datetime], key: int, now: datetime) -> bool:
    return key not in leases or leases[key] <= now


def _oldest_first(instances: Iterable[Instance]) -> list[Instance]:
    return sorted(instances, key=lambda instance: (instance.received_at, instance.id))


def _uids(instance: Instance) -> frozenset[str]:
    return frozenset({instance.sop_instance_uid, instance.series_uid, instance.study_uid})
