"""What the study closer may rely on."""

from dicom_node.ports import Ledger, When
from tests.contract.ledger.racing import SECOND, due, race, settled, to, verdict
from tests.stories import NOON, arrival

LATER = NOON + 60 * SECOND


def test_a_study_is_quiet_once_its_newest_image_is_old_and_settled(ledger: Ledger) -> None:
    settled(ledger, 1)
    settled(ledger, 2, received_at=NOON + 30 * SECOND)
    assert ledger.studies.quiet(since=NOON + 30 * SECOND) == []
    assert ledger.studies.quiet(since=NOON + 31 * SECOND) == ["1.2.1"]


def test_a_study_with_an_unsettled_image_is_not_quiet(ledger: Ledger) -> None:
    settled(ledger, 1)
    waiting = ledger.intake.add(arrival(2)).instance
    assert ledger.studies.quiet(since=LATER) == []
    ledger.work.settle(waiting.id, verdict(), recognition=None, deliveries=[])
    assert ledger.studies.quiet(since=LATER) == ["1.2.1"]


def test_an_image_that_was_late_in_the_queue_does_not_make_a_study_older(ledger: Ledger) -> None:
    settled(ledger, 1, received_at=NOON + 30 * SECOND)
    settled(ledger, 2, received_at=NOON)
    assert ledger.studies.quiet(since=NOON + SECOND) == []


def test_quiet_studies_come_in_the_order_in_which_they_went_quiet(ledger: Ledger) -> None:
    for number, age in ((1, 1), (2, 3), (3, 2)):
        settled(ledger, number, study_uid=f"1.7.{number}", received_at=NOON - age * SECOND)
    assert ledger.studies.quiet(since=NOON) == ["1.7.2", "1.7.3", "1.7.1"]


def test_the_settled_images_of_a_study_come_oldest_first(ledger: Ledger) -> None:
    settled(ledger, 1, received_at=NOON)
    settled(ledger, 2, received_at=NOON - SECOND)
    settled(ledger, 3, study_uid="1.7.9")
    ledger.intake.add(arrival(4))
    found = ledger.studies.settled("1.2.1")
    assert [instance.sop_instance_uid for instance, _ in found] == ["1.2.3.2", "1.2.3.1"]
    assert [answer for _, answer in found] == [verdict(), verdict()]


def test_closing_lets_go_what_waited_for_it_and_nothing_else(ledger: Ledger) -> None:
    settled(ledger, 1, deliveries=to("PACS", due=None))
    settled(ledger, 2, deliveries=[*to("PACS", due=None), *to("AI", due=NOON + 9 * LATER.resolution)])
    settled(ledger, 3, study_uid="1.7.9", deliveries=to("PACS", due=None))
    assert ledger.studies.close("1.2.1", values={"1.2.2": "HAND"}, now=LATER) == 2
    claimed = due(ledger, now=LATER)
    assert [one.due_at for one in claimed] == [LATER, LATER]
    assert {ledger.outbox.subject(one)[0].study_uid for one in claimed} == {"1.2.1"}


def test_a_closed_study_is_quiet_no_more_and_closing_it_again_does_nothing(ledger: Ledger) -> None:
    settled(ledger, 1, deliveries=to("PACS", due=None))
    assert ledger.studies.close("1.2.1", values={}, now=LATER) == 1
    assert ledger.studies.quiet(since=LATER) == []
    assert ledger.studies.close("1.2.1", values={"1.2.2": "HAND"}, now=LATER) == 0
    assert ledger.studies.close("1.404", values={}, now=LATER) == 0


def test_closing_keeps_the_value_of_each_series_unless_one_is_there(ledger: Ledger) -> None:
    settled(ledger, 1)
    ledger.work.series_value(series_uid="1.8.1", when=When.STUDY_CLOSED, proposed="KNEE")
    ledger.studies.close("1.2.1", values={"1.8.1": "HAND", "1.8.2": "FOOT", "1.8.3": None}, now=LATER)

    def kept(series_uid: str, when: When = When.STUDY_CLOSED) -> str | None:
        return ledger.work.series_value(series_uid=series_uid, when=when, proposed="OTHER")

    assert [kept("1.8.1"), kept("1.8.2"), kept("1.8.3")] == ["KNEE", "FOOT", None]
    assert kept("1.8.2", When.AT_ONCE) == "OTHER"


def test_a_late_image_opens_its_study_again(ledger: Ledger) -> None:
    settled(ledger, 1)
    ledger.studies.close("1.2.1", values={}, now=LATER)
    settled(ledger, 2, received_at=LATER, deliveries=to("PACS", due=None))
    assert due(ledger, now=LATER) == []
    assert ledger.studies.quiet(since=LATER + SECOND) == ["1.2.1"]
    assert ledger.studies.close("1.2.1", values={}, now=LATER) == 1
    assert len(due(ledger, now=LATER)) == 1


def test_a_duplicate_does_not_open_a_closed_study(ledger: Ledger) -> None:
    settled(ledger, 1)
    ledger.studies.close("1.2.1", values={}, now=LATER)
    ledger.intake.add(arrival(1, received_at=LATER))
    assert ledger.studies.quiet(since=LATER + SECOND) == []


def test_a_study_into_which_an_image_has_just_come_is_not_closed(ledger: Ledger) -> None:
    """Its delivery would be planned for a closing that was over already, and wait for ever."""
    settled(ledger, 1, deliveries=to("PACS", due=None))
    (study_uid,) = ledger.studies.quiet(since=LATER)
    late = ledger.intake.add(arrival(2)).instance
    assert ledger.studies.close(study_uid, values={"1.2.2": "HAND"}, now=LATER) == 0
    assert due(ledger, now=LATER) == []
    ledger.work.settle(late.id, verdict(), recognition=None, deliveries=to("PACS", due=None))
    assert ledger.studies.close(study_uid, values={}, now=LATER) == 2


def test_no_delivery_is_stranded_when_closing_races_with_arrivals(ledger: Ledger) -> None:
    settled(ledger, 0, deliveries=to("PACS", due=None))

    def arrive(first: int) -> None:
        for number in range(first, first + 8):
            settled(ledger, number, deliveries=to("PACS", due=None))

    def close() -> None:
        for _ in range(12):
            ledger.studies.close("1.2.1", values={}, now=LATER)

    race(lambda: arrive(1), lambda: arrive(20), close, close)
    for study_uid in ledger.studies.quiet(since=LATER):
        ledger.studies.close(study_uid, values={}, now=LATER)
    assert len(due(ledger, now=LATER)) == 17
