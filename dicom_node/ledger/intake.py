"""The ledger as the receiver sees it."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, Executable, bindparam, case, false, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from dicom_node.instance import Arrival, DeliveryState, Event, Instance, InstanceState, Receipt
from dicom_node.ledger.engine import Database
from dicom_node.ledger.history import keep_events
from dicom_node.ledger.queueing import begin_anew
from dicom_node.ledger.rows import instance_of, new_instance_row, storable
from dicom_node.ledger.schema import deliveries, instances, is_pending, studies, verdicts
from dicom_node.verdict import Outcome


class SqlIntake:
    """Implements `dicom_node.ports.Intake`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, sop_instance_uid: str, digest: str) -> Instance | None:
        uid = storable(sop_instance_uid)
        query = select(instances).where(instances.c.sop_instance_uid == uid, instances.c.digest == digest)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        return instance_of(row) if row else None

    def add(self, arrival: Arrival) -> Receipt:
        uid = storable(arrival.sop_instance_uid)
        with self._database.writing() as connection:
            one_at_a_time(connection, uid)
            same_uid = connection.execute(_OF_UID, {"uid": uid})
            here = [instance_of(row) for row in same_uid.mappings()]
            for instance in here:
                if instance.digest == arrival.digest:
                    return Receipt(instance=instance, duplicate=True)
            instance = _insert(connection, arrival, conflict=bool(here))
            _open_study(connection, instance)
        return Receipt(instance=instance, duplicate=False)

    def restore(self, instance_id: int, *, path: str, now: datetime, resend: bool = True) -> None:
        here = update(instances).where(instances.c.id == instance_id).values(spooled=True, lost=False, path=path)
        if resend:
            here = here.values(resent_at=now, let_go=False, unasked=False)
        else:
            here = here.values(unasked=or_(instances.c.unasked, instances.c.spooled == false()))
        over = ~is_pending if resend else deliveries.c.state == DeliveryState.FAILED
        with self._database.writing() as connection:
            connection.execute(here)
            connection.execute(begin_anew(now).where(deliveries.c.instance_id == instance_id, over))
            _look_again(connection, instance_id, now)


def one_at_a_time(connection: Connection, sop_instance_uid: str) -> None:
    """Let receivers of the same UID, and whoever decides between its contents, wait for each other; on SQLite, writers
    do so anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_QUEUE_UP, {"uid": sop_instance_uid})


def _insert(connection: Connection, arrival: Arrival, *, conflict: bool) -> Instance:
    row = connection.execute(_NEW, new_instance_row(arrival, conflict=conflict))
    instance = instance_of(row.mappings().one())
    kinds = ("received", "conflict") if conflict else ("received",)
    keep_events(connection, [Event(kind=kind, at=arrival.received_at, instance_id=instance.id) for kind in kinds])
    return instance


def _open_study(connection: Connection, instance: Instance) -> None:
    if not instance.study_uid:
        return  # images without a Study Instance UID do not belong together, and no closing is ever theirs
    statement = _OPEN_STUDY[connection.dialect.name]
    connection.execute(statement, {"study_uid": instance.study_uid, "newest_at": instance.received_at})


def _look_again(connection: Connection, instance_id: int, now: datetime) -> None:
    """At one that was settled without its file; every other verdict stands."""
    unseen = select(verdicts.c.instance_id).where(
        verdicts.c.instance_id == instance_id, verdicts.c.outcome == Outcome.UNREADABLE
    )
    wanted = (instances.c.state == InstanceState.SETTLED) & (instances.c.let_go == false())
    again = (
        update(instances)
        .where(instances.c.id == instance_id, wanted, unseen.exists())
        .values(state=InstanceState.RECEIVED, attempts=0, lease_owner=None, lease_until=None)
        .returning(instances)
    )
    row = connection.execute(again).mappings().first()
    if row is not None:
        _open_study(connection, replace(instance_of(row), received_at=now))


def _opening(study: sqlite.Insert | postgresql.Insert) -> Executable:
    coming = study.excluded.newest_at
    newest = case((coming > studies.c.newest_at, coming), else_=studies.c.newest_at)
    return study.values(closed_at=None).on_conflict_do_update(
        index_elements=[studies.c.study_uid], set_={"newest_at": newest, "closed_at": None}
    )


# Every image waits for these, and SQLAlchemy takes longer to build a statement than to run it: they are built once.
_QUEUE_UP = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("uid"), 0)))
_OF_UID = select(instances).where(instances.c.sop_instance_uid == bindparam("uid"))
_NEW = insert(instances).returning(instances)
_OPEN_STUDY = {
    "sqlite": _opening(sqlite.insert(studies)),
    "postgresql": _opening(postgresql.insert(studies)),
}
