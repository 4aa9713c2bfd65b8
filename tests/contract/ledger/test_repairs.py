"""What the check at start-up asks of a ledger."""

from datetime import timedelta

from dicom_node.instance import DeliveryState, PlannedDelivery
from dicom_node.ports import Ledger
from tests.contract.ledger.racing import race, verdict
from tests.stories import LEASE, NOON, arrival, received


def test_leases_of_a_dead_worker_are_free_at_once_and_its_attempt_stays_counted(ledger: Ledger) -> None:
    received(ledger, 1)
    assert ledger.repairs.lease_holders() == ["w"]
    assert ledger.work.claim(worker="v", limit=1, now=NOON, lease=LEASE) == []
    assert ledger.repairs.break_leases("w") == 1
    (again,) = ledger.work.claim(worker="v", limit=1, now=NOON, lease=LEASE)
    assert again.attempts == 2


def test_deliveries_of_a_dead_worker_are_free_at_once(ledger: Ledger) -> None:
    instance = received(ledger, 1)
    ledger.work.settle(
        instance.id, verdict(), recognition=None, deliveries=[PlannedDelivery(destination="PACS", due_at=NOON)]
    )
    later = NOON + timedelta(seconds=1)
    assert ledger.outbox.claim(destination="PACS", worker="dead", limit=1, now=later, lease=LEASE)
    assert ledger.repairs.break_leases("somebody else") == 0
    assert ledger.repairs.break_leases("dead") == 1
    assert ledger.repairs.lease_holders() == []
    assert ledger.outbox.claim(destination="PACS", worker="alive", limit=1, now=later, lease=LEASE)


def test_a_lost_file_is_counted_told_and_no_longer_looked_for(ledger: Ledger) -> None:
    first = ledger.intake.add(arrival(1)).instance
    second = ledger.intake.add(arrival(2)).instance
    ledger.repairs.lose(first.id, now=NOON)
    ledger.repairs.lose(first.id, now=NOON)
    assert ledger.records.counts().lost == 1
    assert [one.id for one in ledger.repairs.kept(after_id=0, limit=9)] == [second.id]
    (record,) = ledger.records.find(first.sop_instance_uid)
    assert not record.instance.spooled
    assert [event.kind for event in record.events] == ["received", "lost"]


def test_what_comes_again_is_not_lost_any_more_and_goes_out(ledger: Ledger) -> None:
    instance = received(ledger, 1)
    ledger.work.settle(
        instance.id, verdict(), recognition=None, deliveries=[PlannedDelivery(destination="PACS", due_at=NOON)]
    )
    (delivery,) = ledger.outbox.claim(destination="PACS", worker="w", limit=1, now=NOON, lease=LEASE)
    ledger.repairs.lose(instance.id, now=NOON)
    ledger.outbox.fail(delivery.id, error="the file is gone", now=NOON)
    ledger.intake.restore(instance.id, path=instance.path, now=NOON)
    assert ledger.records.counts().lost == 0
    (record,) = ledger.records.find(instance.sop_instance_uid)
    assert record.instance.spooled
    assert [one.state for one in record.deliveries] == [DeliveryState.PENDING]


def test_the_first_spool_that_a_ledger_meets_is_its_own_for_good(ledger: Ledger) -> None:
    assert ledger.repairs.spool() is None
    answers = race(*[lambda name=name: ledger.repairs.keep_spool(name) for name in ("one", "two", "three")])
    (kept,) = set(answers)
    assert ledger.repairs.keep_spool("another") == kept == ledger.repairs.spool()


def test_rows_are_walked_through_in_pages(ledger: Ledger) -> None:
    ids = [ledger.intake.add(arrival(number)).instance.id for number in range(5)]
    first = ledger.repairs.kept(after_id=0, limit=3)
    rest = ledger.repairs.kept(after_id=first[-1].id, limit=3)
    assert [one.id for one in (*first, *rest)] == ids
