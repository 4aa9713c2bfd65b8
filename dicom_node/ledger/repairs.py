"""The ledger as the check at start-up sees it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Table, Update, exists, select, true, union, update

from dicom_node.instance import Event, Instance
from dicom_node.ledger.engine import Database, insert_into
from dicom_node.ledger.history import keep_events
from dicom_node.ledger.rows import instance_of
from dicom_node.ledger.schema import (
    Condition,
    deliveries,
    facts,
    instances,
    is_held,
    is_in_hand,
    is_pending,
    is_promised,
    is_received,
    is_sent,
    promises,
)
from dicom_node.repair import LongestWaits

_SPOOL = select(facts.c.value).where(facts.c.name == "spool")


# What is put right in one transaction; the rest has its turn soon.
PORTION = 5000


class SqlRepairs:
    """Implements `dicom_node.repair.Repairs`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lease_holders(self) -> Sequence[str]:
        holders = union(
            select(instances.c.lease_owner).where(is_received, instances.c.lease_owner.is_not(None)),
            select(deliveries.c.lease_owner).where(is_pending, deliveries.c.lease_owner.is_not(None)),
        )
        with self._database.reading() as connection:
            return sorted(connection.scalars(holders))

    def break_leases(self, holder: str) -> int:
        free = {"lease_owner": None, "lease_until": None}
        looked_at = update(instances).where(is_received, instances.c.lease_owner == holder).values(free)
        sent = update(deliveries).where(is_pending, deliveries.c.lease_owner == holder).values(free)
        with self._database.writing() as connection:
            return connection.execute(looked_at).rowcount + connection.execute(sent).rowcount

    def put_right(self, *, now: datetime, waits: LongestWaits) -> int:
        changes = list(_changes(now, waits))
        with self._database.reading() as connection:
            wrong = [one for one in changes if connection.scalar(select(exists().where(*one.where)))]
        if not wrong:
            return 0  # as nearly always: nobody waits for a write
        with self._database.writing() as connection:
            return sum(connection.execute(one.statement()).rowcount for one in wrong)

    def kept(self, *, after_id: int, limit: int) -> Sequence[Instance]:
        there = instances.c.spooled == true()
        query = select(instances).where(there, instances.c.id > after_id).order_by(instances.c.id).limit(limit)
        with self._database.reading() as connection:
            return [instance_of(row) for row in connection.execute(query).mappings()]

    def lose(self, instance_id: int, *, now: datetime) -> bool:
        gone = update(instances).where(instances.c.id == instance_id, instances.c.spooled == true())
        with self._database.writing() as connection:
            if not connection.execute(gone.values(spooled=False, lost=True)).rowcount:
                return False
            keep_events(connection, [Event(kind="lost", at=now, instance_id=instance_id)])
        return True

    def spool(self) -> str | None:
        with self._database.reading() as connection:
            return connection.scalar(_SPOOL)

    def keep_spool(self, spool_id: str) -> str:
        with self._database.writing() as connection:
            first = insert_into(connection, facts).values(name="spool", value=spool_id)
            connection.execute(first.on_conflict_do_nothing())
            return str(connection.scalars(_SPOOL).one())


@dataclass(frozen=True, kw_only=True)
class _Change:
    """What is to become of rows whose times lie too far ahead."""

    table: Table
    where: tuple[Condition, ...]
    values: Mapping[str, object]

    def statement(self) -> Update:
        # Whoever holds one of them at this moment writes it anew anyway: nobody is waited for, in whatever order.
        ids = select(self.table.c.id).where(*self.where).limit(PORTION)
        these = self.table.c.id.in_(ids.with_for_update(skip_locked=True))
        return update(self.table).where(these).values(self.values)


def _changes(now: datetime, waits: LongestWaits) -> Iterator[_Change]:
    """One for each index that finds them: the others who wait are not visited."""
    latest = now + waits.lease  # by the clock of whichever node is ahead
    free = {"lease_owner": None, "lease_until": None}
    for table, leased in ((instances, is_held), (deliveries, is_in_hand)):
        yield _Change(table=table, where=(leased, table.c.lease_until > latest + waits.lease), values=free)
    due = {"due_at": now}  # and no time from which patience counts: see `Repairs.put_right`
    for state, longest in ((is_pending, waits.sending), (is_sent, waits.asking)):
        for name, wait in longest.items():
            theirs = (deliveries.c.destination == name, state, deliveries.c.due_at > latest + wait)
            yield _Change(table=deliveries, where=theirs, values=due)
    yield _Change(table=promises, where=(is_promised, promises.c.due_at > latest + waits.telling), values=due)
