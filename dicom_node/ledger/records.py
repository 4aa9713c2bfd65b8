"""The ledger as people and monitors see it."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    Update,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    union,
    update,
)

from dicom_node.instance import REPORT_ALONE, DeliveryState, Event, Instance
from dicom_node.ledger.columns import UtcTime
from dicom_node.ledger.conflicts import (
    conflicting_ids,
    hold_contents,
    is_conflicting,
    keep_others_from,
    let_deliveries_go,
    may_be_let_go,
)
from dicom_node.ledger.engine import Database, in_portions, insert_into
from dicom_node.ledger.history import keep_events
from dicom_node.ledger.intake import one_at_a_time
from dicom_node.ledger.rows import Row, delivery_of, event_of, instance_of, job_of, label_of, recognition_of, verdict_of
from dicom_node.ledger.schema import (
    deliveries,
    destinations,
    events,
    instances,
    is_abstained,
    is_failed,
    is_for_review,
    is_kept,
    is_lost,
    is_pending,
    is_received,
    is_sent,
    is_settled,
    is_troubled,
    is_undelivered,
    is_unreported,
    is_unrouted,
    jobs,
    labels,
    predictions,
    promises,
    verdicts,
    was_sent,
)
from dicom_node.record import Counts, DestinationCounts, InstanceRecord, JobRun

# Whether a delivery that was made gave its destination the image, original or copy: reports alone are none.
_has_image = (deliveries.c.sent_uid != "") & or_(deliveries.c.written.is_(None), deliveries.c.written != REPORT_ALONE)


class SqlRecords:
    """Implements `dicom_node.ports.Records`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def counts(self) -> Counts:
        # Not by NOT IN: PostgreSQL reads that list again for each delivery once it outgrows the memory of a hash.
        unseen = exists().where(instances.c.id == deliveries.c.instance_id, is_received)
        # One statement, so that all figures are of one moment; each but the first counts a partial index, and the large
        # figures follow by subtraction from the small ones.
        figures = {
            "received": _count(instances),
            "waiting": _count(instances, is_received),
            "unrouted": _count(instances, is_unrouted),
            "undelivered": select(func.count(deliveries.c.instance_id.distinct())).where(is_undelivered, ~unseen),
            "pending": _count(deliveries, is_pending),
            "failed": _count(deliveries, is_failed),
            "abstained": _count(verdicts, is_abstained),
            "review": _count(verdicts, is_for_review),
            "lost": _count(instances, is_lost),
            "conflicting": select(func.count()).select_from(conflicting_ids().subquery()),
            "uncommitted": _count(deliveries, is_sent),
            "unreported": _count(promises, is_unreported),
        }
        query = select(*(figure.scalar_subquery().label(name) for name, figure in figures.items()))
        with self._database.reading() as connection:
            n = connection.execute(query).mappings().one()
        classified = n["received"] - n["waiting"]
        return Counts(
            received=n["received"],
            classified=classified,
            forwarded=classified - n["unrouted"] - n["undelivered"],
            pending=n["waiting"] + n["pending"] + n["uncommitted"],
            failed=n["failed"],
            abstained=n["abstained"],
            review=n["review"],
            unrouted=n["unrouted"],
            lost=n["lost"],
            conflicting=n["conflicting"],
            uncommitted=n["uncommitted"],
            unreported=n["unreported"],
        )

    def is_empty(self) -> bool:
        with self._database.reading() as connection:
            return connection.scalar(select(instances.c.id).limit(1)) is None

    def destinations(self) -> Sequence[DestinationCounts]:
        per_state = select(deliveries.c.destination, deliveries.c.state, func.count()).group_by(
            deliveries.c.destination, deliveries.c.state
        )
        oldest = (
            select(deliveries.c.destination, func.min(deliveries.c.due_at))
            .where(is_pending)
            .group_by(deliveries.c.destination)
        )
        latest = (
            select(deliveries.c.last_error)
            .where(deliveries.c.destination == destinations.c.name, is_troubled)
            .order_by(deliveries.c.trouble.desc(), deliveries.c.id.desc())
            .limit(1)
        )
        known = select(destinations.c.name, latest.scalar_subquery())
        with self._database.reading() as connection:
            counts = {(name, state): count for name, state, count in connection.execute(per_state)}
            due = {row[0]: row[1] for row in connection.execute(oldest)}
            errors = {row[0]: row[1] for row in connection.execute(known)}
        return [
            DestinationCounts(
                destination=name,
                pending=counts.get((name, DeliveryState.PENDING), 0),
                delivered=counts.get((name, DeliveryState.DELIVERED), 0),
                failed=counts.get((name, DeliveryState.FAILED), 0),
                oldest_due=due.get(name),
                last_error=errors[name],
                uncommitted=counts.get((name, DeliveryState.SENT), 0),
            )
            for name in sorted(errors)
        ]

    def oldest_received(self) -> datetime | None:
        with self._database.reading() as connection:
            oldest: datetime | None = connection.scalar(select(func.min(instances.c.received_at)).where(is_received))
        return oldest

    def find(self, uid: str) -> Sequence[InstanceRecord]:
        if not uid:
            return []  # images that lack a UID do not share one
        of_uid = or_(instances.c.sop_instance_uid == uid, instances.c.series_uid == uid, instances.c.study_uid == uid)
        # Each half has its index; joined by OR, PostgreSQL would walk through every instance.
        ids = union(
            select(instances.c.id).where(of_uid),
            select(deliveries.c.instance_id).where(deliveries.c.sent_uid == uid, was_sent),
        )
        query = select(instances).where(instances.c.id.in_(ids)).order_by(instances.c.received_at, instances.c.id)
        with self._database.reading() as connection:
            return _records(connection, [instance_of(row) for row in connection.execute(query).mappings()])

    def settled(self, *, after_id: int, limit: int) -> Sequence[InstanceRecord]:
        query = select(instances).where(is_settled, instances.c.id > after_id).order_by(instances.c.id).limit(limit)
        with self._database.reading() as connection:
            return _records(connection, [instance_of(row) for row in connection.execute(query).mappings()])

    def retired(self, *, before: datetime, limit: int, after: Instance | None = None) -> Sequence[Instance]:
        missing = exists().where(deliveries.c.instance_id == instances.c.id, is_undelivered)
        place = (instances.c.received_at, instances.c.id)
        had = exists().where(deliveries.c.instance_id == instances.c.id, _has_image)
        # Two conditions for `Instance.kept_since`: the first is that of the index.
        old = (instances.c.received_at < before) & or_(instances.c.resent_at.is_(None), instances.c.resent_at < before)
        query = select(instances).where(is_kept, is_settled, old, ~missing, had, ~is_conflicting)
        if after is not None:
            query = query.where(tuple_(*place) > tuple_(literal(after.received_at, UtcTime), literal(after.id)))
        query = query.order_by(*place).limit(limit)
        with self._database.reading() as connection:
            return [instance_of(row) for row in connection.execute(query).mappings()]

    def retire(self, instance_id: int, *, remove: Callable[[str], None], now: datetime) -> bool:
        # Held as an update would: what refers to these rows, such as an event, need not wait. The instance comes first,
        # as in `SqlIntake.restore`.
        here = select(instances.c.path).where(instances.c.id == instance_id, is_kept, is_settled, ~is_conflicting)
        of_it = deliveries.c.instance_id == instance_id
        ways = select(deliveries.c.state, _has_image.label("had")).where(of_it).order_by(deliveries.c.id)
        with _disk_errors_as_they_are(), self._database.writing() as connection:
            path = connection.scalar(here.with_for_update(key_share=True))
            known = connection.execute(ways.with_for_update(key_share=True)).all()
            delivered = all(way.state is DeliveryState.DELIVERED for way in known)
            if path is None or not delivered or not any(way.had for way in known):
                return False
            _remove(remove, path)
            connection.execute(_gone(instance_id))
            keep_events(connection, [Event(kind="retired", at=now, instance_id=instance_id)])
        return True

    def let_go(self, instance_id: int, *, remove: Callable[[str], None], now: datetime) -> bool:
        of_it = instances.c.id == instance_id
        here = select(instances.c.path).where(of_it, is_settled, may_be_let_go)
        with _disk_errors_as_they_are(), self._database.writing() as connection:
            uid = connection.scalar(select(instances.c.sop_instance_uid).where(of_it)) or ""
            one_at_a_time(connection, uid)  # two contents let each other go otherwise
            hold_contents(connection, uid)
            path = connection.scalar(here)
            if path is None:
                return False
            let_deliveries_go(connection, instance_id, now)
            _remove(remove, path)
            connection.execute(_gone(instance_id).values(let_go=True))
            keep_others_from(connection, instance_id, now)
            keep_events(connection, [Event(kind="let_go", at=now, instance_id=instance_id)])
        return True

    def note(self, event: Event) -> None:
        with self._database.writing() as connection:
            keep_events(connection, [event])

    def job_ran(self, run: JobRun) -> None:
        times = {"last_run": run.last_run, "next_run": run.next_run}
        with self._database.writing() as connection:
            statement = insert_into(connection, jobs).values(name=run.name, **times)
            connection.execute(statement.on_conflict_do_update(index_elements=[jobs.c.name], set_=times))

    def jobs(self) -> Sequence[JobRun]:
        with self._database.reading() as connection:
            runs = [job_of(row) for row in connection.execute(select(jobs)).mappings()]
        # Sorted here: a database sorts text by its own locale, and both must give the same order.
        return sorted(runs, key=lambda run: run.name)


