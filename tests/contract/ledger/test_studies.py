"""What the study closer may rely on."""

from datetime import timedelta

from dicom_node.ports import Ledger, When
from dicom_node.verdict import Decision
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


def test_a_study_from_a_clock_that_was_ahead_counts_from_the_time_at_which_it_was_put_right(ledger: Ledger) -> None:
    settled(ledger, 1, received_at=NOON + timedelta(days=400), deliveries=to("PACS", due=None))
    settled(ledger, 2, study_uid="1.7.9", received_at=NOON)
    ledger.studies.put_right(now=LATER)
    assert ledger.studies.quiet(since=LATER) == ["1.7.9"]
    assert ledger.studies.quiet(since=NOON + SECOND) == ["1.7.9"]
    assert ledger.studies.quiet(since=LATER + SECOND) == ["1.7.9", "1.2.1"]
    ledger.studies.put_right(now=LATER + SECOND)  # it is not put off again
    assert ledger.studies.close("1.2.1", since=LATER + SECOND, values={}, now=LATER + SECOND) == 1
    assert len(due(ledger, now=LATER + SECOND)) == 1


def test_an_image_that_opens_a_study_from_a_clock_that_was_ahead_does_not_keep_it_open(ledger: Ledger) -> None:
    settled(ledger, 1, received_at=NOON + timedelta(days=400))
    ledger.studies.put_right(now=NOON)
    ledger.studies.close("1.2.1", since=LATER, values={}, now=LATER)
    settled(ledger, 2, received_at=LATER)
    ledger.studies.put_right(now=LATER)
    assert ledger.studies.quiet(since=LATER + SECOND) == ["1.2.1"]


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
    assert ledger.studies.close("1.2.1", since=LATER, values={"1.2.2": "HAND"}, now=LATER) == 2
    claimed = due(ledger, now=LATER)
    assert [one.due_at for one in claimed] == [LATER, LATER]
    assert {ledger.outbox.subject(one)[0].study_uid for one in claimed} == {"1.2.1"}


def test_a_closed_study_is_quiet_no_more_and_closing_it_again_does_nothing(ledger: Ledger) -> None:
    settled(ledger, 1, deliveries=to("PACS", due=None))
    assert ledger.studies.close("1.2.1", since=LATER, values={}, now=LATER) == 1
    assert ledger.studies.quiet(since=LATER) == []
    assert ledger.studies.close("1.2.1", since=LATER, values={"1.2.2": "HAND"}, now=LATER) is None
    assert ledger.studies.close("1.404", since=LATER, values={}, now=LATER) is None
    assert ledger.work.decided_value(study_uid="1.2.1", series_uid="1.2.2", when=When.STUDY_CLOSED) is None


def test_closing_keeps_the_value_of_each_series_unless_one_is_there(ledger: Ledger) -> None:
    settled(ledger, 1)
    ledger.work.series_value(study_uid="1.2.1", series_uid="1.8.1", when=When.STUDY_CLOSED, proposed="KNEE")
    ledger.studies.close("1.2.1", since=LATER, values={"1.8.1": "HAND", "1.8.2": "FOOT", "1.8.3": None}, now=LATER)

    def kept(series_uid: str, when: When = When.STUDY_CLOSED) -> str | None:
        return ledger.work.series_value(study_uid="1.2.1", series_uid=series_uid, when=when, proposed="OTHER")

    assert [kept("1.8.1"), kept("1.8.2"), kept("1.8.3")] == ["KNEE", "FOOT", None]
    assert kept("1.8.2", When.AT_ONCE) == "OTHER"


def test_a_late_image_opens_its_study_again(ledger: Ledger) -> None:
    settled(ledger, 1)
    ledger.studies.close("1.2.1", since=LATER, values={}, now=LATER)
    settled(ledger, 2, received_at=LATER, deliveries=to("PACS", due=None))
    assert due(ledger, now=LATER) == []
    assert ledger.studies.quiet(since=LATER + SECOND) == ["1.2.1"]
    assert ledger.studies.close("1.2.1", since=LATER + SECOND, values={}, now=LATER) == 1
    assert len(due(ledger, now=LATER)) == 1


