"""The ledger as the check at start-up sees it, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from dicom_node.commitment import PromiseState
from dicom_node.instance import DeliveryState, Event, Instance, InstanceState
from dicom_node.repair import LongestWaits
from dicom_node.testing.shelf import Room


class MemoryRepairs(Room):
    """Implements `dicom_node.repair.Repairs`."""

    def lease_holders(self) -> Sequence[str]:
        with self._shelf.lock:
            return sorted({holder for *_, holder in self._held()})

    def break_leases(self, holder: str) -> int:
        with self._shelf.lock:
            held = [(leases, key) for leases, key, name in self._held() if name == holder]
            for leases, key in held:
                del leases[key]
            return len(held)

    def _held(self) -> list[tuple[dict[int, datetime], int, str]]:
        """Leases of what is still to be done: which dictionary, which key, and who holds it."""
        shelf = self._shelf
        waiting = {one.id for one in shelf.in_state(InstanceState.RECEIVED)}
        pending = {one.id for one in shelf.deliveries.values() if one.state is DeliveryState.PENDING}
        looked_at = [(shelf.leases, key, shelf.holders[key]) for key in shelf.leases if key in waiting]
        sent = [(shelf.delivery_leases, key, shelf.delivery_holders[key]) for key in shelf.delivery_leases]
        return looked_at + [one for one in sent if one[1] in pending]

    def put_right(self, *, now: datetime, waits: LongestWaits) -> int:
        latest = now + waits.lease
        longest = {DeliveryState.PENDING: waits.sending, DeliveryState.SENT: waits.asking}
        with self._shelf.lock:
            count = self._end_leases(latest + waits.lease)
            for one in list(self._shelf.deliveries.values()):
                wait = longest.get(one.state, {}).get(one.destination)
                if wait is not None and one.due_at is not None and one.due_at > latest + wait:
                    self._shelf.deliveries[one.id] = replace(one, due_at=now)
                    count += 1
            for asked in list(self._shelf.promises.values()):
                if asked.state is PromiseState.OPEN and asked.due_at > latest + waits.telling:
                    self._shelf.promises[asked.id] = replace(asked, due_at=now)
                    count += 1
            return count

    def _end_leases(self, latest: datetime) -> int:
        ended = 0
        for leases in (self._shelf.leases, self._shelf.delivery_leases):
            for key in [key for key, until in leases.items() if until > latest]:
                del leases[key]
                ended += 1
        return ended

    def kept(self, *, after_id: int, limit: int) -> Sequence[Instance]:
        with self._shelf.lock:
            return [one for key, one in sorted(self._shelf.instances.items()) if key > after_id and one.spooled][:limit]

    def lose(self, instance_id: int, *, now: datetime) -> bool:
        shelf = self._shelf
        with shelf.lock:
            instance = shelf.instances.get(instance_id)
            if instance is None or not instance.spooled:
                return False
            shelf.instances[instance_id] = replace(instance, spooled=False)
            shelf.lost.add(instance_id)
            shelf.events.append(Event(kind="lost", at=now, instance_id=instance_id))
            return True

    def spool(self) -> str | None:
        with self._shelf.lock:
            return self._shelf.facts.get("spool")

    def keep_spool(self, spool_id: str) -> str:
        with self._shelf.lock:
            return self._shelf.facts.setdefault("spool", spool_id)
