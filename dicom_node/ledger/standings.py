"""The ledger as those see it who look for images: which ones it is that are counted."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, Select, func, select, union

from dicom_node.instance import Delivery, Instance
from dicom_node.ledger.conflicts import conflicting_ids
from dicom_node.ledger.engine import Database, in_portions
from dicom_node.ledger.rows import delivery_of, instance_of, verdict_of
from dicom_node.ledger.schema import (
    Condition,
    deliveries,
    instances,
    is_abstained,
    is_failed,
    is_for_review,
    is_lost,
    is_pending,
    is_received,
    is_sent,
    is_unreadable,
    is_unrouted,
    verdicts,
)
from dicom_node.standing import ImageList, Standing, StandingImage, delivery_states
from dicom_node.verdict import Verdict

# Literal, as the partial indexes want it; the same conditions with which `SqlRecords.counts` counts.
_OF_VERDICTS: Mapping[Standing, Condition] = {
    Standing.ABSTAINED: is_abstained,
    Standing.REVIEW: is_for_review,
    Standing.UNREADABLE: is_unreadable,
}
_OF_INSTANCES: Mapping[Standing, Condition] = {Standing.UNROUTED: is_unrouted, Standing.LOST: is_lost}
_OF_DELIVERIES: Mapping[Standing, Sequence[Condition]] = {
    Standing.FAILED: (is_failed,),
    Standing.UNCOMMITTED: (is_sent,),
    Standing.PENDING: (is_pending, is_sent),
}


class SqlStandings:
    """Implements `dicom_node.standing.Standings`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def images(self, standing: Standing, *, destination: str | None = None, limit: int) -> ImageList:
        all_ids = _ids(standing, destination)
        key = all_ids.selected_columns[0]
        with self._database.reading() as connection:
            ids = connection.scalars(all_ids.order_by(key.desc()).limit(limit)).all()
            total = len(ids)
            if total == limit:  # else all there are were asked for
                total = connection.scalar(select(func.count()).select_from(all_ids.subquery())) or 0
            return ImageList(images=tuple(_images(connection, ids, standing, destination)), total=total)


def _ids(standing: Standing, destination: str | None) -> Select[int]:
    if standing in _OF_VERDICTS:
        return select(verdicts.c.instance_id).where(_OF_VERDICTS[standing])
    if standing is Standing.CONFLICTING:
        return select(instances.c.id).where(instances.c.id.in_(conflicting_ids()))
    if standing in _OF_INSTANCES:
        return select(instances.c.id).where(_OF_INSTANCES[standing])
    waiting: list[Select[int]] = [select(deliveries.c.instance_id).where(one) for one in _OF_DELIVERIES[standing]]
    if destination is not None:
        # Of the conditions the first: what is pending there does not include what is uncommitted (`delivery_states`).
        waiting = [waiting[0].where(deliveries.c.destination == destination)]
    elif standing is Standing.PENDING:
        waiting.append(select(instances.c.id).where(is_received))
    # Not sorted here: SQLite would read all deliveries in the order of instances rather than sort the few that wait.
    return select(instances.c.id).where(instances.c.id.in_(union(*waiting)))


def _images(
    connection: Connection, ids: Sequence[int], standing: Standing, destination: str | None
) -> Iterable[StandingImage]:
    for portion in in_portions(ids):
        here = _instances(connection, portion)
        answers = _verdicts(connection, portion)
        ways = _deliveries(connection, portion, standing, destination)
        for key in portion:
            yield StandingImage(instance=here[key], verdict=answers.get(key), deliveries=tuple(ways[key]))


def _instances(connection: Connection, ids: Sequence[int]) -> dict[int, Instance]:
    rows = connection.execute(select(instances).where(instances.c.id.in_(ids))).mappings()
    return {row["id"]: instance_of(row) for row in rows}


def _verdicts(connection: Connection, ids: Sequence[int]) -> dict[int, Verdict]:
    rows = connection.execute(select(verdicts).where(verdicts.c.instance_id.in_(ids))).mappings()
    return {row["instance_id"]: verdict_of(row) for row in rows}


def _deliveries(
    connection: Connection, ids: Sequence[int], standing: Standing, destination: str | None
) -> dict[int, list[Delivery]]:
    found: dict[int, list[Delivery]] = defaultdict(list)
    states = delivery_states(standing, destination)
    if not states:
        return found
    query = select(deliveries).where(deliveries.c.instance_id.in_(ids), deliveries.c.state.in_(states))
    if destination is not None:
        query = query.where(deliveries.c.destination == destination)
    for row in connection.execute(query.order_by(deliveries.c.id)).mappings():
        found[row["instance_id"]].append(delivery_of(row))
    return found
