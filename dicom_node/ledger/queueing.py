"""How a delivery enters the queue, for the first time and anew."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, ScalarSelect, Update, func, select, update

from dicom_node.instance import DeliveryState, PlannedDelivery
from dicom_node.ledger.engine import insert_into
from dicom_node.ledger.rows import storable
from dicom_node.ledger.schema import deliveries, destinations, is_pending


def enqueue(
    connection: Connection,
    instance_id: int,
    planned: Sequence[PlannedDelivery],
    *,
    now: datetime,
    closing_ahead: bool,
    anew: bool = False,
) -> int:
    """Add deliveries where the instance has none for their destinations yet; returns how many. With `anew` it counts
    those too that wait already, and get the times of the new plan.

    `closing_ahead`: whether its study will still be closed. If not, nothing may wait for that, and `now` takes the
    place of a due_at of None.
    """
    added = 0
    # In order of name: two workers that meet a new destination at once must not wait for each other in a circle.
    for plan in sorted(planned, key=lambda plan: plan.destination):
        due_at = plan.due_at if closing_ahead else plan.due_at or now
        added += _enqueue_one(connection, instance_id, plan.destination, due_at=due_at, now=now, anew=anew)
    return added


def _enqueue_one(
    connection: Connection, instance_id: int, destination: str, *, due_at: datetime | None, now: datetime, anew: bool
) -> bool:
    connection.execute(insert_into(connection, destinations).values(name=destination).on_conflict_do_nothing())
    new = insert_into(connection, deliveries).values(
        instance_id=instance_id,
        destination=destination,
        state=DeliveryState.PENDING,
        planned_at=now,
        due_at=due_at,
        attempts=0,
    )
    way = [deliveries.c.instance_id, deliveries.c.destination]
    times = {"planned_at": now, "due_at": due_at}
    put = (
        new.on_conflict_do_update(index_elements=way, set_=times, where=is_pending)
        if anew
        else new.on_conflict_do_nothing()
    )
    return connection.scalar(put.returning(deliveries.c.id)) is not None


def begin_anew(now: datetime) -> Update:
    """Deliveries as if they had just been planned, and due at once; the caller says which.

    planned_at moves too: a retry policy's patience counts from it, and this is a new beginning. A lease stays: a
    pending delivery that somebody is sending at this moment must not be sent by a second worker beside.
    """
    return update(deliveries).values(
        state=DeliveryState.PENDING,
        planned_at=now,
        due_at=now,
        attempts=0,
        last_error=None,
        delivered_at=None,
        sent_uid=None,
        written=None,
        trouble=None,
        refusals=0,
    )


def troubled(error: str) -> Update:
    """Deliveries of one destination with an error that is its latest; the caller says which, and what else becomes of
    them.
    """
    return update(deliveries).values(last_error=storable(error), trouble=func.coalesce(_latest_trouble(), 0) + 1)


def _latest_trouble() -> ScalarSelect[int]:
    """The highest place that an error has at the destination of the delivery that is being updated."""
    others = deliveries.alias("others")
    return (
        select(others.c.trouble)
        .where(others.c.destination == deliveries.c.destination, others.c.trouble.is_not(None))
        .order_by(others.c.trouble.desc())
        .limit(1)
        .correlate(deliveries)
        .scalar_subquery()
    )
