"""The ledger as the classifier sees it, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from dicom_node.errors import UnstorableError
from dicom_node.instance import DeliveryState, Event, Instance, InstanceState, PlannedDelivery
from dicom_node.ports import When
from dicom_node.testing.shelf import Room, is_free
from dicom_node.verdict import Recognition, Verdict


class MemoryWork(Room):
    """Implements `dicom_node.ports.Work`."""

    def claim(self, *, worker: str, limit: int, now: datetime, lease: timedelta) -> Sequence[Instance]:
        shelf = self._shelf
        with shelf.lock:
            free = [one for one in shelf.in_state(InstanceState.RECEIVED) if is_free(shelf.leases, one.id, now)]
            taken = [replace(one, attempts=one.attempts + 1) for one in free[:limit]]
            for instance in taken:
                shelf.instances[instance.id] = instance
                shelf.leases[instance.id] = now + lease
                shelf.holders[instance.id] = worker
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
                raise UnstorableError("An instance goes to a destination once.")
            shelf.instances[instance_id] = replace(instance, state=InstanceState.SETTLED)
            shelf.verdicts[instance_id] = verdict
            if recognition is not None:
                shelf.recognitions[instance_id] = recognition
            closing_ahead = bool(instance.study_uid)
            now = verdict.decided_at
            self._plan_anew(instance_id, deliveries, now=now, closing_ahead=closing_ahead)
            shelf.enqueue(instance_id, deliveries, now=now, closing_ahead=closing_ahead)
            shelf.events.append(
                Event(kind="settled", at=verdict.decided_at, instance_id=instance_id, detail=verdict.decision.value)
            )
            return True

    def _plan_anew(
        self, instance_id: int, planned: Sequence[PlannedDelivery], *, now: datetime, closing_ahead: bool
    ) -> None:
        """What waits from a verdict without its file goes when the new one says."""
        times = {plan.destination: plan.due_at if closing_ahead else plan.due_at or now for plan in planned}
        for one in self._shelf.deliveries_of(instance_id):
            if one.state is DeliveryState.PENDING and one.destination in times:
                anew = replace(one, planned_at=now, due_at=times[one.destination])
                self._shelf.deliveries[one.id] = anew

    def release(self, instance_ids: Sequence[int], *, worker: str) -> None:
        shelf = self._shelf
        with shelf.lock:
            for instance in shelf.in_state(InstanceState.RECEIVED):
                held = instance.id in shelf.leases and shelf.holders[instance.id] == worker
                if held and instance.id in instance_ids:
                    del shelf.leases[instance.id]
                    shelf.instances[instance.id] = replace(instance, attempts=max(instance.attempts - 1, 0))

    def series_value(self, *, study_uid: str, series_uid: str, when: When, proposed: str | None) -> str | None:
        if not (study_uid and series_uid):
            return proposed
        with self._shelf.lock:
            return self._shelf.series_values.setdefault((study_uid, series_uid, when), proposed)

    def decided_value(self, *, study_uid: str, series_uid: str, when: When) -> str | None:
        with self._shelf.lock:
            return self._shelf.series_values.get((study_uid, series_uid, when))
