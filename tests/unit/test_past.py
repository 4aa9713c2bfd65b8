"""Images of the past before today's configuration."""

import pytest

from dicom_node.classify import Plan, Stop
from dicom_node.errors import OutOfResourcesError
from dicom_node.instance import DeliveryState, Instance
from dicom_node.past import Replanning, plan_unrouted, route_again, settled_records
from dicom_node.policy import Policy
from dicom_node.ports import When
from dicom_node.receive import receive
from dicom_node.rules import Rule
from dicom_node.spool import Spool
from dicom_node.testing import MemoryLedger
from tests.contract.ledger.racing import due, to, verdict
from tests.dimse_objects import incoming
from tests.stories import NOON

HANDS = Rule(name="hands", when={"region": ("hand",)}, send_to=("hands",))
KNEES = Rule(name="knees", when={"region": ("knee",)}, send_to=("knees",))


SECRET = Rule(name="secret", when={"InstitutionName": ("Secret*",)}, send_to=("vault",), final=True)


@pytest.fixture
def ledger(tmp_path) -> MemoryLedger:
    """Three hands: one delivered to the PACS and given up elsewhere, one that waits for it, one that goes nowhere; and
    one without a verdict.
    """
    ledger = MemoryLedger()
    Spool.opened(tmp_path / "spool", 0, expected=lambda: False)
    settle(ledger, tmp_path, 1, "PACS", "OLD")
    ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.9", written=None, now=NOON)
    ledger.outbox.give_up("OLD", error="given up", now=NOON)
    settle(ledger, tmp_path, 2, "PACS")
    settle(ledger, tmp_path, 3)
    take(ledger, tmp_path, 4)
    return ledger


def take(ledger: MemoryLedger, tmp_path, number: int, **elements) -> Instance:
    item = incoming(f"1.2.3.{number}", StudyInstanceUID="1.2.1", SeriesInstanceUID="1.2.2", **elements)
    return receive(item, spool=Spool(tmp_path / "spool", 0), intake=ledger.intake, now=NOON).instance


def settle(ledger: MemoryLedger, tmp_path, number: int, *names: str, **elements) -> Instance:
    instance = take(ledger, tmp_path, number, **elements)
    ledger.work.settle(instance.id, verdict(), recognition=None, deliveries=to(*names))
    return instance


def planned(ledger: MemoryLedger, tmp_path, *names: str, uids=(), to_one: str | None = None) -> Replanning:
    """What planning comes to where these destinations are configured."""
    stops = [Stop(name=name, when=When.AT_ONCE) for name in names]
    return plan_unrouted(
        records=ledger.records,
        outbox=ledger.outbox,
        spool=Spool(tmp_path / "spool", 0),
        plan=Plan(policy=Policy(), rules=[SECRET, HANDS, KNEES], stops=stops),
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


def test_a_rule_of_the_past_reads_the_header_of_the_file(ledger, tmp_path) -> None:
    settle(ledger, tmp_path, 5, InstitutionName="Secret service")
    assert planned(ledger, tmp_path, "hands", "vault", uids=["1.2.3.5"]) == Replanning(added=1)
    assert destinations(ledger, 5) == ["vault"]


@pytest.mark.parametrize("left", [None, 300], ids=["missing", "broken off"])
def test_an_image_whose_file_is_not_whole_goes_nowhere_rather_than_by_an_invented_header(
    ledger, tmp_path, left: int | None
) -> None:
    path = tmp_path / "spool" / settle(ledger, tmp_path, 5, InstitutionName="Secret service").path
    content = path.read_bytes()
    path.unlink() if left is None else path.write_bytes(content[:left])
    assert planned(ledger, tmp_path, "hands", "vault", uids=["1.2.3.5"]) == Replanning(gone=1)
    assert destinations(ledger, 5) == []


def test_while_the_spool_is_away_nothing_is_routed_and_no_rule_is_tried(ledger, tmp_path) -> None:
    (tmp_path / "spool").rename(tmp_path / "elsewhere")
    (tmp_path / "spool").mkdir()
    with pytest.raises(OutOfResourcesError, match="check that its disk is mounted"):
        planned(ledger, tmp_path, "hands", "vault")
    record = next(settled_records(ledger.records))
    with pytest.raises(OutOfResourcesError, match="check that its disk is mounted"):
        route_again(record, Plan(policy=Policy(), rules=[SECRET], stops=[]), Spool(tmp_path / "spool", 0))
    assert destinations(ledger, 3) == []


def test_while_a_file_cannot_be_read_nothing_is_routed(ledger, tmp_path) -> None:
    path = tmp_path / "spool" / settle(ledger, tmp_path, 5, InstitutionName="Secret service").path
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(OutOfResourcesError, match="cannot be read now"):
        planned(ledger, tmp_path, "hands", "vault", uids=["1.2.3.5"])
    assert destinations(ledger, 5) == []


def test_only_images_of_the_given_uids_are_planned_for(ledger, tmp_path) -> None:
    assert planned(ledger, tmp_path, "hands", to_one="hands", uids=["1.2.3.2"]) == Replanning(added=1)
    assert planned(ledger, tmp_path, "hands", uids=["1.404"]) == Replanning()
