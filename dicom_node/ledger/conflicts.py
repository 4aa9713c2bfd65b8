"""Several contents of one UID, of which a destination may have any: retention leaves each of them where it is, until a
person has let the others go.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Select, exists, false, select, true, update

from dicom_node.errors import BeingSentError
from dicom_node.instance import DeliveryState, Event
from dicom_node.ledger.commitments import forget_asking
from dicom_node.ledger.engine import in_portions
from dicom_node.ledger.history import keep_events
from dicom_node.ledger.schema import Condition, deliveries, instances, is_undelivered

BEING_SENT = "it is being sent at this moment; nothing was changed: try again in a minute"

_others = instances.alias("others")
_flagged = instances.alias("flagged")

_other = (
    (_others.c.sop_instance_uid == instances.c.sop_instance_uid)
    & (_others.c.id != instances.c.id)
    & (_others.c.let_go == false())
)
is_conflicting: Condition = (instances.c.let_go == false()) & exists().where(_other)
# One that is lost is no reason to let the others go.
may_be_let_go: Condition = (instances.c.let_go == false()) & exists().where(_other, _others.c.lost == false())


def conflicting_ids() -> Select[int]:
    """Of a UID's contents all but the first are flagged: few, and in an index of their own."""
    uids = select(_flagged.c.sop_instance_uid).where(_flagged.c.conflict == true())
    return select(instances.c.id).where(instances.c.sop_instance_uid.in_(uids), is_conflicting)


def hold_contents(connection: Connection, sop_instance_uid: str) -> None:
    """Whoever changes one of them waits, or has done so; in order of id, as whoever holds several rows does."""
    theirs = select(instances.c.id).where(instances.c.sop_instance_uid == sop_instance_uid)
    connection.execute(theirs.order_by(instances.c.id).with_for_update(key_share=True))


def keep_others_from(connection: Connection, instance_id: int, now: datetime) -> None:
    """What stays counts as just received: its destination may have the one that is let go, and miss this one, and a
    person has to have the time to send it again.
    """
    uid = select(_others.c.sop_instance_uid).where(_others.c.id == instance_id).scalar_subquery()
    stay = (instances.c.sop_instance_uid == uid) & (instances.c.id != instance_id) & (instances.c.let_go == false())
    connection.execute(update(instances).where(stay).values(resent_at=now))


def let_deliveries_go(connection: Connection, instance_id: int, now: datetime) -> None:
    """Nothing waits, or fails, for an instance any more; what was made stays made. Raises BeingSentError."""
    missing = select(deliveries.c.id, deliveries.c.lease_until).where(
        deliveries.c.instance_id == instance_id, is_undelivered
    )
    found = connection.execute(missing.order_by(deliveries.c.id).with_for_update()).all()
    if any(way.lease_until is not None and way.lease_until > now for way in found):
        raise BeingSentError(BEING_SENT)
    ids = [way.id for way in found]
    forget_asking(connection, ids)
    # A lease that has run out stays: whoever had it may still be sending (`conflict_anew`).
    over = {"state": DeliveryState.LET_GO, "trouble": None}
    connection.execute(update(deliveries).where(deliveries.c.id.in_(ids)).values(over))


def conflict_anew(connection: Connection, instance_ids: Sequence[int], now: datetime) -> None:
    """Which of these were let go while somebody was sending them: now a destination has them after all, and whether
    that is well a person has to decide anew.
    """
    for portion in in_portions(instance_ids):
        back = update(instances).where(instances.c.id.in_(portion), instances.c.let_go == true()).values(let_go=False)
        keys = connection.scalars(back.returning(instances.c.id)).all()
        keep_events(connection, [Event(kind="conflict", at=now, instance_id=key) for key in sorted(keys)])
