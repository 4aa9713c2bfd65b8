"""The ledger as the check at start-up sees it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, true, union, update

from dicom_node.instance import Event, Instance
from dicom_node.ledger.engine import Database, insert_into
from dicom_node.ledger.history import keep_events
from dicom_node.ledger.rows import instance_of
from dicom_node.ledger.schema import deliveries, facts, instances, is_pending, is_received

_SPOOL = select(facts.c.value).where(facts.c.name == "spool")


class SqlRepairs:
    """Implements `dicom_node.ports.Repairs`."""

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