def test_a_duplicate_does_not_open_a_closed_study(ledger: Ledger) -> None:
    settled(ledger, 1)
    ledger.studies.close("1.2.1", since=LATER, values={}, now=LATER)
    ledger.intake.add(arrival(1, received_at=LATER))
    assert ledger.studies.quiet(since=LATER + SECOND) == []


def test_a_study_into_which_an_image_has_just_come_is_not_closed(ledger: Ledger) -> None:
    """Its delivery would be planned for a closing that was over already, and wait for ever."""
    settled(ledger, 1, deliveries=to("PACS", due=None))
    (study_uid,) = ledger.studies.quiet(since=LATER)
    late = ledger.intake.add(arrival(2)).instance
    assert ledger.studies.close(study_uid, since=LATER, values={"1.2.2": "HAND"}, now=LATER) is None
    assert due(ledger, now=LATER) == []
    ledger.work.settle(late.id, verdict(), recognition=None, deliveries=to("PACS", due=None))
    assert ledger.studies.close(study_uid, since=LATER, values={}, now=LATER) == 2


def test_an_image_that_came_and_settled_after_the_study_was_found_quiet_keeps_it_open(ledger: Ledger) -> None:
    """The values were found without it, and more of the study is on its way."""
    settled(ledger, 1, deliveries=to("PACS", due=None))
    (study_uid,) = ledger.studies.quiet(since=LATER)
    settled(ledger, 2, received_at=LATER, deliveries=to("PACS", due=None))
    assert ledger.studies.close(study_uid, since=LATER, values={"1.2.2": "HAND"}, now=LATER) is None
    assert due(ledger, now=LATER) == []
    assert ledger.work.decided_value(study_uid="1.2.1", series_uid="1.2.2", when=When.STUDY_CLOSED) is None
    assert ledger.studies.quiet(since=LATER + SECOND) == [study_uid]


def test_a_study_that_nothing_waited_for_is_closed_nevertheless(ledger: Ledger) -> None:
    settled(ledger, 1, deliveries=to("PACS"))
    assert ledger.studies.close("1.2.1", since=LATER, values={}, now=LATER) == 0
    assert ledger.studies.quiet(since=LATER) == []


def test_a_closing_that_races_with_a_late_image_sees_it_or_is_undone_by_it(ledger: Ledger) -> None:
    for study in range(8):
        uid = f"1.7.{study}"
        settled(ledger, 2 * study, study_uid=uid, deliveries=to("PACS", due=None))
        closed, _ = race(
            lambda uid=uid: ledger.studies.close(uid, since=LATER, values={}, now=LATER),
            lambda n=2 * study + 1, uid=uid: settled(
                ledger, n, study_uid=uid, received_at=LATER, deliveries=to("PACS", due=None)
            ),
        )
        assert closed in {1, None}
        assert ledger.studies.quiet(since=LATER + SECOND) == [uid]
        rest = ledger.studies.close(uid, since=LATER + SECOND, values={}, now=LATER)
        assert (closed or 0) + rest == 2


def test_images_without_a_study_uid_are_no_study_and_wait_for_none(ledger: Ledger) -> None:
    decided = NOON + SECOND
    instance = ledger.intake.add(arrival(1, study_uid="")).instance
    plans = [*to("PACS", due=None), *to("AI", due=LATER)]
    assert ledger.work.settle(instance.id, verdict(at=decided), recognition=None, deliveries=plans)
    assert ledger.studies.quiet(since=LATER) == []
    assert ledger.studies.settled("") == []
    assert ledger.studies.close("", since=LATER, values={}, now=LATER) is None
    assert [(one.due_at, one.planned_at) for one in due(ledger, "PACS", now=decided)] == [(decided, decided)]
    assert due(ledger, "AI", now=decided) == []


