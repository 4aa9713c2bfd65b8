"""The ledger as the forwarder of one destination sees it, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from dicom_node.commitment import SopReference
from dicom_node.errors import LedgerError
from dicom_node.instance import Delivery, DeliveryState, Done, Event, Instance, InstanceState, PlannedDelivery
from dicom_node.testing.shelf import Room, is_free, uids_of
from dicom_node.verdict import Recognition, Verdict


class MemoryOutbox(Room):
    """Implements `dicom_node.ports.Outbox`."""

    def claim(
        self, *, destination: str, worker: str, limit: int, now: datetime, lease: timedelta
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
                and is_free(shelf.delivery_leases, one.id, now)
                and shelf.instances[one.instance_id].state is InstanceState.SETTLED
            ]
            ids = [key for _, key in sorted(due)[:limit]]
            shelf.delivery_leases.update(dict.fromkeys(ids, now + lease))
            shelf.delivery_holders.update(dict.fromkeys(ids, worker))
            return [shelf.deliveries[key] for key in ids]

    def subject(self, delivery: Delivery) -> tuple[Instance, Verdict, Recognition | None]:
        key = delivery.instance_id
        with self._shelf.lock:
            instance = self._shelf.instances.get(key)
            if instance is None or instance.state is not InstanceState.SETTLED:
                raise LedgerError("The ledger holds no settled instance for this delivery: is it another node's?")
            return instance, self._shelf.verdicts[key], self._shelf.recognitions.get(key)

    def delivered(self, delivery_id: int, *, sent_uid: str, written: str | None, now: datetime) -> None:
        self.delivered_together([Done(delivery_id=delivery_id, sent_uid=sent_uid, written=written, at=now)])

    def delivered_together(self, done: Sequence[Done]) -> None:
        with self._shelf.lock:
            arrived = [one for each in done for one in self._delivered(each)]
            for one in arrived:
                self._conflict_anew(one.instance_id, done[-1].at)

    def _delivered(self, done: Done) -> list[Delivery]:
        """The delivery that this changed, if it did."""
        one = self._shelf.deliveries.get(done.delivery_id)
        if one is None or one.state is DeliveryState.DELIVERED:
            return []
        self._shelf.deliveries[one.id] = replace(
            one,
            state=DeliveryState.DELIVERED,
            delivered_at=done.at,
            sent_uid=done.sent_uid,
            written=done.written,
            attempts=one.attempts + 1,
        )
        self._shelf.delivery_leases.pop(one.id, None)
        self._shelf.troubles.pop(one.id, None)
        self._shelf.note_way("delivered", one, done.at)
        return [one]

    def _conflict_anew(self, instance_id: int, now: datetime) -> None:
        """It was let go while somebody was sending it, if it was."""
        if instance_id in self._shelf.let_go:
            self._shelf.let_go.discard(instance_id)
            self._shelf.events.append(Event(kind="conflict", at=now, instance_id=instance_id))

    def sent(
        self,
        delivery_id: int,
        *,
        objects: Sequence[SopReference],
        written: str | None,
        now: datetime,
        ask_at: datetime,
    ) -> None:
        shelf = self._shelf
        with shelf.lock:
            one = shelf.deliveries.get(delivery_id)
            if one is None or one.state not in (DeliveryState.PENDING, DeliveryState.LET_GO):
                return
            sent_uid = objects[-1].sop_instance_uid
            taken = replace(one, state=DeliveryState.SENT, due_at=ask_at, sent_uid=sent_uid, written=written)
            shelf.deliveries[delivery_id] = replace(taken, attempts=one.attempts + 1)
            shelf.delivery_leases.pop(delivery_id, None)
            shelf.sent[delivery_id] = sorted({each.sop_instance_uid: each for each in objects}.values(), key=_by_uid)
            shelf.asked[delivery_id] = []
            shelf.note_way("sent", one, now)
            self._conflict_anew(one.instance_id, now)

    def postpone(self, delivery_id: int, *, error: str, planned_at: datetime, due_at: datetime) -> None:
        shelf = self._shelf
        with shelf.lock:
            if self._count_failure(delivery_id, error):
                shelf.deliveries[delivery_id] = replace(
                    shelf.deliveries[delivery_id], planned_at=planned_at, due_at=due_at
                )

    def fail(self, delivery_id: int, *, error: str, now: datetime) -> None:
        with self._shelf.lock:
            if self._count_failure(delivery_id, error):
                one = self._shelf.deliveries[delivery_id]
                self._shelf.deliveries[delivery_id] = replace(one, state=DeliveryState.FAILED)
                self._shelf.note_way("failed", one, now)

    def _count_failure(self, delivery_id: int, error: str) -> bool:
        one = self._shelf.deliveries.get(delivery_id)
        if one is None or one.state is not DeliveryState.PENDING:
            return False
        self._shelf.deliveries[delivery_id] = replace(one, attempts=one.attempts + 1)
        self._shelf.delivery_leases.pop(delivery_id, None)
        self._shelf.trouble(delivery_id, error)
        return True

    def release(self, delivery_ids: Sequence[int], *, worker: str) -> None:
        with self._shelf.lock:
            for delivery_id in delivery_ids:
                if self._shelf.delivery_holders.get(delivery_id) == worker:
                    self._shelf.delivery_leases.pop(delivery_id, None)

    def plan(self, instance_id: int, deliveries: Sequence[PlannedDelivery], *, now: datetime) -> int:
        shelf = self._shelf
        with shelf.lock:
            instance = shelf.instances.get(instance_id)
            if instance is None or instance.state is not InstanceState.SETTLED or instance_id in shelf.let_go:
                return 0
            closing_ahead = shelf.is_open(instance.study_uid)
            return shelf.enqueue(instance_id, deliveries, now=now, closing_ahead=closing_ahead)

    def requeue(
        self, *, state: DeliveryState, uids: Sequence[str], now: datetime, destinations: Sequence[str] | None = None
    ) -> int:
        shelf = self._shelf
        with shelf.lock:
            wanted = (one for one in shelf.deliveries.values() if one.instance_id not in shelf.let_go)
            chosen = [one for one in wanted if one.state is state]
            if state is not DeliveryState.PENDING:
                chosen = [one for one in chosen if shelf.instances[one.instance_id].spooled]
            if destinations is not None:
                chosen = [one for one in chosen if one.destination in destinations]
            if uids:
                chosen = [one for one in chosen if not uids_of(shelf.instances[one.instance_id]).isdisjoint(uids)]
            else:
                chosen = [one for one in chosen if not _waits(one)]
            for one in chosen:
                shelf.begin_anew(one, now)
                self._shelf.note_way("requeued", one, now)
            return len(chosen)

    def give_up(self, destination: str, *, error: str, now: datetime) -> int:
        shelf = self._shelf
        over = (DeliveryState.PENDING, DeliveryState.SENT)
        with shelf.lock:
            chosen = [one for one in shelf.deliveries.values() if one.destination == destination and one.state in over]
            for one in chosen:
                shelf.deliveries[one.id] = replace(one, state=DeliveryState.FAILED)
                shelf.trouble(one.id, error)
                shelf.note_way("given_up", one, now)
            return len(chosen)


def _by_uid(reference: SopReference) -> str:
    return reference.sop_instance_uid


def _waits(delivery: Delivery) -> bool:
    """Whether it waits for its study to close."""
    return delivery.state is DeliveryState.PENDING and delivery.due_at is None
