"""From a sighting to a verdict with its deliveries."""

from datetime import timedelta

import pytest

from dicom_node.classify import Plan, Stop, settle
from dicom_node.policy import Policy
from dicom_node.ports import When
from dicom_node.regions import Region
from dicom_node.rules import Rule
from dicom_node.testing import MemoryLedger
from dicom_node.verdict import Agreement, Decision, Outcome
from tests.stories import NOON, received, seen

PACS = Stop(name="pacs", when=When.AT_ONCE)


def plan(*, stops=(PACS,), rules=(), **policy) -> Plan:
    return Plan(policy=Policy(**policy), rules=rules, stops=stops)


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


def delivered_to(ledger: MemoryLedger, uid: str) -> dict[str, object]:
    return {delivery.destination: delivery.due_at for delivery in ledger.records.find(uid)[0].deliveries}


def test_an_empty_header_is_filled_with_what_the_pixels_show(ledger) -> None:
    verdict = settle(received(ledger), seen(Region.HAND), plan=plan(), work=ledger.work, now=NOON)
    assert (verdict.decision, verdict.body_part) == (Decision.FILLS, "HAND")
    assert verdict.agreement is Agreement.HEADER_EMPTY
    assert delivered_to(ledger, "1.2.3.1") == {"pacs": NOON}


def test_a_header_that_agrees_is_left_as_it_is(ledger) -> None:
    verdict = settle(
        received(ledger), seen(Region.WRIST, header="XR WRIST RT"), plan=plan(), work=ledger.work, now=NOON
    )
    assert (verdict.decision, verdict.body_part) == (Decision.AGREES, None)


def test_a_wrong_header_waits_for_review_and_goes_as_received(ledger) -> None:
    verdict = settle(received(ledger), seen(Region.WRIST, header="FOOT"), plan=plan(), work=ledger.work, now=NOON)
    assert (verdict.decision, verdict.body_part) == (Decision.REVIEW, None)
    assert delivered_to(ledger, "1.2.3.1") == {"pacs": NOON}


def test_a_wrong_header_is_corrected_only_above_the_configured_confidence(ledger) -> None:
    sure = settle(
        received(ledger, 1, series_uid="1.1"),
        seen(Region.WRIST, header="FOOT", confidence=0.96),
        plan=plan(correct_above=0.95),
        work=ledger.work,
        now=NOON,
    )
    unsure = settle(
        received(ledger, 2, series_uid="1.2"),
        seen(Region.WRIST, header="FOOT", confidence=0.94),
        plan=plan(correct_above=0.95),
        work=ledger.work,
        now=NOON,
    )
    assert (sure.decision, sure.body_part) == (Decision.CORRECTS, "WRIST")
    assert (unsure.decision, unsure.body_part) == (Decision.REVIEW, None)


def test_an_image_on_which_the_model_abstained_goes_as_received_and_keeps_the_best_guess(ledger) -> None:
    sighting = seen(Region.RIB, confidence=0.4, outcome=Outcome.ABSTAINED)
    verdict = settle(received(ledger), sighting, plan=plan(), work=ledger.work, now=NOON)
    assert (verdict.decision, verdict.body_part, verdict.region) == (Decision.ABSTAINS, None, Region.RIB)
    assert verdict.agreement is None


def test_a_later_image_that_disagrees_with_its_series_goes_to_review_with_the_series_value(ledger) -> None:
    settle(received(ledger, 1), seen(Region.HAND), plan=plan(), work=ledger.work, now=NOON)
    verdict = settle(received(ledger, 2), seen(Region.WRIST), plan=plan(), work=ledger.work, now=NOON)
    assert (verdict.decision, verdict.body_part) == (Decision.REVIEW, "HAND")


def test_a_later_image_without_an_answer_takes_the_series_value_over(ledger) -> None:
    settle(received(ledger, 1), seen(Region.HAND), plan=plan(), work=ledger.work, now=NOON)
    sighting = seen(Region.HAND, confidence=0.4, outcome=Outcome.ABSTAINED)
    verdict = settle(received(ledger, 2), sighting, plan=plan(), work=ledger.work, now=NOON)
    assert (verdict.decision, verdict.body_part) == (Decision.ABSTAINS, "HAND")


def test_a_series_that_went_out_as_received_is_not_filled_by_a_later_image(ledger) -> None:
    sighting = seen(Region.HAND, confidence=0.4, outcome=Outcome.ABSTAINED)
    settle(received(ledger, 1), sighting, plan=plan(), work=ledger.work, now=NOON)
    verdict = settle(received(ledger, 2), seen(Region.HAND), plan=plan(), work=ledger.work, now=NOON)
    assert (verdict.decision, verdict.body_part) == (Decision.REVIEW, None)


def test_a_later_image_with_an_empty_header_takes_the_value_that_the_first_confirmed(ledger) -> None:
    settle(received(ledger, 1), seen(Region.HAND, header="HAND"), plan=plan(), work=ledger.work, now=NOON)
    verdict = settle(received(ledger, 2), seen(Region.HAND), plan=plan(), work=ledger.work, now=NOON)
    assert (verdict.decision, verdict.body_part) == (Decision.FILLS, "HAND")


