"""The ledger as whoever asks destinations for their commitment sees it."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, exists, func, insert, select, update

from dicom_node.commitment import (
    LATEST_ASKED,
    NO_ANSWER,
    CommitmentReport,
    Outcome,
    SopReference,
    explained_reason,
    missing_from,
)
from dicom_node.instance import DeliveryState, Event
from dicom_node.ledger.engine import Database, in_portions
from dicom_node.ledger.history import keep_events
from dicom_node.ledger.queueing import troubled
from dicom_node.ledger.rows import storable
from dicom_node.ledger.schema import commitment_deliveries as links
from dicom_node.ledger.schema import commitments, deliveries, is_sent, is_troubled, sent_objects

# Deliveries that are waived in one transaction: others who write have their turn in between.
PORTION = 5000


class SqlCommitments:
    """Implements `dicom_node.ports.Commitments`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self, *, destination: str, transaction_uid: str, limit: int, now: datetime, ask_again_at: datetime
    ) -> Sequence[SopReference]:
        due = (
            select(deliveries.c.id)
            .where(deliveries.c.destination == destination, is_sent, deliveries.c.due_at <= now)
            .order_by(deliveries.c.due_at, deliveries.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        new = insert(commitments).values(transaction_uid=transaction_uid, destination=destination, asked_at=now)
        with self._database.writing() as connection:
            ids = connection.scalars(due).all()
            if not ids:
                return []
            key = connection.scalar(new.returning(commitments.c.id))
            asked = select(links.c.delivery_id).where(links.c.delivery_id.in_(ids)).distinct()
            _tell(connection, destination, sorted(connection.scalars(asked)), NO_ANSWER)
            connection.execute(update(deliveries).where(deliveries.c.id.in_(ids)).values(due_at=ask_again_at))
            connection.execute(insert(links), [{"commitment_id": key, "delivery_id": each} for each in ids])
            _forget_between(connection, ids)
            objects = _objects_of(connection, ids)
        return [each for delivery_id in ids for each in objects[delivery_id]]

    def postpone(self, transaction_uid: str, *, error: str, due_at: datetime) -> None:
        ours = (
            select(commitments)
            .where(commitments.c.transaction_uid == transaction_uid, commitments.c.answered_at.is_(None))
            .with_for_update()
        )
        with self._database.writing() as connection:
            row = connection.execute(ours).mappings().first()
            if row is None:
                return
            asked = (
                select(deliveries.c.id)
                .join(links, links.c.delivery_id == deliveries.c.id)
                .where(links.c.commitment_id == row["id"], is_sent)
                .order_by(deliveries.c.id)
                .with_for_update(of=deliveries)
            )
            ids = connection.scalars(asked).all()
            _tell(connection, row["destination"], ids, error)
            for portion in in_portions(ids):
                connection.execute(update(deliveries).where(deliveries.c.id.in_(portion)).values(due_at=due_at))
            connection.execute(delete(links).where(links.c.commitment_id == row["id"]))
            connection.execute(delete(commitments).where(commitments.c.id == row["id"]))

    def take(
        self, report: CommitmentReport, *, destinations: Sequence[str], now: datetime, most_refusals: int
    ) -> Outcome:
        ours = (
            select(commitments)
            .where(commitments.c.transaction_uid == report.transaction_uid, commitments.c.destination.in_(destinations))
            .with_for_update()
        )
        with self._database.writing() as connection:
            row = connection.execute(ours).mappings().first()
            if row is None:
                return Outcome.STRANGE
            if row["answered_at"] is not None:
                return Outcome.KNOWN
            connection.execute(update(commitments).where(commitments.c.id == row["id"]).values(answered_at=now))
            _judge(connection, row["id"], report, now=now, most_refusals=most_refusals)
        return Outcome.TAKEN

    def waive(self, destination: str, *, now: datetime) -> int:
        count = 0
        while some := self._waive_some(destination, now):
            count += some
        return count

    def _waive_some(self, destination: str, now: datetime) -> int:
        some = (
            select(deliveries.c.id)
            .where(deliveries.c.destination == destination, is_sent)
            .order_by(deliveries.c.due_at, deliveries.c.id)
            .limit(PORTION)
            .with_for_update()
        )
        with self._database.writing() as connection:
            ids = connection.scalars(some).all()
            _deliver(connection, ids, now)
        return len(ids)


def forget_asking(connection: Connection, delivery_ids: Sequence[int]) -> None:
    """What was sent, and what was asked about it, matters no more."""
    for portion in in_portions(delivery_ids):
        connection.execute(delete(links).where(links.c.delivery_id.in_(portion)))
        connection.execute(delete(sent_objects).where(sent_objects.c.delivery_id.in_(portion)))


def _forget_between(connection: Connection, delivery_ids: Sequence[int]) -> None:
    """Of the transactions that ask for each of these deliveries, keep the first and the latest few: a destination that
    takes long is believed at last, and one that never answers does not fill the ledger.
    """
    others = links.alias("others")
    of_the_same = others.c.delivery_id == links.c.delivery_id
    first = select(func.min(others.c.commitment_id)).where(of_the_same).correlate(links)
    latest = (
        select(others.c.commitment_id)
        .where(of_the_same)
        .order_by(others.c.commitment_id.desc())
        .offset(LATEST_ASKED - 1)
        .limit(1)
        .correlate(links)
    )
    between = (
        delete(links)
        .where(
            links.c.delivery_id.in_(delivery_ids),
            links.c.commitment_id > first.scalar_subquery(),
            links.c.commitment_id < latest.scalar_subquery(),
        )
        .returning(links.c.commitment_id)
    )
    left = set(connection.scalars(between))
    # Not those that are being answered at this moment: whoever takes the answer holds one, and waits for deliveries.
    unanswered = select(commitments.c.id).where(commitments.c.id.in_(left), commitments.c.answered_at.is_(None))
    about_nothing = unanswered.where(~exists().where(links.c.commitment_id == commitments.c.id))
    over = connection.scalars(about_nothing.with_for_update(skip_locked=True)).all() if left else []
    for portion in in_portions(over):
        connection.execute(delete(commitments).where(commitments.c.id.in_(portion)))


def _tell(connection: Connection, destination: str, delivery_ids: Sequence[int], error: str) -> None:
    """Keep an error of deliveries. What says it already is left alone while no other is the latest of its destination:
    the same comes every few minutes from a destination that is away.
    """
    latest = (
        select(deliveries.c.last_error)
        .where(deliveries.c.destination == destination, is_troubled)
        .order_by(deliveries.c.trouble.desc(), deliveries.c.id.desc())
        .limit(1)
    )
    known = connection.scalar(latest) == storable(error)
    for portion in in_portions(delivery_ids):
        say = troubled(error).where(deliveries.c.id.in_(portion))
        connection.execute(say.where(deliveries.c.last_error.is_distinct_from(storable(error))) if known else say)


def _judge(
    connection: Connection, commitment_id: int, report: CommitmentReport, *, now: datetime, most_refusals: int
) -> None:
    asked = (
        select(deliveries)
        .join(links, links.c.delivery_id == deliveries.c.id)
        .where(links.c.commitment_id == commitment_id, is_sent)
        .order_by(deliveries.c.id)
        .with_for_update(of=deliveries)
    )
    waiting = connection.execute(asked).mappings().all()
    ids = [row["id"] for row in waiting]
    objects, latest = _objects_of(connection, ids), _latest_asking(connection, ids)
    committed = []
    for row in waiting:
        missing = missing_from(report, objects[row["id"]])
        if missing is None:
            committed.append(row["id"])
        elif latest[row["id"]] == commitment_id:
            _deny(connection, row, missing, now, most_refusals)
        # else it was asked for again, and that answer is the one that counts
    _deliver(connection, committed, now)


def _deliver(connection: Connection, delivery_ids: Sequence[int], now: datetime) -> None:
    done = {"state": DeliveryState.DELIVERED, "delivered_at": now, "trouble": None}
    for portion in in_portions(delivery_ids):
        change = update(deliveries).where(deliveries.c.id.in_(portion)).values(done)
        changed = connection.execute(change.returning(deliveries.c.instance_id, deliveries.c.destination)).all()
        keep_events(connection, [_event("delivered", row, now) for row in sorted(changed)])
    forget_asking(connection, delivery_ids)


def _deny(connection: Connection, row: Any, missing: int, now: datetime, most_refusals: int) -> None:
    refusals = row["refusals"] + 1
    over = refusals >= most_refusals
    state = DeliveryState.FAILED if over else DeliveryState.PENDING
    error = f"the destination did not commit itself to keep it: {explained_reason(missing)}"
    # It is sent as if for the first time, and patience with what goes wrong then begins anew.
    anew = {"state": state, "refusals": refusals, "planned_at": now, "due_at": now, "attempts": 0}
    connection.execute(troubled(error).where(deliveries.c.id == row["id"]).values(anew))
    keep_events(
        connection, [_event("failed" if over else "uncommitted", (row["instance_id"], row["destination"]), now)]
    )


def _event(kind: str, way: Sequence[Any], now: datetime) -> Event:
    """An event of an instance's way to a destination."""
    instance_id, destination = way
    return Event(kind=kind, at=now, instance_id=instance_id, detail=destination)


def _objects_of(connection: Connection, delivery_ids: Sequence[int]) -> dict[int, list[SopReference]]:
    found: dict[int, list[SopReference]] = defaultdict(list)
    for portion in in_portions(delivery_ids):
        query = select(sent_objects).where(sent_objects.c.delivery_id.in_(portion))
        for row in connection.execute(query).mappings():
            found[row["delivery_id"]].append(
                SopReference(sop_class_uid=row["sop_class_uid"], sop_instance_uid=row["sop_instance_uid"])
            )
    # Sorted here: a database sorts text by its own locale.
    return {key: sorted(objects, key=lambda each: each.sop_instance_uid) for key, objects in found.items()}


def _latest_asking(connection: Connection, delivery_ids: Sequence[int]) -> dict[int, int]:
    latest: dict[int, int] = {}
    for portion in in_portions(delivery_ids):
        query = select(links.c.delivery_id, func.max(links.c.commitment_id)).where(links.c.delivery_id.in_(portion))
        latest.update((row[0], row[1]) for row in connection.execute(query.group_by(links.c.delivery_id)))
    return latest
