"""What becomes of deliveries that somebody puts back into the queue."""

from pathlib import Path

from sqlalchemy import event, insert, select

from dicom_node.instance import DeliveryState
from dicom_node.ledger import open_ledger
from dicom_node.ledger.schema import deliveries, instances
from dicom_node.ports import Ledger
from tests.contract.ledger.racing import SECOND, delivery_of, due, settled, to
from tests.stories import LEASE, NOON


def failed(ledger: Ledger, *numbers: int) -> None:
    for number in numbers:
        settled(ledger, number, study_uid=f"1.7.{number}", series_uid=f"1.8.{number}", deliveries=to("PACS"))
    for delivery in due(ledger):
        ledger.outbox.fail(delivery.id, error="no", now=NOON)


def test_requeuing_begins_anew(ledger: Ledger) -> None:
    """Patience counts from planned_at: without a new one the first transient failure would be the last."""
    failed(ledger, 1)
    later = NOON + 9 * LEASE
    assert ledger.outbox.requeue(state=DeliveryState.FAILED, uids=[], now=later) == 1
    (again,) = due(ledger, now=later)
    assert (again.state, again.attempts, again.last_error) == (DeliveryState.PENDING, 0, None)
    assert (again.planned_at, again.due_at) == (later, later)


def test_requeuing_by_uid_takes_instances_series_and_studies(ledger: Ledger) -> None:
    failed(ledger, 1, 2, 3, 4)
    uids = ["1.2.3.1", "1.8.2", "1.7.3", "1.7.1", "1.404"]
    assert ledger.outbox.requeue(state=DeliveryState.FAILED, uids=uids, now=NOON) == 3
    assert ledger.outbox.requeue(state=DeliveryState.FAILED, uids=["1.404"], now=NOON) == 0
    assert delivery_of(ledger, 4).state is DeliveryState.FAILED


def test_requeuing_what_is_delivered_sends_it_again(ledger: Ledger) -> None:
    settled(ledger, deliveries=to("PACS"))
    ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.9", written=None, now=NOON)
    assert ledger.outbox.requeue(state=DeliveryState.DELIVERED, uids=["1.2.1"], now=NOON) == 1
    (again,) = due(ledger)
    assert (again.sent_uid, again.delivered_at, again.attempts) == (None, None, 0)


def test_requeuing_takes_nothing_out_of_the_hands_of_a_sender(ledger: Ledger) -> None:
    settled(ledger, deliveries=to("PACS"))
    due(ledger)
    assert ledger.outbox.requeue(state=DeliveryState.PENDING, uids=[], now=NOON) == 1
    assert due(ledger) == []


def test_requeuing_leaves_what_waits_for_its_study_to_close_unless_it_is_named(ledger: Ledger) -> None:
    settled(ledger, 1, deliveries=[*to("PACS", due=None), *to("AI", due=NOON + 9 * SECOND)])
    assert ledger.outbox.requeue(state=DeliveryState.PENDING, uids=[], now=NOON) == 1
    assert (delivery_of(ledger).due_at, delivery_of(ledger, destination="AI").due_at) == (None, NOON)
    assert ledger.outbox.requeue(state=DeliveryState.PENDING, uids=["1.2.3.1"], now=NOON) == 2
    assert delivery_of(ledger).due_at == NOON


def test_requeuing_leaves_the_record_of_a_delivery_whose_image_is_not_here_any_more(ledger: Ledger) -> None:
    """It could only fail, and what the destination has, and when it got it, would be known no more."""
    for number in (1, 2):
        settled(ledger, number, deliveries=to("PACS"))
    for delivery in due(ledger):
        ledger.outbox.delivered(delivery.id, sent_uid="1.9", written="HAND", now=NOON)
    ledger.records.retire(ledger.records.find("1.2.3.1")[0].instance.id, remove=lambda _: None, now=NOON)
    assert ledger.outbox.requeue(state=DeliveryState.DELIVERED, uids=["1.2.1"], now=NOON) == 1
    kept = delivery_of(ledger, 1)
    assert (kept.state, kept.delivered_at, kept.sent_uid, kept.written) == (
        DeliveryState.DELIVERED,
        NOON,
        "1.9",
        "HAND",
    )


def test_requeuing_can_be_for_some_destinations(ledger: Ledger) -> None:
    settled(ledger, 1, deliveries=to("A", "B", "C", due=NOON + SECOND))
    assert ledger.outbox.requeue(state=DeliveryState.PENDING, uids=[], destinations=["A", "C"], now=NOON) == 2
    assert ledger.outbox.requeue(state=DeliveryState.PENDING, uids=["1.2.3.1"], destinations=[], now=NOON) == 0
    assert [way.due_at for way in ledger.records.find("1.2.3.1")[0].deliveries] == [NOON, NOON + SECOND, NOON]


def test_many_deliveries_change_in_portions_so_that_others_can_write_in_between(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    first = settled(ledger, 1, deliveries=to("PACS"))
    engine = ledger._database._engine
    with engine.begin() as connection:
        row = dict(connection.execute(select(instances).where(instances.c.id == first.id)).mappings().one())
        more = [row | {"id": key, "sop_instance_uid": f"1.2.3.{key}"} for key in range(2, 10_002)]
        connection.execute(insert(instances), more)
        way = dict(connection.execute(select(deliveries)).mappings().one())
        connection.execute(insert(deliveries), [way | {"id": one["id"], "instance_id": one["id"]} for one in more])
    commits: list[object] = []
    event.listen(engine, "commit", commits.append)
    assert ledger.outbox.give_up("PACS", error="gone", now=NOON) == 10_001
    assert ledger.outbox.requeue(state=DeliveryState.FAILED, uids=[], destinations=["PACS"], now=NOON) == 10_001
    assert len(commits) >= 6
    ledger.close()
