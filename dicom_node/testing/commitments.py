"""The ledger as whoever asks destinations for their commitment sees it, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from dicom_node.commitment import (
    LATEST_ASKED,
    NO_ANSWER,
    CommitmentReport,
    Outcome,
    SopReference,
    explained_reason,
    missing_from,
)
from dicom_node.instance import Delivery, DeliveryState
from dicom_node.testing.shelf import Room


class MemoryCommitments(Room):
    """Implements `dicom_node.ports.Commitments`."""

    def begin(
        self, *, destination: str, transaction_uid: str, limit: int, now: datetime, ask_again_at: datetime
    ) -> Sequence[SopReference]:
        shelf = self._shelf
        with shelf.lock:
            waiting = (one for one in shelf.deliveries.values() if one.state is DeliveryState.SENT)
            due = [(one.due_at, one.id) for one in waiting if one.destination == destination and _is_due(one, now)]
            ids = [key for _, key in sorted(due)[:limit]]
            if ids:
                shelf.transactions[transaction_uid] = destination
            for key in ids:
                asked = shelf.asked[key]
                if asked:
                    shelf.trouble(key, NO_ANSWER)
                asked.append(transaction_uid)
                between = slice(1, -LATEST_ASKED)
                forgotten, asked[between] = asked[between], []
                for uid in forgotten:
                    self._forget_unless_asked(uid)
                shelf.deliveries[key] = replace(shelf.deliveries[key], due_at=ask_again_at)
            return [each for key in ids for each in shelf.sent[key]]

    def postpone(self, transaction_uid: str, *, error: str, due_at: datetime) -> None:
        shelf = self._shelf
        with shelf.lock:
            if transaction_uid in shelf.answered or transaction_uid not in shelf.transactions:
                return
            for one in self._asked_by(transaction_uid):
                shelf.trouble(one.id, error)
                shelf.deliveries[one.id] = replace(shelf.deliveries[one.id], due_at=due_at)
            for uids in shelf.asked.values():
                uids[:] = [uid for uid in uids if uid != transaction_uid]
            self._forget_unless_asked(transaction_uid)

    def take(
        self, report: CommitmentReport, *, destinations: Sequence[str], now: datetime, most_refusals: int
    ) -> Outcome:
        shelf = self._shelf
        with shelf.lock:
            if shelf.transactions.get(report.transaction_uid) not in destinations:
                return Outcome.STRANGE
            if report.transaction_uid in shelf.answered:
                return Outcome.KNOWN
            shelf.answered.add(report.transaction_uid)
            for one in self._asked_by(report.transaction_uid):
                missing = missing_from(report, shelf.sent[one.id])
                if missing is None:
                    self._deliver(one, now)
                elif shelf.asked[one.id][-1] == report.transaction_uid:
                    self._deny(one, missing, now, most_refusals)
            return Outcome.TAKEN

    def waive(self, destination: str, *, now: datetime) -> int:
        with self._shelf.lock:
            ways = self._shelf.deliveries.values()
            waiting = [one for one in ways if one.destination == destination and one.state is DeliveryState.SENT]
            for one in waiting:
                self._deliver(one, now)
            return len(waiting)

    def _deliver(self, one: Delivery, now: datetime) -> None:
        self._shelf.deliveries[one.id] = replace(one, state=DeliveryState.DELIVERED, delivered_at=now)
        self._shelf.troubles.pop(one.id, None)
        self._shelf.asked[one.id] = []
        self._shelf.note_way("delivered", one, now)

    def _deny(self, one: Delivery, missing: int, now: datetime, most_refusals: int) -> None:
        over = one.refusals + 1 >= most_refusals
        state = DeliveryState.FAILED if over else DeliveryState.PENDING
        anew = replace(one, state=state, planned_at=now, due_at=now, attempts=0)
        self._shelf.deliveries[one.id] = replace(anew, refusals=one.refusals + 1)
        error = f"the destination did not commit itself to keep it: {explained_reason(missing)}"
        self._shelf.trouble(one.id, error)
        self._shelf.note_way("failed" if over else "uncommitted", one, now)

    def _forget_unless_asked(self, transaction_uid: str) -> None:
        shelf = self._shelf
        if transaction_uid not in shelf.answered and not any(transaction_uid in uids for uids in shelf.asked.values()):
            shelf.transactions.pop(transaction_uid, None)

    def _asked_by(self, transaction_uid: str) -> list[Delivery]:
        shelf = self._shelf
        waiting = (one for one in shelf.deliveries.values() if one.state is DeliveryState.SENT)
        return [one for one in waiting if transaction_uid in shelf.asked[one.id]]


def _is_due(delivery: Delivery, now: datetime) -> bool:
    return delivery.due_at is not None and delivery.due_at <= now
