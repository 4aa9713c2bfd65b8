"""What the classifier may rely on."""

from dataclasses import replace

import pytest

from dicom_node.errors import LedgerError
from dicom_node.instance import InstanceState
from dicom_node.ports import Ledger, When
from dicom_node.regions import Region
from dicom_node.verdict import Decision, Outcome
from tests.contract.ledger.racing import SECOND, due, race, settled, to, verdict
from tests.stories import LEASE, NOON, arrival, recognition


def claim(ledger: Ledger, *, limit: int = 100, now=NOON, worker: str = "w"):
    return ledger.work.claim(worker=worker, limit=limit, now=now, lease=LEASE)


def test_the_oldest_come_first_whatever_the_order_of_their_numbers(ledger: Ledger) -> None:
    for number, age in ((1, 1), (2, 3), (3, 2)):
        ledger.intake.add(arrival(number, received_at=NOON - age * SECOND))
    assert [one.sop_instance_uid for one in claim(ledger, limit=2)] == ["1.2.3.2", "1.2.3.3"]
    assert [one.sop_instance_uid for one in claim(ledger)] == ["1.2.3.1"]


def test_what_is_leased_is_given_to_nobody_else_until_the_lease_ends(ledger: Ledger) -> None:
    ledger.intake.add(arrival())
    (first,) = claim(ledger)
    assert claim(ledger, now=NOON + LEASE - SECOND, worker="v") == []
    (second,) = claim(ledger, now=NOON + LEASE, worker="v")
    assert (first.attempts, second.attempts) == (1, 2)
    assert second == replace(first, attempts=2)


def test_a_verdict_whose_text_no_database_column_holds_settles_its_image(ledger: Ledger) -> None:
    """A reason may quote a padded header: CR, NUL."""
    instance = ledger.intake.add(arrival()).instance
    quoting = verdict(reason="a\0b\ud800", body_part="HAND\0")
    value = ledger.work.series_value(study_uid="1.2.1", series_uid="1.2.2", when=When.AT_ONCE, proposed="HAND\0")
    assert ledger.work.settle(instance.id, quoting, recognition=None, deliveries=to("PACS"))
    (record,) = ledger.records.find("1.2.3.1")
    assert (record.verdict.reason.replace("\0", "")[:2], value.strip("\0")) == ("ab", "HAND")
    assert len(record.deliveries) == 1


def test_a_claim_that_was_given_back_can_be_taken_at_once(ledger: Ledger) -> None:
    ledger.intake.add(arrival())
    (taken,) = claim(ledger)
    ledger.work.release([taken.id], worker="w")
    ledger.work.release([], worker="w")
    assert [one.id for one in claim(ledger)] == [taken.id]


def test_what_another_worker_holds_by_now_is_not_given_back(ledger: Ledger) -> None:
    """Several nodes share a ledger, and a lease may have run out."""
    ledger.intake.add(arrival())
    (slow,) = claim(ledger)
    (taken,) = claim(ledger, now=NOON + LEASE, worker="v")
    ledger.work.release([slow.id], worker="w")
    assert claim(ledger, now=NOON + LEASE) == []
    assert ledger.records.find("1.2.3.1")[0].instance.attempts == taken.attempts == 2


def test_giving_back_takes_the_attempt_back_once(ledger: Ledger) -> None:
    """An image is given up after so many attempts: those that a stopping worker broke off are not its doing."""
    ledger.intake.add(arrival())
    claim(ledger)
    claim(ledger, now=NOON + LEASE)
    (taken,) = claim(ledger, now=NOON + 2 * LEASE)
    assert taken.attempts == 3
    for _ in range(5):
        ledger.work.release([taken.id], worker="w")
    assert ledger.records.find("1.2.3.1")[0].instance.attempts == 2
    assert claim(ledger)[0].attempts == 3


def test_giving_back_what_nobody_claimed_or_what_is_settled_changes_nothing(ledger: Ledger) -> None:
    fresh = ledger.intake.add(arrival(1)).instance
    ledger.intake.add(arrival(2, received_at=NOON - SECOND))
    (done,) = claim(ledger, limit=1)
    ledger.work.settle(done.id, verdict(), recognition=None, deliveries=[])
    ledger.work.release([fresh.id, done.id, 404], worker="w")
    attempts = [record.instance.attempts for record in ledger.records.find("1.2.1")]
    assert attempts == [1, 0]


def test_workers_that_race_never_get_the_same_instance(ledger: Ledger) -> None:
    for number in range(60):
        ledger.intake.add(arrival(number))

    def work() -> list[int]:
        got = []
        while batch := claim(ledger, limit=4):
            got += [one.id for one in batch]
        return got

    got = [id_ for ids in race(*[work] * 6) for id_ in ids]
    assert len(got) == len(set(got)) == 60


def test_settling_keeps_the_answer_whole(ledger: Ledger) -> None:
    instance = ledger.intake.add(arrival()).instance
    answer, said = verdict(), recognition(Region.HAND, confidence=1 / 3)
    assert ledger.work.settle(instance.id, answer, recognition=said, deliveries=to("PACS", "AI"))
    (record,) = ledger.records.find(instance.sop_instance_uid)
    assert record.instance == replace(instance, state=InstanceState.SETTLED)
    assert (record.verdict, record.recognition) == (answer, said)
    assert sorted(way.destination for way in record.deliveries) == ["AI", "PACS"]
    assert [(event.kind, event.at, event.detail) for event in record.events[1:]] == [("settled", NOON, "fills")]


