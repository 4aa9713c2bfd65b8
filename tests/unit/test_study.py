"""Closing studies that have gone quiet."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dicom_node.bodypart import HeaderRegion, read_header_region
from dicom_node.classify import Plan, Stop, settle
from dicom_node.policy import Policy, closed_series_value
from dicom_node.ports import When
from dicom_node.regions import Region
from dicom_node.study import close_quiet_studies
from dicom_node.testing import MemoryLedger
from dicom_node.verdict import Decision, Outcome
from tests.stories import LEASE, NOON, received, seen

QUIET = timedelta(minutes=1)
POLICY = Policy()
PLAN = Plan(policy=POLICY, rules=(), stops=(Stop(name="archive", when=When.STUDY_CLOSED),))
BOLD = Policy(correct_above=0.9)
LATER = NOON + QUIET * 2


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


def header_of(instance) -> HeaderRegion:
    """L and U are all that these tests say of sides, and they say it in place of the sender."""
    said = read_header_region(instance.body_part, instance.anatomic_region_code)
    return replace(said, sided="L" in instance.peer, whole="U" in instance.peer)


def closed(ledger, now, *, awaited=True, header_of=header_of) -> list[str]:
    return close_quiet_studies(
        studies=ledger.studies, policy=BOLD, header_of=header_of, quiet=QUIET, awaited=awaited, now=now
    )


def take(ledger, number: int, region: Region, header: str = "", *, sides: str = "", stops=PLAN.stops, at=NOON) -> None:
    """An image with this header, whose pixels surely show the region, is received and settled."""
    instance = received(ledger, number, body_part=header, peer=sides, received_at=at)
    sighting = replace(seen(region, header=header), header=header_of(instance))
    settle(instance, sighting, plan=replace(PLAN, policy=BOLD, stops=stops), work=ledger.work, now=at)


def decisions(ledger) -> list[Decision]:
    return [verdict.decision for _, verdict in ledger.studies.settled("1.2.1")]


def value(ledger, series_uid="1.2.2") -> str | None:
    return ledger.work.series_value(study_uid="1.2.1", series_uid=series_uid, when=When.STUDY_CLOSED, proposed=None)


def due(ledger, now) -> int:
    return len(ledger.outbox.claim(destination="archive", worker="w", limit=9, now=now, lease=LEASE))


def test_a_study_closes_when_nothing_has_come_for_the_quiet_time(ledger) -> None:
    settle(received(ledger), seen(Region.HAND), plan=PLAN, work=ledger.work, now=NOON)
    assert closed(ledger, NOON + QUIET / 2) == []
    assert due(ledger, NOON + QUIET / 2) == 0
    later = NOON + QUIET + timedelta(seconds=1)
    assert closed(ledger, later) == ["1.2.1"]
    assert due(ledger, later) == 1


def test_a_study_that_came_while_the_clock_was_ahead_closes_the_quiet_time_after_it_was_put_right(ledger) -> None:
    """It was open for as long as the clock had been ahead, and its images never left."""
    ahead = NOON + timedelta(days=400)
    settle(received(ledger, received_at=ahead), seen(Region.HAND), plan=PLAN, work=ledger.work, now=ahead)
    assert closed(ledger, NOON) == []
    assert closed(ledger, NOON + QUIET) == []
    later = NOON + QUIET + timedelta(seconds=1)
    assert closed(ledger, later) == ["1.2.1"]
    assert due(ledger, later) == 1


def test_a_closed_series_gets_the_value_on_which_all_its_tagged_images_agree(ledger) -> None:
    unsure = seen(Region.HAND, confidence=0.3, outcome=Outcome.ABSTAINED)
    labelled = seen(Region.HAND, header="HAND")
    settle(received(ledger, 1), unsure, plan=PLAN, work=ledger.work, now=NOON)
    settle(received(ledger, 2), seen(Region.HAND), plan=PLAN, work=ledger.work, now=NOON)
    settle(received(ledger, 3, body_part="HAND"), labelled, plan=PLAN, work=ledger.work, now=NOON)
    closed(ledger, NOON + QUIET * 2)
    assert value(ledger) == "HAND"


def test_a_closed_series_whose_images_disagree_goes_as_received(ledger) -> None:
    settle(received(ledger, 1), seen(Region.HAND), plan=PLAN, work=ledger.work, now=NOON)
    settle(received(ledger, 2), seen(Region.WRIST), plan=PLAN, work=ledger.work, now=NOON)
    closed(ledger, NOON + QUIET * 2)
    assert value(ledger) is None


def test_one_hip_with_a_side_makes_its_series_hips_when_the_study_closes(ledger) -> None:
    settle(received(ledger, 1), seen(Region.PELVIS_HIP), plan=PLAN, work=ledger.work, now=NOON)
    both = Plan(policy=POLICY, rules=(), stops=(*PLAN.stops, Stop(name="pacs", when=When.AT_ONCE)))
    sided = seen(Region.PELVIS_HIP, sided=True)
    settle(received(ledger, 2, series_uid="1.2.9"), seen(Region.PELVIS_HIP), plan=both, work=ledger.work, now=NOON)
    settle(received(ledger, 3, series_uid="1.2.9"), sided, plan=both, work=ledger.work, now=NOON)
    closed(ledger, NOON + QUIET * 2)
    assert (value(ledger), value(ledger, "1.2.9")) == ("PELVIS", "HIP")


def test_the_anatomic_region_counts_as_a_header_when_the_study_closes(ledger) -> None:
    """Body part empty, region code of the knee, pixels of a hand: a contradiction, and nothing to agree on."""
    instance = received(ledger, 1, anatomic_region_code="72696002")
    sighting = seen(Region.HAND, code="72696002")
    assert settle(instance, sighting, plan=PLAN, work=ledger.work, now=NOON).body_part is None
    closed(ledger, NOON + QUIET * 2)
    assert value(ledger) is None


def test_a_late_image_reopens_its_study_and_the_value_stands(ledger) -> None:
    settle(received(ledger, 1), seen(Region.HAND), plan=PLAN, work=ledger.work, now=NOON)
    closed(ledger, NOON + QUIET * 2)
    late = NOON + QUIET * 10
    settle(received(ledger, 2, received_at=late), seen(Region.FOOT), plan=PLAN, work=ledger.work, now=late)
    assert closed(ledger, late) == []
    assert closed(ledger, late + QUIET * 2) == ["1.2.1"]
    assert value(ledger) == "HAND"


def test_confident_corrections_that_disagree_go_to_review_when_the_study_closes(ledger) -> None:
    """Both were ruled to be corrected, and both go out as KNEE: no series has two body parts."""
    take(ledger, 1, Region.HAND, "KNEE")
    take(ledger, 2, Region.WRIST, "KNEE")
    assert decisions(ledger) == [Decision.CORRECTS, Decision.CORRECTS]
    closed(ledger, LATER)
    assert decisions(ledger) == [Decision.REVIEW, Decision.REVIEW]
    reason = ledger.studies.settled("1.2.1")[0][1].reason
    assert reason.startswith("the header says KNEE; the pixels show hand (0.97); the study was closed with nothing")
    assert [event.kind for event in ledger.records.find("1.2.3.1")[0].events] == ["received", "settled", "review"]


@pytest.mark.parametrize(
    ("region", "first", "sides", "term"),
    [(Region.HAND, "FINGER", "", "FINGER"), (Region.PELVIS_HIP, "", "L", "HIP")],
)
def test_a_wrong_header_is_corrected_to_another_word_for_what_its_pixels_show(
    ledger, region, first, sides, term
) -> None:
    """The series has the finer word of its first image."""
    take(ledger, 1, region, first, sides=sides)
    take(ledger, 2, region, "KNEE")
    closed(ledger, LATER)
    assert value(ledger) == term
    assert decisions(ledger)[1] is Decision.CORRECTS
    said = read_header_region("KNEE")
    assert closed_series_value(BOLD, said, term, own=region.body_part_examined, region=region) == term


def test_a_late_image_whose_pixels_contradict_its_closed_series_goes_to_review(ledger) -> None:
    take(ledger, 1, Region.HAND)
    closed(ledger, LATER)
    take(ledger, 2, Region.FOOT, at=LATER)
    take(ledger, 3, Region.FOOT, "FOOT", at=LATER)
    take(ledger, 4, Region.HAND, at=LATER)
    closed(ledger, LATER + QUIET * 2)
    assert decisions(ledger) == [Decision.FILLS, Decision.REVIEW, Decision.REVIEW, Decision.FILLS]


def test_a_late_image_of_a_series_that_was_closed_without_an_answer_goes_to_review(ledger) -> None:
    """It would be the first with an answer; but as received is an answer too."""
    unsure = seen(Region.HAND, confidence=0.3, outcome=Outcome.ABSTAINED)
    settle(received(ledger), unsure, plan=PLAN, work=ledger.work, now=NOON)
    closed(ledger, LATER)
    take(ledger, 2, Region.HAND, at=LATER)
    closed(ledger, LATER + QUIET * 2)
    assert (value(ledger), decisions(ledger)) == (None, [Decision.ABSTAINS, Decision.REVIEW])


def test_an_overview_among_hips_goes_as_received_and_to_review(ledger) -> None:
    """What its sender calls unpaired is not one hip."""
    take(ledger, 1, Region.PELVIS_HIP, sides="L")
    take(ledger, 2, Region.PELVIS_HIP, sides="U")
    take(ledger, 3, Region.PELVIS_HIP)
    closed(ledger, LATER)
    assert decisions(ledger) == [Decision.FILLS, Decision.REVIEW, Decision.FILLS]


def test_a_chest_that_its_ribs_do_not_contradict_stays_one_and_makes_no_other_image_a_chest(ledger) -> None:
    """Nor a rib: whether the image without a header is one or the other, a person says."""
    take(ledger, 1, Region.RIB, "CHEST")
    take(ledger, 2, Region.RIB)
    closed(ledger, LATER)
    assert (value(ledger), decisions(ledger)) == (None, [Decision.AGREES, Decision.REVIEW])


def test_what_has_gone_out_at_once_is_not_reviewed_for_a_value_that_nobody_gets(ledger) -> None:
    at_once = (Stop(name="pacs", when=When.AT_ONCE),)
    take(ledger, 1, Region.HAND, stops=at_once)
    take(ledger, 2, Region.FOOT, stops=at_once)
    closed(ledger, LATER)
    assert decisions(ledger) == [Decision.FILLS, Decision.REVIEW]


def test_no_file_is_opened_for_a_closing_that_no_destination_waits_for(ledger) -> None:
    take(ledger, 1, Region.HAND, stops=())
    take(ledger, 2, Region.FOOT, stops=())
    opened = []
    assert closed(ledger, LATER, awaited=False, header_of=opened.append) == ["1.2.1"]
    assert opened == []


def test_a_review_at_the_closing_does_not_deny_what_went_out_at_once(ledger) -> None:
    """One verdict for both: the first image's own answer went to the one, and not to the other."""
    take(ledger, 1, Region.HAND, "KNEE", stops=(*PLAN.stops, Stop(name="pacs", when=When.AT_ONCE)))
    take(ledger, 2, Region.WRIST, "KNEE")
    closed(ledger, LATER)
    verdict = ledger.studies.settled("1.2.1")[0][1]
    assert (verdict.decision, verdict.body_part) == (Decision.REVIEW, "HAND")
    assert verdict.reason.endswith("; where this image waited for its study, it goes as received")
