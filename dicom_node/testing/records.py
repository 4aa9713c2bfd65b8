"""The ledger as people and monitors see it, in memory."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from dicom_node.commitment import PromiseState
from dicom_node.errors import BeingSentError, UnstorableError
from dicom_node.instance import DeliveryState, Event, Instance, InstanceState
from dicom_node.record import Counts, DestinationCounts, InstanceRecord, JobRun
from dicom_node.testing.shelf import Room, age, is_free, oldest_first, uids_of
from dicom_node.verdict import Decision, Outcome


class MemoryRecords(Room):
    """Implements `dicom_node.ports.Records`."""

    def counts(self) -> Counts:
        shelf = self._shelf
        with shelf.lock:
            settled = shelf.in_state(InstanceState.SETTLED)
            states = [one.state for one in shelf.deliveries.values()]
            uncommitted = states.count(DeliveryState.SENT)
            verdicts = shelf.verdicts.values()
            return Counts(
                received=len(shelf.instances),
                classified=len(settled),
                forwarded=sum(shelf.everywhere(one) for one in settled),
                pending=len(shelf.instances) - len(settled) + states.count(DeliveryState.PENDING) + uncommitted,
                failed=states.count(DeliveryState.FAILED),
                abstained=sum(one.outcome is Outcome.ABSTAINED for one in verdicts),
                review=sum(one.decision is Decision.REVIEW for one in verdicts),
                lost=len(shelf.lost),
                conflicting=sum(shelf.is_conflicting(one) for one in shelf.instances.values()),
                unrouted=sum(not shelf.deliveries_of(one.id) for one in settled),
                uncommitted=uncommitted,
                unreported=sum(one.state is not PromiseState.REPORTED for one in shelf.promises.values()),
            )

    def is_empty(self) -> bool:
        with self._shelf.lock:
            return not self._shelf.instances

    def destinations(self) -> Sequence[DestinationCounts]:
        with self._shelf.lock:
            names = {one.destination for one in self._shelf.deliveries.values()}
            return [self._destination(name) for name in sorted(names)]

    def _destination(self, name: str) -> DestinationCounts:
        ways = [one for one in self._shelf.deliveries.values() if one.destination == name]
        states = [one.state for one in ways]
        ids = {one.id for one in ways}
        errors = [error for key, error in self._shelf.troubles.items() if key in ids]
        waiting = [one.due_at for one in ways if one.state is DeliveryState.PENDING and one.due_at is not None]
        return DestinationCounts(
            destination=name,
            pending=states.count(DeliveryState.PENDING),
            delivered=states.count(DeliveryState.DELIVERED),
            failed=states.count(DeliveryState.FAILED),
            oldest_due=min(waiting, default=None),
            last_error=errors[-1] if errors else None,
            uncommitted=states.count(DeliveryState.SENT),
        )

    def oldest_received(self) -> datetime | None:
        with self._shelf.lock:
            waiting = self._shelf.in_state(InstanceState.RECEIVED)
            return waiting[0].received_at if waiting else None

    def find(self, uid: str) -> Sequence[InstanceRecord]:
        with self._shelf.lock:
            sent = {one.instance_id for one in self._shelf.deliveries.values() if one.sent_uid == uid != ""}
            here = self._shelf.instances.values()
            found = oldest_first(one for one in here if uid in uids_of(one) or one.id in sent)
            return [self._record(instance) for instance in found]

    def settled(self, *, after_id: int, limit: int) -> Sequence[InstanceRecord]:
        with self._shelf.lock:
            later = [one for key, one in sorted(self._shelf.instances.items()) if key > after_id]
            page = [one for one in later if one.state is InstanceState.SETTLED][:limit]
            return [self._record(instance) for instance in page]

    def retired(self, *, before: datetime, limit: int, after: Instance | None = None) -> Sequence[Instance]:
        with self._shelf.lock:
            here = (one for one in self._shelf.instances.values() if one.spooled)
            old = (one for one in here if max(one.received_at, one.kept_since) < before)
            found = oldest_first(one for one in old if self._shelf.may_go(one))
            later = (one for one in found if after is None or age(one) > age(after))
            return list(islice(later, limit))

    def retire(self, instance_id: int, *, remove: Callable[[str], None], now: datetime) -> bool:
        with self._shelf.lock:
            here = self._shelf.instances.get(instance_id)
            if here is None or not here.spooled or not self._shelf.may_go(here):
                return False
            remove(here.path)
            self._shelf.instances[instance_id] = replace(here, spooled=False)
            self._shelf.events.append(Event(kind="retired", at=now, instance_id=instance_id))
            return True

    def let_go(self, instance_id: int, *, remove: Callable[[str], None], now: datetime) -> bool:
        shelf = self._shelf
        with shelf.lock:
            here = shelf.instances.get(instance_id)
            if here is None or here.state is not InstanceState.SETTLED or instance_id in shelf.let_go:
                return False
            if all(other.id in shelf.lost for other in shelf.others(here)):
                return False
            missing = [one for one in shelf.deliveries_of(instance_id) if one.state is not DeliveryState.DELIVERED]
            if not all(is_free(shelf.delivery_leases, one.id, now) for one in missing):
                raise BeingSentError("it is being sent at this moment: try again")
            for one in missing:
                shelf.deliveries[one.id] = replace(one, state=DeliveryState.LET_GO)
                shelf.troubles.pop(one.id, None)
            remove(here.path)
            shelf.instances[instance_id] = replace(here, spooled=False)
            shelf.lost.discard(instance_id)
            shelf.let_go.add(instance_id)
            for other in shelf.others(here):
                shelf.instances[other.id] = replace(other, resent_at=now)
            shelf.events.append(Event(kind="let_go", at=now, instance_id=instance_id))
            return True

    def note(self, event: Event) -> None:
        with self._shelf.lock:
            if event.instance_id is not None and event.instance_id not in self._shelf.instances:
                raise UnstorableError("The ledger holds no instance of this number.")
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
            labels=tuple(self._shelf.labels.get(key, ())),
        )
