"""What the receiver may rely on."""

from datetime import UTC, datetime, timedelta, timezone

from dicom_node.instance import InstanceState
from dicom_node.ports import Ledger
from tests.contract.ledger.racing import SECOND, race, settled
from tests.stories import NOON, arrival


def test_an_arrival_can_be_found_again_as_it_was_given(ledger: Ledger) -> None:
    given = arrival(1, body_part="HÄND", size=2**40)
    receipt = ledger.intake.add(given)
    found = ledger.intake.find(given.sop_instance_uid, given.digest)
    assert found == receipt.instance
    assert {name: getattr(found, name) for name in vars(given)} == vars(given)
    assert (found.state, found.attempts, found.conflict, found.spooled) == (InstanceState.RECEIVED, 0, False, True)
    assert not receipt.duplicate


def test_a_uid_with_other_content_is_not_found(ledger: Ledger) -> None:
    ledger.intake.add(arrival(1))
    assert ledger.intake.find("1.2.3.1", "f" * 64) is None
    assert ledger.intake.find("1.2.3.2", f"{1:064x}") is None


def test_times_are_kept_to_the_microsecond_whatever_their_zone(ledger: Ledger) -> None:
    local = datetime(2026, 3, 1, 1, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    ledger.intake.add(arrival(1, received_at=local))
    (record,) = ledger.records.find("1.2.3.1")
    assert record.instance.received_at == local
    assert ledger.records.oldest_received() == datetime(2026, 2, 28, 20, 0, 0, 123456, tzinfo=UTC)


def test_the_same_object_again_is_the_instance_that_is_here(ledger: Ledger) -> None:
    first = ledger.intake.add(arrival(1))
    again = ledger.intake.add(arrival(1, path="elsewhere", received_at=NOON + SECOND))
    assert again.duplicate
    assert again.instance == first.instance
    assert ledger.records.counts().received == 1


def test_a_duplicate_of_a_settled_instance_makes_no_new_work(ledger: Ledger) -> None:
    settled(ledger)
    again = ledger.intake.add(arrival(1))
    assert again.duplicate
    assert again.instance.state is InstanceState.SETTLED
    assert ledger.records.counts().pending == 0


def test_the_same_uid_with_other_content_is_kept_beside_and_flagged(ledger: Ledger) -> None:
    first = ledger.intake.add(arrival(1))
    other = ledger.intake.add(arrival(1, digest="f" * 64, received_at=NOON + SECOND))
    assert not other.duplicate
    assert (first.instance.conflict, other.instance.conflict) == (False, True)
    original, flagged = ledger.records.find("1.2.3.1")
    assert original.events == ()
    assert [(event.kind, event.at) for event in flagged.events] == [("conflict", NOON + SECOND)]


def test_receivers_that_race_with_one_object_make_one_instance(ledger: Ledger) -> None:
    receipts = race(*[lambda: ledger.intake.add(arrival(1)) for _ in range(8)])
    assert sorted(receipt.duplicate for receipt in receipts) == [False] + [True] * 7
    assert len({receipt.instance.id for receipt in receipts}) == 1


def test_of_receivers_that_race_with_one_uid_all_but_one_conflict(ledger: Ledger) -> None:
    receipts = race(*[lambda n=n: ledger.intake.add(arrival(1, digest=f"{n:064x}")) for n in range(8)])
    assert sorted(receipt.instance.conflict for receipt in receipts) == [False] + [True] * 7
    assert ledger.records.counts().received == 8


def test_many_receivers_at_once_lose_nothing(ledger: Ledger) -> None:
    def receive(sender: int) -> int:
        return sum(not ledger.intake.add(arrival(100 * sender + n)).duplicate for n in range(20))

    assert race(*[lambda s=s: receive(s) for s in range(6)]) == [20] * 6
    assert ledger.records.counts().received == 120
    assert len(ledger.records.find("1.2.1")) == 120


def test_text_that_no_database_column_holds_costs_no_image(ledger: Ledger) -> None:
    receipt = ledger.intake.add(arrival(1, body_part="HAND\0", calling_ae="\ud800"))
    assert ledger.intake.find("1.2.3.1", receipt.instance.digest) == receipt.instance