def test_closing_keeps_no_value_for_images_without_a_series_uid(ledger: Ledger) -> None:
    settled(ledger, 1, series_uid="")
    assert ledger.studies.close("1.2.1", since=LATER, values={"": "HAND"}, now=LATER) == 0
    assert ledger.work.series_value(study_uid="1.2.1", series_uid="", when=When.STUDY_CLOSED, proposed="KNEE") == "KNEE"
    assert ledger.work.decided_value(study_uid="1.2.1", series_uid="", when=When.STUDY_CLOSED) is None


def test_no_delivery_is_stranded_when_closing_races_with_arrivals(ledger: Ledger) -> None:
    settled(ledger, 0, deliveries=to("PACS", due=None))

    def arrive(first: int) -> None:
        for number in range(first, first + 8):
            settled(ledger, number, deliveries=to("PACS", due=None))

    def close() -> None:
        for _ in range(12):
            ledger.studies.close("1.2.1", since=LATER, values={}, now=LATER)

    race(lambda: arrive(1), lambda: arrive(20), close, close)
    for study_uid in ledger.studies.quiet(since=LATER):
        ledger.studies.close(study_uid, since=LATER, values={}, now=LATER)
    assert len(due(ledger, now=LATER)) == 17


def test_closing_sends_to_review_what_waited_for_it_and_no_more(ledger: Ledger) -> None:
    """What went out before, or goes nowhere, has nothing to do with what the study was closed with."""
    waiting = settled(ledger, 1, deliveries=[*to("PACS", due=None), *to("AI")])
    gone = settled(ledger, 2, deliveries=to("PACS"))
    other = settled(ledger, 3, deliveries=to("PACS", due=None))
    reviews = dict.fromkeys((waiting.id, gone.id), "closed with nothing")
    assert ledger.studies.close("1.2.1", since=LATER, values={}, reviews=reviews, now=LATER) == 2
    answers = {one.id: answer for one, answer in ledger.studies.settled("1.2.1")}
    reviewed = verdict(decision=Decision.REVIEW, reason="closed with nothing")
    assert answers == {waiting.id: reviewed, gone.id: verdict(), other.id: verdict()}
    assert ledger.records.counts().review == 1
    (record,) = ledger.records.find("1.2.3.1")
    assert (record.events[-1].kind, record.events[-1].at) == ("review", LATER)


def test_a_closing_that_does_not_happen_sends_nothing_to_review(ledger: Ledger) -> None:
    image = settled(ledger, 1, deliveries=to("PACS", due=None))
    ledger.intake.add(arrival(2))
    assert ledger.studies.close("1.2.1", since=LATER, values={}, reviews={image.id: "why"}, now=LATER) is None
    assert ledger.studies.settled("1.2.1")[0][1] == verdict()


def test_what_an_earlier_closing_decided_is_told_with_what_it_left_as_received(ledger: Ledger) -> None:
    for number, series_uid in enumerate(("1.8.1", "1.8.2", "1.8.3", ""), 1):
        settled(ledger, number, series_uid=series_uid)
    settled(ledger, 9, study_uid="1.7.9", series_uid="1.8.9")
    assert ledger.studies.decided("1.2.1") == {}
    values = {"1.8.1": "HAND", "1.8.2": None, "": "KNEE"}
    ledger.studies.close("1.2.1", since=LATER, values=values, now=LATER)
    ledger.studies.close("1.7.9", since=LATER, values={"1.8.9": "FOOT"}, now=LATER)
    ledger.work.series_value(study_uid="1.2.1", series_uid="1.8.3", when=When.AT_ONCE, proposed="WRIST")
    assert ledger.studies.decided("1.2.1") == {"1.8.1": "HAND", "1.8.2": None}
    assert ledger.studies.decided("") == {}