def test_an_answer_without_a_region_is_kept_as_such(ledger: Ledger) -> None:
    instance = ledger.intake.add(arrival()).instance
    answer = verdict(
        outcome=Outcome.UNREADABLE, decision=Decision.UNREADABLE, region=None, agreement=None, body_part=None
    )
    ledger.work.settle(instance.id, answer, recognition=None, deliveries=[])
    (record,) = ledger.records.find(instance.sop_instance_uid)
    assert (record.verdict, record.recognition, record.deliveries) == (answer, None, ())


def test_the_first_verdict_stands(ledger: Ledger) -> None:
    instance = settled(ledger, deliveries=to("PACS"))
    late = verdict(region=Region.KNEE)
    assert not ledger.work.settle(instance.id, late, recognition=recognition(Region.KNEE), deliveries=to("AI"))
    (record,) = ledger.records.find(instance.sop_instance_uid)
    assert (record.verdict, record.recognition) == (verdict(), None)
    assert [way.destination for way in record.deliveries] == ["PACS"]
    assert [event.kind for event in record.events] == ["received", "settled"]


def test_workers_that_race_settle_an_instance_once(ledger: Ledger) -> None:
    instance = ledger.intake.add(arrival()).instance
    results = race(
        *[
            lambda n=n: ledger.work.settle(
                instance.id, verdict(confidence=n / 10), recognition=None, deliveries=to("PACS", "AI")
            )
            for n in range(6)
        ]
    )
    assert results.count(True) == 1
    assert ledger.records.find(instance.sop_instance_uid)[0].verdict == verdict(confidence=results.index(True) / 10)
    assert len(due(ledger, "PACS")) == len(due(ledger, "AI")) == 1


def test_settling_ends_the_claim(ledger: Ledger) -> None:
    settled(ledger)
    assert claim(ledger, now=NOON + 2 * LEASE) == []


def test_a_verdict_that_cannot_be_written_whole_is_not_written_at_all(ledger: Ledger) -> None:
    instance = ledger.intake.add(arrival()).instance
    with pytest.raises(LedgerError):
        ledger.work.settle(instance.id, verdict(), recognition=None, deliveries=to("PACS", "PACS"))
    (record,) = ledger.records.find(instance.sop_instance_uid)
    assert (record.instance.state, record.verdict) == (InstanceState.RECEIVED, None)
    assert [event.kind for event in record.events] == ["received"]


@pytest.mark.parametrize("first", ["HAND", None])
def test_the_first_proposal_for_a_series_stands_for_good(ledger: Ledger, first: str | None) -> None:
    propose = ledger.work.series_value
    assert propose(study_uid="1.2.1", series_uid="1.2.2", when=When.AT_ONCE, proposed=first) == first
    assert propose(study_uid="1.2.1", series_uid="1.2.2", when=When.AT_ONCE, proposed="KNEE") == first
    assert propose(study_uid="1.2.1", series_uid="1.2.2", when=When.STUDY_CLOSED, proposed="WRIST") == "WRIST"
    assert propose(study_uid="1.2.1", series_uid="1.2.9", when=When.AT_ONCE, proposed="FOOT") == "FOOT"


def test_asking_for_a_decided_value_decides_nothing(ledger: Ledger) -> None:
    decided = ledger.work.decided_value
    assert decided(study_uid="1.2.1", series_uid="1.2.2", when=When.AT_ONCE) is None
    assert ledger.work.series_value(study_uid="1.2.1", series_uid="1.2.2", when=When.AT_ONCE, proposed="HAND") == "HAND"
    assert decided(study_uid="1.2.1", series_uid="1.2.2", when=When.AT_ONCE) == "HAND"
    assert decided(study_uid="1.2.1", series_uid="1.2.2", when=When.STUDY_CLOSED) is None
    ledger.work.series_value(study_uid="1.2.1", series_uid="1.2.9", when=When.AT_ONCE, proposed=None)
    assert decided(study_uid="1.2.1", series_uid="1.2.9", when=When.AT_ONCE) is None


@pytest.mark.parametrize("uids", [("1.2.1", ""), ("", "1.2.2"), ("", "")])
def test_images_without_a_series_or_study_uid_share_no_value(ledger: Ledger, uids: tuple[str, str]) -> None:
    of_it = {"study_uid": uids[0], "series_uid": uids[1], "when": When.AT_ONCE}
    for proposed in ("HAND", "KNEE", None):
        assert ledger.work.series_value(**of_it, proposed=proposed) == proposed
        assert ledger.work.decided_value(**of_it) is None


def test_a_series_uid_that_comes_in_another_study_is_another_series(ledger: Ledger) -> None:
    """Some digitisers send all that they ever send as one series: every patient got the first one's body part."""
    for study_uid, part in (("1.7.1", "HAND"), ("1.7.2", "SKULL")):
        of_it = {"study_uid": study_uid, "series_uid": "1.8.1", "when": When.AT_ONCE}
        assert ledger.work.series_value(**of_it, proposed=part) == part
        assert ledger.work.series_value(**of_it, proposed="KNEE") == part


def test_workers_that_race_with_proposals_agree_on_one(ledger: Ledger) -> None:
    values = race(
        *[
            lambda n=n: ledger.work.series_value(
                study_uid="1.2.1", series_uid="1.2.2", when=When.AT_ONCE, proposed=f"PART{n}"
            )
            for n in range(8)
        ]
    )
    assert len(set(values)) == 1
    assert values[0].startswith("PART")
