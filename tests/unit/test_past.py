"""Images of the past before today's configuration."""

import pytest

from dicom_node.classify import Plan, Stop
from dicom_node.instance import DeliveryState
from dicom_node.past import Replanning, plan_unrouted
from dicom_node.policy import Policy
from dicom_node.ports import When
from dicom_node.rules import Rule
from dicom_node.spool import Spool
from dicom_node.testing import MemoryLedger
from tests.contract.ledger.racing import due, settled, to
from tests.stories import NOON, arrival

HANDS = Rule(name="hands", when={"region": ("hand",)}, send_to=("hands",))
KNEES = Rule(name="knees", when={"region": ("knee",)}, send_to=("knees",))


@pytest.fixture
def ledger() -> MemoryLedger:
    """Three hands: one delivered to the PACS and given up elsewhere, one that waits for it, one that goes nowhere; and
    one without a verdict.
    """
    ledger = MemoryLedger()
    settled(ledger, 1, deliveries=to("PACS", "OLD"))
    ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.9", written=None, now=NOON)
    ledger.outbox.give_up("OLD", error="given up", now=NOON)
    settled(ledger, 2, deliveries=to("PACS"))
    settled(ledger, 3)
    ledger.intake.add(arrival(4))
    return ledger


def planned(ledger: MemoryLedger, tmp_path, *names: str, uids=(), to_one: str | None = None) -> Replanning:
    """What planning comes to where these destinations are configured; the spool is empty, which rules survive."""
    stops = [Stop(name=name, when=When.AT_ONCE) for name in names]
    return plan_unrouted(
        records=ledger.records,
        outbox=ledger.outbox,
        spool=Spool(tmp_path / "spool", 0),
        plan=Plan(policy=Policy(), rules=[HANDS, KNEES], stops=stops),
        uids=uids,
        destination=to_one,
        now=NOON,
    )


def destinations(ledger: MemoryLedger, number: int) -> list[str]:
    return sorted(delivery.destination for delivery in ledger.records.find(f"1.2.3.{number}")[0].deliveries)


def test_without_a_destination_only_images_that_have_no_delivery_get_some(ledger, tmp_path) -> None:
    assert planned(ledger, tmp_path, "PACS", "hands", "knees") == Replanning(added=2, served=2)
    assert destinations(ledger, 3) == ["PACS", "hands"]
    assert destinations(ledger, 1) == ["OLD", "PACS"]


def test_a_destination_that_was_added_later_gets_the_images_of_the_past(ledger, tmp_path) -> None:
    assert planned(ledger, tmp_path, "PACS", "hands", to_one="hands") == Replanning(added=3)
    assert [delivery.state for delivery in due(ledger, "hands")] == [DeliveryState.PENDING] * 3
    assert destinations(ledger, 3) == ["hands"]
    assert destinations(ledger, 4) == []
    assert planned(ledger, tmp_path, "PACS", "hands", to_one="hands") == Replanning(served=3)


def test_a_destination_gets_no_image_that_todays_rules_send_elsewhere(ledger, tmp_path) -> None:
    assert planned(ledger, tmp_path, "PACS", "knees", to_one="knees") == Replanning(unwanted=3)
    assert destinations(ledger, 3) == []


def test_a_destination_gets_no_second_delivery_of_an_image_whatever_became_of_the_first(ledger, tmp_path) -> None:
    assert planned(ledger, tmp_path, "OLD", to_one="OLD") == Replanning(added=2, served=1)
    assert [ledger.records.find("1.2.3.1")[0].deliveries[0].state, len(due(ledger, "OLD"))] == [DeliveryState.FAILED, 2]


def test_an_image_whose_file_is_gone_goes_nowhere(ledger, tmp_path) -> None:
    for instance in ledger.repairs.kept(after_id=1, limit=9):
        ledger.repairs.lose(instance.id, now=NOON)
    assert planned(ledger, tmp_path, "hands", to_one="hands") == Replanning(added=1, gone=2)


def test_only_images_of_the_given_uids_are_planned_for(ledger, tmp_path) -> None:
    assert planned(ledger, tmp_path, "hands", to_one="hands", uids=["1.2.3.2"]) == Replanning(added=1)
    assert planned(ledger, tmp_path, "hands", uids=["1.404"]) == Replanning()
