"""The ledger as the forwarder of one destination sees it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from time import sleep
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Update,
    bindparam,
    exists,
    false,
    insert,
    or_,
    select,
    true,
    update,
)

from dicom_node.commitment import SopReference
from dicom_node.errors import LedgerError
from dicom_node.instance import Delivery, DeliveryState, Done, Event, Instance, InstanceState, PlannedDelivery
from dicom_node.ledger.commitments import forget_asking
from dicom_node.ledger.conflicts import conflict_anew
from dicom_node.ledger.engine import Database, in_portions
from dicom_node.ledger.history import keep_events
from dicom_node.ledger.queueing import begin_anew, enqueue, troubled
from dicom_node.ledger.rows import delivery_of, instance_of, recognition_of, storable, verdict_of
from dicom_node.ledger.schema import (
    deliveries,
    instances,
    is_open,
    is_pending,
    is_sent,
    is_settled,
    is_undelivered,
    predictions,
    sent_objects,
    studies,
    verdicts,
)
from dicom_node.verdict import Recognition, Verdict

# Between two portions of many deliveries. SQLite gives no turns: who waits for the writer looks every 0.1 s at most,
# and would find it busy each time.
BREATH = timedelta(seconds=0.15)

_waits_for_closing: ColumnElement[bool] = is_pending & deliveries.c.due_at.is_(None)
_has_its_file: ColumnElement[bool] = exists().where(
    instances.c.id == deliveries.c.instance_id, instances.c.spooled == true()
)
_is_wanted: ColumnElement[bool] = exists().where(
    instances.c.id == deliveries.c.instance_id, instances.c.let_go == false()
)


# One whose file is back may have to be looked at again first (`Intake.restore`).
_is_decided: ColumnElement[bool] = exists().where(instances.c.id == deliveries.c.instance_id, is_settled)


class SqlOutbox:
    """Implements `dicom_node.ports.Outbox`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self, *, destination: str, worker: str, limit: int, now: datetime, lease: timedelta
    ) -> Sequence[Delivery]:
        free = or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until <= now)
        due = (
            select(deliveries.c.id)
            .where(deliveries.c.destination == destination, is_pending, deliveries.c.due_at <= now, free, _is_decided)
            .order_by(deliveries.c.due_at, deliveries.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        with self._database.writing() as connection:
            ids = connection.scalars(due).all()
            taken = (
                update(deliveries)
                .where(deliveries.c.id.in_(ids), is_pending, free)
                .values(lease_owner=worker, lease_until=now + lease)
                .returning(deliveries)
            )
            rows = connection.execute(taken).mappings().all() if ids else []
        ranks = {id_: rank for rank, id_ in enumerate(ids)}
        return sorted((delivery_of(row) for row in rows), key=lambda delivery: ranks[delivery.id])

    def subject(self, delivery: Delivery) -> tuple[Instance, Verdict, Recognition | None]:
        key = {"key": delivery.instance_id}
        with self._database.reading() as connection:
            instance, verdict, seen = (connection.execute(query, key).mappings().first() for query in _SUBJECT)
        if instance is None or verdict is None or instance["state"] is not InstanceState.SETTLED:
            raise LedgerError("The ledger holds no settled instance for this delivery: is it another node's?")
        return instance_of(instance), verdict_of(verdict), recognition_of(seen) if seen else None

    def delivered(self, delivery_id: int, *, sent_uid: str, written: str | None, now: datetime) -> None:
        self.delivered_together([Done(delivery_id=delivery_id, sent_uid=sent_uid, written=written, at=now)])

    def delivered_together(self, done: Sequence[Done]) -> None:
        arrived: list[int] = []
        with self._database.writing() as connection:
            for each in done:
                uid, written = storable(each.sent_uid), storable(each.written)
                values = {"key": each.delivery_id, "at": each.at, "uid": uid, "body_part": written}
                arrived += _execute_as(connection, _DELIVERED, values, kind="delivered", now=each.at)
            if arrived:
                conflict_anew(connection, arrived, done[-1].at)

    def sent(
        self,
        delivery_id: int,
        *,
        objects: Sequence[SopReference],
        written: str | None,
        now: datetime,
        ask_at: datetime,
    ) -> None:
        taken = (
            update(deliveries)
            .where(deliveries.c.id == delivery_id, or_(is_pending, deliveries.c.state == DeliveryState.LET_GO))
            .values(
                state=DeliveryState.SENT,
                due_at=ask_at,
                sent_uid=storable(objects[-1].sop_instance_uid),
                written=storable(written),
                attempts=deliveries.c.attempts + 1,
                lease_owner=None,
                lease_until=None,
            )
        )
        rows = [
            {"delivery_id": delivery_id, "sop_instance_uid": uid, "sop_class_uid": storable(kind)}
            for uid, kind in {storable(each.sop_instance_uid): each.sop_class_uid for each in objects}.items()
        ]
        with self._database.writing() as connection:
            if arrived := _execute_as(connection, taken, kind="sent", now=now):
                forget_asking(connection, [delivery_id])
                connection.execute(insert(sent_objects), rows)
                conflict_anew(connection, arrived, now)

    def postpone(self, delivery_id: int, *, error: str, planned_at: datetime, due_at: datetime) -> None:
        with self._database.writing() as connection:
            connection.execute(_failed_attempt(delivery_id, error).values(planned_at=planned_at, due_at=due_at))

    def fail(self, delivery_id: int, *, error: str, now: datetime) -> None:
        refused = _failed_attempt(delivery_id, error).values(state=DeliveryState.FAILED)
        with self._database.writing() as connection:
            _execute_as(connection, refused, kind="failed", now=now)

    def release(self, delivery_ids: Sequence[int], *, worker: str) -> None:
        with self._database.writing() as connection:
            for ids in in_portions(delivery_ids):
                held = update(deliveries).where(
                    deliveries.c.id.in_(ids), is_pending, deliveries.c.lease_owner == worker
                )
                connection.execute(held.values(lease_owner=None, lease_until=None))

    def plan(self, instance_id: int, deliveries: Sequence[PlannedDelivery], *, now: datetime) -> int:
        """As the port says; and what would wait for a closing that is over already, or never comes, is due at once."""
        # The instance's row is held, so that two who plan for it come one after the other.
        wanted = (instances.c.id == instance_id) & is_settled & (instances.c.let_go == false())
        study_of = select(instances.c.study_uid).where(wanted).with_for_update()
        routed = update(instances).where(instances.c.id == instance_id).values(routed=True)
        with self._database.writing() as connection:
            study_uid = connection.scalar(study_of)
            if study_uid is None:
                return 0
            closing_ahead = _hold_open(connection, study_uid)
            added = enqueue(connection, instance_id, deliveries, now=now, closing_ahead=closing_ahead)
            if added:
                connection.execute(routed)
        return added

    def requeue(
        self, *, state: DeliveryState, uids: Sequence[str], now: datetime, destinations: Sequence[str] | None = None
    ) -> int:
        chosen = [deliveries.c.state == state, _is_wanted]
        if state is not DeliveryState.PENDING:
            chosen.append(_has_its_file)
        if destinations is not None:
            chosen.append(deliveries.c.destination.in_(destinations))
        if not uids:
            chosen.append(~_waits_for_closing)
        with self._database.reading() as connection:
            ids = _deliveries_of(connection, [uid for uid in uids if uid]) if uids else _those(connection, *chosen)
        return self._change(ids, begin_anew(now).where(*chosen), kind="requeued", now=now)

    def give_up(self, destination: str, *, error: str, now: datetime) -> int:
        # A lease stays, as when a delivery begins anew: requeued in the same moment, it is not sent by two.
        over = troubled(error).values(state=DeliveryState.FAILED)
        there = deliveries.c.destination == destination
        count = 0
        for waiting in (is_pending, is_sent):
            with self._database.reading() as connection:
                ids = _those(connection, there, waiting)
            count += self._change(ids, over.where(waiting), kind="given_up", now=now)
        return count

    def _change(self, ids: Iterable[int], change: Update, *, kind: str, now: datetime) -> int:
        """Change those of these deliveries that are still as the change wants them, a portion at a time."""
        count = 0
        for number, portion in enumerate(in_portions(sorted(ids))):
            if number:
                sleep(BREATH.total_seconds())
            with self._database.writing() as connection:
                connection.execute(_hold_files(portion))
                change_these = change.where(deliveries.c.id.in_(portion))
                count += len(_execute_as(connection, change_these, kind=kind, now=now))
        return count


def _failed_attempt(delivery_id: int, error: str) -> Update:
    failed = troubled(error).where(deliveries.c.id == delivery_id, is_pending)
    return failed.values(attempts=deliveries.c.attempts + 1, lease_owner=None, lease_until=None)


def _execute_as(
    connection: Connection, change: Update, values: dict[str, Any] | None = None, *, kind: str, now: datetime
) -> list[int]:
    """Change deliveries, with an event for each that changed; returns the instance of each of those."""
    told = change.returning(deliveries.c.id, deliveries.c.instance_id, deliveries.c.destination)
    changed = connection.execute(told, values).all()
    keep_events(
        connection,
        (Event(kind=kind, at=now, instance_id=key, detail=destination) for _, key, destination in sorted(changed)),
    )
    return [key for _, key, _ in changed]


def _hold_open(connection: Connection, study_uid: str) -> bool:
    """Whether a study is open, and until this transaction ends it stays so (PostgreSQL; SQLite has one writer)."""
    held = select(studies.c.study_uid).where(studies.c.study_uid == study_uid, is_open).with_for_update(read=True)
    return connection.scalar(held) is not None


def _hold_files(delivery_ids: Sequence[int]) -> Select[int]:
    """Whoever removes the files of these has done so, or waits (PostgreSQL; SQLite has one writer)."""
    theirs = select(deliveries.c.instance_id).where(deliveries.c.id.in_(delivery_ids))
    return select(instances.c.id).where(instances.c.id.in_(theirs)).order_by(instances.c.id).with_for_update(read=True)


def _those(connection: Connection, *conditions: ColumnElement[bool]) -> Sequence[int]:
    return connection.scalars(select(deliveries.c.id).where(*conditions)).all()


def _deliveries_of(connection: Connection, uids: Sequence[str]) -> set[int]:
    found: set[int] = set()
    for portion in in_portions(uids):
        query: Select[int] = (
            select(deliveries.c.id)
            .join(instances, instances.c.id == deliveries.c.instance_id)
            .where(
                or_(
                    instances.c.sop_instance_uid.in_(portion),
                    instances.c.series_uid.in_(portion),
                    instances.c.study_uid.in_(portion),
                )
            )
        )
        found.update(connection.scalars(query))
    return found


# Every delivery waits for these: they are built once, as in `intake`.
_SUBJECT = (
    select(instances).where(instances.c.id == bindparam("key")),
    select(verdicts).where(verdicts.c.instance_id == bindparam("key")),
    select(predictions).where(predictions.c.instance_id == bindparam("key")),
)
_DELIVERED = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("key"), is_undelivered)
    .values(
        state=DeliveryState.DELIVERED,
        delivered_at=bindparam("at"),
        sent_uid=bindparam("uid"),
        written=bindparam("body_part"),
        trouble=None,
        attempts=deliveries.c.attempts + 1,
        lease_owner=None,
        lease_until=None,
    )
)