class _StuckError(Exception):
    """Carries an error of the spool's disk past `translated`, which would take it for one of the ledger's."""

    def __init__(self, why: OSError) -> None:
        super().__init__()
        self.why = why


@contextmanager
def _disk_errors_as_they_are() -> Iterator[None]:
    try:
        yield
    except _StuckError as stuck:
        raise stuck.why from None


def _gone(instance_id: int) -> Update:
    return update(instances).where(instances.c.id == instance_id).values(spooled=False, lost=False)


def _remove(remove: Callable[[str], None], path: str) -> None:
    try:
        remove(path)
    except OSError as error:
        raise _StuckError(error) from error


def _count(table: Table, *only: ColumnElement[bool]) -> Select[int]:
    return select(func.count()).select_from(table).where(*only)


def _records(connection: Connection, found: Sequence[Instance]) -> list[InstanceRecord]:
    ids = [instance.id for instance in found]
    answers = _by_instance(connection, verdicts, ids)
    seen = _by_instance(connection, predictions, ids)
    ways = _by_instance(connection, deliveries, ids)
    history = _by_instance(connection, events, ids)
    said = _by_instance(connection, labels, ids)
    return [
        InstanceRecord(
            instance=instance,
            verdict=next(map(verdict_of, answers[instance.id]), None),
            recognition=next(map(recognition_of, seen[instance.id]), None),
            deliveries=tuple(map(delivery_of, ways[instance.id])),
            events=tuple(map(event_of, history[instance.id])),
            labels=tuple(map(label_of, said[instance.id])),
        )
        for instance in found
    ]


def _by_instance(connection: Connection, table: Table, ids: Sequence[int]) -> dict[int, list[Row]]:
    rows: dict[int, list[Row]] = defaultdict(list)
    for portion in in_portions(ids):
        query = select(table).where(table.c.instance_id.in_(portion)).order_by(*table.primary_key.columns)
        for row in connection.execute(query).mappings():
            rows[row["instance_id"]].append(row)
    return rows
