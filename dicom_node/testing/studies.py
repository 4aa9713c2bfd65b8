"""The ledger as the study closer sees it, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from dicom_node.instance import DeliveryState, Event, Instance, InstanceState
from dicom_node.ports import When
from dicom_node.testing.shelf import Room
from dicom_node.verdict import Decision, Verdict


class MemoryStudies(Room):
    """Implements `dicom_node.closing.Studies`."""

    def put_right(self, *, now: datetime) -> None:
        shelf = self._shelf
        with shelf.lock:
            for study_uid in filter(shelf.is_open, shelf.newest):
                shelf.newest[study_uid] = min(shelf.newest[study_uid], now)

    def quiet(self, *, since: datetime) -> Sequence[str]:
        shelf = self._shelf
        with shelf.lock:
            candidates = sorted((at, uid) for uid, at in shelf.newest.items() if at < since)
            return [uid for _, uid in candidates if shelf.is_open(uid) and not shelf.is_waiting(uid)]

    def settled(self, study_uid: str) -> Sequence[tuple[Instance, Verdict]]:
        if not study_uid:
            return []  # images without a Study Instance UID are no study
        shelf = self._shelf
        with shelf.lock:
            found = shelf.in_state(InstanceState.SETTLED)
            return [(one, shelf.verdicts[one.id]) for one in found if one.study_uid == study_uid]

    def decided(self, study_uid: str) -> Mapping[str, str | None]:
        shelf = self._shelf
        with shelf.lock:
            return {
                series_uid: value
                for (of_study, series_uid, when), value in shelf.series_values.items()
                if of_study == study_uid and when is When.STUDY_CLOSED
            }

    def close(
        self,
        study_uid: str,
        *,
        since: datetime,
        values: Mapping[str, str | None],
        now: datetime,
        reviews: Mapping[int, str] | None = None,
    ) -> int | None:
        shelf = self._shelf
        with shelf.lock:
            if not shelf.is_open(study_uid) or shelf.newest[study_uid] >= since or shelf.is_waiting(study_uid):
                return None
            for series_uid in filter(None, values):
                shelf.series_values.setdefault((study_uid, series_uid, When.STUDY_CLOSED), values[series_uid])
            shelf.closed.add(study_uid)
            held_back = [
                one
                for one in shelf.deliveries.values()
                if one.due_at is None
                and one.state is DeliveryState.PENDING
                and shelf.instances[one.instance_id].study_uid == study_uid
            ]
            for instance_id in {one.instance_id for one in held_back} & set(reviews or {}):
                self._send_to_review(instance_id, (reviews or {})[instance_id], now=now)
            for one in held_back:
                shelf.deliveries[one.id] = replace(one, due_at=now)
            return len(held_back)

    def _send_to_review(self, instance_id: int, reason: str, *, now: datetime) -> None:
        shelf = self._shelf
        shelf.verdicts[instance_id] = replace(shelf.verdicts[instance_id], decision=Decision.REVIEW, reason=reason)
        shelf.events.append(Event(kind="review", at=now, instance_id=instance_id, detail="study closed"))
