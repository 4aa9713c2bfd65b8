"""The ledger as the storage commitment SCP sees it, in memory."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta

from dicom_node.commitment import MOST_SHOWN, CommitmentRequest, Promise, PromiseState, SopReference
from dicom_node.instance import Instance
from dicom_node.testing.shelf import Room


class MemoryPromises(Room):
    """Implements `dicom_node.ports.Promises`."""

    def ask(self, request: CommitmentRequest, *, now: datetime, due_at: datetime) -> Promise | None:
        shelf = self._shelf
        with shelf.lock:
            same = (one for one in shelf.promises.values() if _key(one) == _key(request))
            here = next(same, None)
            if here is not None and here.state is PromiseState.OPEN:
                return here if here.references == request.references else None
            key = here.id if here is not None else max(shelf.promises, default=0) + 1
            references = tuple(SopReference(**each) for each in asdict(request)["references"])
            values = asdict(request) | {"references": references, "id": key, "asked_at": now, "due_at": due_at}
            shelf.promises[key] = Promise(**values, state=PromiseState.OPEN)
            return shelf.promises[key]

    def claim(self, *, limit: int, now: datetime, lease: timedelta) -> Sequence[Promise]:
        shelf = self._shelf
        with shelf.lock:
            due = sorted((one.due_at, one.attempts, one.id) for one in self._open() if one.due_at <= now)[:limit]
            for *_, key in due:
                shelf.promises[key] = replace(shelf.promises[key], due_at=now + lease)
            return [shelf.promises[key] for *_, key in due]

    def here(self, sop_instance_uids: Sequence[str]) -> Sequence[Instance]:
        with self._shelf.lock:
            shelf = self._shelf
            wanted = [one for one in shelf.instances.values() if one.sop_instance_uid in sop_instance_uids]
            kept = {one.sop_instance_uid for one in wanted if one.spooled}
            beside = {one.id for one in wanted if one.sop_instance_uid in kept} - shelf.let_go
            return [one for one in wanted if one.spooled or one.id in shelf.lost | beside]

    def reported(self, promise_id: int, *, now: datetime) -> None:  # noqa: ARG002 - only a database keeps the time
        self._change(promise_id, state=PromiseState.REPORTED, last_error=None)

    def postpone(self, promise_id: int, *, error: str, due_at: datetime) -> None:
        self._count(promise_id)
        self._change(promise_id, last_error=error, due_at=due_at)

    def hand_on(self, promise_id: int, *, due_at: datetime) -> None:
        self._change(promise_id, due_at=due_at)

    def extend(self, promise_id: int, *, until: datetime) -> bool:
        with self._shelf.lock:
            here = next((one for one in self._open() if one.id == promise_id), None)
            if here is not None:
                self._change(promise_id, due_at=max(here.due_at, until))
            return here is not None

    def hold(self, calling_ae: str, *, until: datetime) -> None:
        with self._shelf.lock:
            for one in self._open():
                if one.calling_ae == calling_ae and one.due_at < until:
                    self._change(one.id, due_at=until)

    def give_up(self, calling_ae: str, *, asked_by: datetime, error: str) -> int:
        with self._shelf.lock:
            over = [one for one in self._open() if one.calling_ae == calling_ae and one.asked_at <= asked_by]
            for one in over:
                self._change(one.id, state=PromiseState.GIVEN_UP, last_error=error, references=())
            return len(over)

    def forget(self, *, before: datetime) -> int:
        with self._shelf.lock:
            given_up = (one for one in self._shelf.promises.values() if one.state is PromiseState.GIVEN_UP)
            over = [one.id for one in given_up if one.asked_at < before]
            for key in over:
                del self._shelf.promises[key]
            return len(over)

    def unreported(self) -> Sequence[Promise]:
        with self._shelf.lock:
            left = (one for one in self._shelf.promises.values() if one.state is not PromiseState.REPORTED)
            return sorted(left, key=lambda one: (one.asked_at, one.id))[-MOST_SHOWN:]

    def _count(self, promise_id: int) -> None:
        with self._shelf.lock:
            here = self._shelf.promises.get(promise_id)
            if here is not None:
                self._change(promise_id, attempts=here.attempts + 1)

    def _change(self, promise_id: int, **values: object) -> None:
        with self._shelf.lock:
            here = self._shelf.promises.get(promise_id)
            if here is not None and here.state is PromiseState.OPEN:
                self._shelf.promises[promise_id] = replace(here, **values)  # type: ignore[arg-type]

    def _open(self) -> list[Promise]:
        return [one for one in self._shelf.promises.values() if one.state is PromiseState.OPEN]


def _key(request: CommitmentRequest) -> tuple[str, str]:
    return request.calling_ae, request.transaction_uid
