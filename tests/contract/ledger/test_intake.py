"""What the receiver may rely on."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from dicom_node.errors import LedgerError
from dicom_node.instance import DeliveryState, Instance, InstanceState
from dicom_node.ports import Ledger
from dicom_node.verdict import Decision, Outcome
from tests.contract.ledger.racing import SECOND, due, race, settled, to, verdict
from tests.stories import NOON, arrival


def test_an_arrival_can_be_found_again_as_it_was_given(ledger: Ledger) -> None:
    given = arrival(1, body_part="HÄND", anatomic_region_code="85562004", size=2**40)
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
    assert [event.kind for event in ledger.records.find("1.2.3.1")[0].events] == ["received"]
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
    assert [(event.kind, event.at) for event in original.events] == [("received", NOON)]
    assert [(event.kind, event.at) for event in flagged.events] == [
        ("received", NOON + SECOND), ("conflict", NOON + SECOND)
    ]  # fmt: skip


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


def test_a_uid_that_no_database_column_holds_is_found_again(ledger: Ledger) -> None:
    padded = arrival(1, sop_instance_uid="1.2.3.1\0")
    receipt = ledger.intake.add(padded)
    assert ledger.intake.find(padded.sop_instance_uid, padded.digest) == receipt.instance
    assert ledger.intake.add(padded).duplicate
    assert [one.id for one in ledger.promises.here([padded.sop_instance_uid])] == [receipt.instance.id]


def test_a_file_that_came_back_goes_again_to_whoever_had_it_or_refused_it(ledger: Ledger) -> None:
    instance = settled(ledger, 1, deliveries=[*to("AI", "PACS", "STORE"), *to("CLOSED", due=None)])
    neighbour = settled(ledger, 2, deliveries=to("PACS"))
    for delivery in due(ledger, "PACS"):
        ledger.outbox.delivered(delivery.id, sent_uid="1.9", written="HAND", now=NOON)
    ledger.outbox.fail(due(ledger, "AI")[0].id, error="the file is gone", now=NOON)
    ledger.outbox.postpone(due(ledger, "STORE")[0].id, error="away", planned_at=NOON, due_at=NOON + 9 * SECOND)
    ledger.repairs.lose(instance.id, now=NOON)
    later = NOON + SECOND
    ledger.intake.restore(instance.id, path="ab/anew.dcm", now=later)
    (record,) = ledger.records.find("1.2.3.1")
    assert (record.instance.spooled, record.instance.path) == (True, "ab/anew.dcm")
    ways = {way.destination: way for way in record.deliveries}
    assert {name: way.due_at for name, way in ways.items()} == {
        "AI": later, "PACS": later, "STORE": NOON + 9 * SECOND, "CLOSED": None
    }  # fmt: skip
    for name in ("AI", "PACS"):
        anew = ways[name]
        assert (anew.state, anew.attempts, anew.planned_at) == (DeliveryState.PENDING, 0, later)
        assert (anew.last_error, anew.delivered_at, anew.sent_uid, anew.written) == (None, None, None, None)
    assert ways["STORE"].attempts == 1
    assert [one.instance_id for one in due(ledger, "PACS", now=later)] == [instance.id]
    assert ledger.records.find(neighbour.sop_instance_uid)[0].deliveries[0].state is DeliveryState.DELIVERED


def test_a_file_that_came_back_by_itself_goes_only_where_it_failed(ledger: Ledger) -> None:
    instance = settled(ledger, 1, deliveries=to("AI", "PACS"))
    ledger.outbox.delivered(due(ledger, "PACS")[0].id, sent_uid="1.9", written=None, now=NOON)
    ledger.outbox.fail(due(ledger, "AI")[0].id, error="the file is gone", now=NOON)
    assert ledger.repairs.lose(instance.id, now=NOON)
    assert not ledger.repairs.lose(instance.id, now=NOON)
    ledger.intake.restore(instance.id, path=instance.path, now=NOON, resend=False)
    states = {way.destination: way.state for way in ledger.records.find("1.2.3.1")[0].deliveries}
    assert states == {"AI": DeliveryState.PENDING, "PACS": DeliveryState.DELIVERED}


def test_a_file_that_came_back_by_itself_is_marked_until_somebody_sends_it_again(ledger: Ledger) -> None:
    """Or until then nobody can tell who misses it from who only lost our answer."""
    instance = settled(ledger, 1, deliveries=to("PACS"))
    ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.9", written=None, now=NOON)
    ledger.intake.restore(instance.id, path=instance.path, now=NOON, resend=False)
    assert not ledger.records.find("1.2.3.1")[0].instance.unasked  # it had never gone
    assert ledger.records.retire(instance.id, remove=lambda _: None, now=NOON)
    for resend, unasked in ((False, True), (False, True), (True, False), (False, False)):
        ledger.intake.restore(instance.id, path=instance.path, now=NOON, resend=resend)
        found = ledger.intake.find("1.2.3.1", instance.digest)
        assert found is not None
        assert (found.spooled, found.unasked) == (True, unasked)


def test_what_was_settled_without_its_file_is_looked_at_when_that_is_back(ledger: Ledger) -> None:
    instance, other = (ledger.intake.add(arrival(number)).instance for number in (1, 2))
    first = verdict(outcome=Outcome.UNREADABLE, decision=Decision.UNREADABLE)
    assert ledger.work.settle(instance.id, first, recognition=None, deliveries=to("PACS"))
    assert ledger.work.settle(other.id, verdict(), recognition=None, deliveries=to("PACS"))
    assert ledger.studies.close(instance.study_uid, since=NOON + SECOND, values={}, now=NOON) is not None
    for one in (instance, other):
        ledger.repairs.lose(one.id, now=NOON)
        ledger.intake.restore(one.id, path=one.path, now=NOON)
    (again,) = ledger.work.claim(worker="w", limit=9, now=NOON, lease=SECOND)
    assert (again.id, again.attempts) == (instance.id, 1)
    assert ledger.work.settle(instance.id, verdict(), recognition=None, deliveries=[*to("PACS"), *to("AI", due=None)])
    (record,) = ledger.records.find("1.2.3.1")
    assert record.verdict == verdict()
    assert sorted(way.destination for way in record.deliveries) == ["AI", "PACS"]
    assert instance.study_uid in ledger.studies.quiet(since=NOON + SECOND)


def seen_at_last(ledger: Ledger, *, resend: bool = True, number: int = 1) -> Instance:
    """An image that was settled without its file, and whose file is back; the PACS's delivery had failed, the archive
    had got it before.
    """
    unseen = verdict(outcome=Outcome.UNREADABLE, decision=Decision.UNREADABLE, body_part=None)
    instance = ledger.intake.add(arrival(number)).instance
    assert ledger.work.settle(instance.id, unseen, recognition=None, deliveries=to("ARCHIVE", "PACS"))
    ledger.outbox.delivered(due(ledger, "ARCHIVE")[0].id, sent_uid="1.2.3.1", written=None, now=NOON)
    ledger.outbox.fail(due(ledger, "PACS")[0].id, error="the file is gone", now=NOON)
    ledger.repairs.lose(instance.id, now=NOON)
    ledger.intake.restore(instance.id, path=instance.path, now=NOON, resend=resend)
    return instance


def test_an_image_whose_file_is_back_goes_nowhere_before_it_was_looked_at(ledger: Ledger) -> None:
    """The original would be on its way under a verdict that never saw it."""
    instance = seen_at_last(ledger)
    assert [due(ledger, name) for name in ("ARCHIVE", "PACS")] == [[], []]
    assert ledger.outbox.requeue(state=DeliveryState.PENDING, uids=[], now=NOON) == 2
    assert due(ledger, "PACS") == []
    assert ledger.work.settle(instance.id, verdict(), recognition=None, deliveries=to("ARCHIVE", "PACS"))
    for name in ("ARCHIVE", "PACS"):
        (delivery,) = due(ledger, name)
        assert ledger.outbox.subject(delivery)[1] == verdict()


def test_what_was_taken_before_the_file_was_back_is_not_sent_under_the_old_verdict(ledger: Ledger) -> None:
    unseen = verdict(outcome=Outcome.UNREADABLE, decision=Decision.UNREADABLE)
    instance = ledger.intake.add(arrival(1)).instance
    assert ledger.work.settle(instance.id, unseen, recognition=None, deliveries=to("PACS"))
    (delivery,) = due(ledger)
    ledger.repairs.lose(instance.id, now=NOON)
    ledger.intake.restore(instance.id, path=instance.path, now=NOON)
    with pytest.raises(LedgerError, match="no settled instance"):
        ledger.outbox.subject(delivery)


def test_the_second_verdict_says_when_what_waits_already_is_sent(ledger: Ledger) -> None:
    instance = seen_at_last(ledger)
    later = NOON + SECOND
    plans = [*to("PACS", due=later + 9 * SECOND), *to("ARCHIVE", due=None)]
    assert ledger.work.settle(instance.id, verdict(at=later), recognition=None, deliveries=plans)
    ways = {way.destination: way for way in ledger.records.find("1.2.3.1")[0].deliveries}
    assert {name: (way.due_at, way.planned_at) for name, way in ways.items()} == {
        "PACS": (later + 9 * SECOND, later), "ARCHIVE": (None, later)
    }  # fmt: skip


def test_the_second_verdict_leaves_what_was_delivered_and_nobody_misses(ledger: Ledger) -> None:
    instance = seen_at_last(ledger, resend=False)
    assert ledger.work.settle(instance.id, verdict(), recognition=None, deliveries=to("ARCHIVE", "PACS"))
    states = {way.destination: way.state for way in ledger.records.find("1.2.3.1")[0].deliveries}
    assert states == {"ARCHIVE": DeliveryState.DELIVERED, "PACS": DeliveryState.PENDING}


def test_an_image_that_is_to_be_looked_at_again_is_neither_forwarded_nor_retired(ledger: Ledger) -> None:
    instance = seen_at_last(ledger)
    counts = ledger.records.counts()
    assert (counts.classified, counts.forwarded, counts.pending) == (0, 0, 3)
    assert ledger.records.retired(before=NOON + SECOND, limit=9) == []
    for delivery in ledger.records.find("1.2.3.1")[0].deliveries:  # by somebody who had them in hand
        ledger.outbox.delivered(delivery.id, sent_uid="1.2.3.1", written=None, now=NOON)
    assert ledger.records.counts().forwarded == 0
    assert ledger.records.retired(before=NOON + SECOND, limit=9) == []
    assert not ledger.records.retire(instance.id, remove=pytest.fail, now=NOON)


def test_a_file_that_came_back_stays_until_it_is_delivered_again(ledger: Ledger) -> None:
    instance = settled(ledger, 1, deliveries=to("PACS"))
    for _ in range(2):
        ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.9", written=None, now=NOON)
        assert [one.id for one in ledger.records.retired(before=NOON + SECOND, limit=9)] == [instance.id]
        assert ledger.records.retire(instance.id, remove=lambda _: None, now=NOON)
        ledger.intake.restore(instance.id, path=instance.path, now=NOON)
        assert ledger.records.retired(before=NOON + SECOND, limit=9) == []


def test_restoring_what_has_no_verdict_or_is_not_here_makes_no_delivery(ledger: Ledger) -> None:
    instance = ledger.intake.add(arrival()).instance
    ledger.intake.restore(instance.id, path=instance.path, now=NOON)
    ledger.intake.restore(404, path="ab/none.dcm", now=NOON)
    (record,) = ledger.records.find("1.2.1")
    assert (record.instance, record.deliveries) == (replace(instance, resent_at=NOON), ())


def test_images_without_a_uid_cannot_be_asked_for_together(ledger: Ledger) -> None:
    settled(ledger, 1, study_uid="", deliveries=to("PACS"))
    settled(ledger, 2, series_uid="", deliveries=to("PACS"))
    assert ledger.records.find("") == []
    assert ledger.outbox.requeue(state=DeliveryState.PENDING, uids=[""], now=NOON) == 0
    assert ledger.outbox.requeue(state=DeliveryState.PENDING, uids=["", "1.2.3.1"], now=NOON) == 1