@pytest.mark.parametrize(
    "second",
    [
        seen(Region.WRIST, header="WRIST"),
        seen(Region.HAND, header="CHEST"),
        seen(Region.KNEE, header="KNEE", confidence=0.4, outcome=Outcome.ABSTAINED),
        seen(Region.HAND, header="FOOT"),
    ],
    ids=["header and pixels agree on another", "outside the 14", "nobody knows", "header contradicts the pixels"],
)
def test_a_header_that_says_something_else_than_its_series_is_not_overwritten_by_default(ledger, second) -> None:
    settle(received(ledger, 1), seen(Region.HAND), plan=plan(), work=ledger.work, now=NOON)
    assert settle(received(ledger, 2), second, plan=plan(), work=ledger.work, now=NOON).body_part is None


def test_a_corrected_series_overwrites_no_header_of_an_image_on_which_the_model_abstains(ledger) -> None:
    correcting = plan(correct_above=0.95)
    settle(received(ledger, 1), seen(Region.HAND, header="FOOT"), plan=correcting, work=ledger.work, now=NOON)
    unsure = seen(Region.HAND, header="FOOT", confidence=0.4, outcome=Outcome.ABSTAINED)
    verdict = settle(received(ledger, 2), unsure, plan=correcting, work=ledger.work, now=NOON)
    assert (verdict.decision, verdict.body_part) == (Decision.REVIEW, None)
    other = seen(Region.WRIST, header="WRIST")
    verdict = settle(received(ledger, 3), other, plan=correcting, work=ledger.work, now=NOON)
    assert (verdict.decision, verdict.body_part) == (Decision.REVIEW, None)


def test_where_nothing_goes_at_once_no_image_is_measured_by_the_first_of_its_series(ledger) -> None:
    """Nothing has gone out with it; the study's end decides."""
    later = Plan(policy=Policy(), rules=(), stops=(Stop(name="archive", when=When.STUDY_CLOSED),))
    unsure = seen(Region.HAND, confidence=0.4, outcome=Outcome.ABSTAINED)
    settle(received(ledger, 1), unsure, plan=later, work=ledger.work, now=NOON)
    verdict = settle(received(ledger, 2), seen(Region.HAND), plan=later, work=ledger.work, now=NOON)
    assert (verdict.decision, verdict.body_part) == (Decision.FILLS, "HAND")


def test_images_without_a_series_uid_share_nothing(ledger) -> None:
    settle(received(ledger, 1, series_uid=""), seen(Region.HAND), plan=plan(), work=ledger.work, now=NOON)
    verdict = settle(received(ledger, 2, series_uid=""), seen(Region.KNEE), plan=plan(), work=ledger.work, now=NOON)
    assert (verdict.decision, verdict.body_part) == (Decision.FILLS, "KNEE")


def test_settling_again_after_a_crash_changes_nothing(ledger) -> None:
    instance = received(ledger)
    first = settle(instance, seen(Region.HAND), plan=plan(), work=ledger.work, now=NOON)
    settle(instance, seen(Region.FOOT), plan=plan(), work=ledger.work, now=NOON + timedelta(hours=1))
    record = ledger.records.find("1.2.3.1")[0]
    assert record.verdict == first
    assert len(record.deliveries) == 1


def test_rules_choose_the_destinations(ledger) -> None:
    stops = (PACS, Stop(name="bone-age", when=When.AT_ONCE), Stop(name="spine-ai", when=When.AT_ONCE))
    rules = (
        Rule(name="hands", when={"region": ("hand", "wrist")}, send_to=("bone-age",), min_confidence=0.9),
        Rule(name="spines", when={"region": ("*_spine",)}, send_to=("spine-ai",)),
    )
    settle(received(ledger), seen(Region.HAND), plan=plan(stops=stops, rules=rules), work=ledger.work, now=NOON)
    assert set(delivered_to(ledger, "1.2.3.1")) == {"pacs", "bone-age"}


def test_an_image_in_review_is_held_only_where_a_destination_asks_for_it(ledger) -> None:
    stops = (PACS, Stop(name="archive", when=When.AT_ONCE, hold_for_review=timedelta(hours=2)))
    settle(received(ledger), seen(Region.WRIST, header="FOOT"), plan=plan(stops=stops), work=ledger.work, now=NOON)
    assert delivered_to(ledger, "1.2.3.1") == {"pacs": NOON, "archive": NOON + timedelta(hours=2)}


def test_a_destination_that_wants_closed_studies_waits_for_that(ledger) -> None:
    stops = (PACS, Stop(name="archive", when=When.STUDY_CLOSED))
    settle(received(ledger), seen(Region.HAND), plan=plan(stops=stops), work=ledger.work, now=NOON)
    assert delivered_to(ledger, "1.2.3.1") == {"pacs": NOON, "archive": None}


def test_what_is_no_radiograph_is_forwarded_untouched(ledger) -> None:
    sighting = seen(None, header="HAND", outcome=Outcome.NOT_A_RADIOGRAPH)
    verdict = settle(received(ledger), sighting, plan=plan(), work=ledger.work, now=NOON)
    assert (verdict.decision, verdict.body_part, verdict.region) == (Decision.NOT_A_RADIOGRAPH, None, None)
    assert set(delivered_to(ledger, "1.2.3.1")) == {"pacs"}
