"""The ledger as the receiver sees it, in memory."""

from dataclasses import asdict, replace
from datetime import datetime

from dicom_node.instance import Arrival, DeliveryState, Event, Instance, InstanceState, Receipt
from dicom_node.testing.shelf import Room
from dicom_node.verdict import Outcome


class MemoryIntake(Room):
    """Implements `dicom_node.ports.Intake`."""

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
            self._open_study(arrival.study_uid, arrival.received_at)
            shelf.events.append(Event(kind="received", at=arrival.received_at, instance_id=key))
            if conflict:
                shelf.events.append(Event(kind="conflict", at=arrival.received_at, instance_id=key))
            return Receipt(instance=instance, duplicate=False)

    def restore(self, instance_id: int, *, path: str, now: datetime, resend: bool = True) -> None:
        shelf = self._shelf
        with shelf.lock:
            if instance_id not in shelf.instances:
                return
            gone = shelf.instances[instance_id]
            instance = replace(gone, spooled=True, path=path, unasked=gone.unasked or not gone.spooled)
            if resend:
                instance = replace(instance, resent_at=now, unasked=False)
                shelf.let_go.discard(instance_id)
            if instance.state is InstanceState.SETTLED and self._is_to_be_seen(instance_id):
                instance = replace(instance, state=InstanceState.RECEIVED, attempts=0)
                self._open_study(instance.study_uid, now)
            shelf.instances[instance_id] = instance
            shelf.lost.discard(instance_id)
            over = {DeliveryState.FAILED} if not resend else set(DeliveryState) - {DeliveryState.PENDING}
            for one in shelf.deliveries_of(instance_id):
                if one.state in over:
                    shelf.begin_anew(one, now)

    def _is_to_be_seen(self, instance_id: int) -> bool:
        """Whether it was settled without its file, and nobody has let it go."""
        verdict = self._shelf.verdicts.get(instance_id)
        unseen = verdict is not None and verdict.outcome is Outcome.UNREADABLE
        return unseen and instance_id not in self._shelf.let_go

    def _open_study(self, study_uid: str, received_at: datetime) -> None:
        if not study_uid:
            return  # images without a Study Instance UID do not belong together
        shelf = self._shelf
        shelf.newest[study_uid] = max(received_at, shelf.newest.get(study_uid, received_at))
        shelf.closed.discard(study_uid)
