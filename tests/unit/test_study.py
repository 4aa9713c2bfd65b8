"""Closing studies that have gone quiet."""

from datetime import timedelta

import pytest

from dicom_node.classify import Plan, Stop, settle
from dicom_node.policy import Policy
from dicom_node.ports import When
from dicom_node.regions import Region
from dicom_node.study import close_quiet_studies
from dicom_node.testing import MemoryLedger
from dicom_node.verdict import Outcome
from tests.stories import LEASE, NOON, received, seen

QUIET = timedelta(minutes=1)
POLICY = Policy()
PLAN = Plan(policy=POLICY, rules=(), stops=(Stop(name="archive", when=When.STUDY_CLOSED),))


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


def closed(ledger, now) -> list[str]:
    return close_quiet_studies(studies=ledger.studies, quiet=QUIET, now=now)


def value(ledger, series_uid="1.2.2") -> str | None:
    return ledger.work.series_value(series_uid=series_uid, when=When.STUDY_CLOSED, proposed=None)


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
