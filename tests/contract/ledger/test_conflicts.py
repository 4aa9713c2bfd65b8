"""What a ledger says of several contents with one UID, and how a person ends that."""

from datetime import datetime

import pytest

from dicom_node.commitment import SopReference
from dicom_node.errors import BeingSentError
from dicom_node.instance import Delivery, DeliveryState, Instance
from dicom_node.ports import Ledger
from dicom_node.standing import Standing
from dicom_node.verdict import Decision, Outcome
from tests.contract.ledger.racing import SECOND, due, race, settled, to, verdict
from tests.stories import LEASE, NOON, arrival

LATER = NOON + SECOND


def delivered(ledger: Ledger, number: int = 1, **over) -> Instance:
    instance = settled(ledger, number, deliveries=to("PACS"), **over)
    for delivery in due(ledger):
        ledger.outbox.delivered(delivery.id, sent_uid=instance.sop_instance_uid, written=None, now=NOON)
    return instance


def two_contents(ledger: Ledger) -> tuple[Instance, Instance]:
    """Both of them were taken by the PACS, which has one."""
    return delivered(ledger), delivered(ledger, digest="f" * 64, path="ff/f.dcm")


def retired(ledger: Ledger, *, before: datetime = LATER) -> list[int]:
    return [one.id for one in ledger.records.retired(before=before, limit=9)]


def named(ledger: Ledger) -> list[int]:
    return [one.instance.id for one in ledger.standings.images(Standing.CONFLICTING, limit=9).images]


def let_go(ledger: Ledger, instance: Instance) -> bool:
    return ledger.records.let_go(instance.id, remove=lambda _: None, now=NOON)


def test_of_several_contents_with_one_uid_none_is_retired_though_all_were_delivered(ledger: Ledger) -> None:
    """A PACS answers 0000 to each of them and keeps one: nobody knows whether the first or the last."""
    first, second = two_contents(ledger)
    other = delivered(ledger, 2)
    assert retired(ledger) == [other.id]
    for one in (first, second):
        assert not ledger.records.retire(one.id, remove=pytest.fail, now=NOON)
    assert ledger.records.counts().conflicting == 2
    assert named(ledger) == [second.id, first.id]


def test_a_content_that_comes_when_another_one_has_been_retired_stays(ledger: Ledger) -> None:
    first = delivered(ledger)
    assert ledger.records.retire(first.id, remove=lambda _: None, now=NOON)
    second = delivered(ledger, digest="f" * 64)
    assert retired(ledger) == []
    assert not ledger.records.retire(second.id, remove=pytest.fail, now=NOON)
    assert named(ledger) == [second.id, first.id]


def test_letting_one_go_removes_its_file_and_leaves_the_other_to_retention(ledger: Ledger) -> None:
    first, second = two_contents(ledger)
    removed: list[str] = []
    assert ledger.records.let_go(first.id, remove=removed.append, now=LATER)
    assert removed == [first.path]
    record = ledger.records.find("1.2.3.1")[0]
    assert not record.instance.spooled
    assert (record.events[-1].kind, record.events[-1].at) == ("let_go", LATER)
    assert [way.state for way in record.deliveries] == [DeliveryState.DELIVERED]
    assert (ledger.records.counts().conflicting, ledger.records.counts().lost, named(ledger)) == (0, 0, [])
    assert retired(ledger, before=LATER + SECOND) == [second.id]
    assert ledger.records.retire(second.id, remove=removed.append, now=LATER)
    assert [one.id for one in ledger.promises.here(["1.2.3.1"])] == []


def test_what_stays_is_kept_from_that_decision_on(ledger: Ledger) -> None:
    """The destination may have the other one: whoever decides has to have the time to send this one again."""
    first, second = two_contents(ledger)
    assert ledger.records.let_go(first.id, remove=lambda _: None, now=LATER)
    assert retired(ledger) == []
    assert [one.instance.kept_since for one in ledger.records.find("1.2.3.1")] == [NOON, LATER]
    assert retired(ledger, before=LATER + SECOND) == [second.id]


def test_what_is_let_go_neither_waits_nor_fails_nor_is_sent(ledger: Ledger) -> None:
    delivered(ledger)
    names = ("PACS", "AI", "SLOW")
    second = settled(ledger, 1, digest="f" * 64, deliveries=to(*names))
    ledger.outbox.fail(due(ledger)[0].id, error="the destination has this UID already", now=NOON)
    reference = SopReference(sop_class_uid="1.5", sop_instance_uid="1.2.3.1")
    ledger.outbox.sent(due(ledger, "AI")[0].id, objects=[reference], written=None, now=NOON, ask_at=NOON)
    assert let_go(ledger, second)
    counts = ledger.records.counts()
    assert (counts.pending, counts.failed, counts.uncommitted, counts.forwarded) == (0, 0, 0, 1)
    assert {row.last_error for row in ledger.records.destinations()} == {None}
    assert due(ledger, "SLOW", now=LATER) == []
    begun = {"transaction_uid": "1.6.1", "limit": 9, "now": LATER, "ask_again_at": LATER}
    assert ledger.commitments.begin(destination="AI", **begun) == []
    for state in (DeliveryState.FAILED, DeliveryState.PENDING):
        assert ledger.outbox.requeue(state=state, uids=["1.2.3.1"], now=NOON) == 0
    states = {way.destination: way.state for way in ledger.records.find("1.2.3.1")[1].deliveries}
    assert states == dict.fromkeys(names, DeliveryState.LET_GO)


def test_what_is_being_sent_at_this_moment_is_not_let_go(ledger: Ledger) -> None:
    """The destination would have it in the end, and retention would remove the other one."""
    first = delivered(ledger)
    second = settled(ledger, 1, digest="f" * 64, deliveries=to("AI", "PACS"))
    (in_hand,) = due(ledger)
    with pytest.raises(BeingSentError, match="try again"):
        ledger.records.let_go(second.id, remove=pytest.fail, now=NOON)
    assert named(ledger) == [second.id, first.id]
    assert [way.state for way in ledger.records.find("1.2.3.1")[1].deliveries] == [DeliveryState.PENDING] * 2
    ledger.outbox.delivered(in_hand.id, sent_uid="1.2.3.1", written=None, now=NOON)
    assert let_go(ledger, second)


def came_late(ledger: Ledger) -> tuple[Instance, Instance, Delivery]:
    """Two contents; the second is let go while a worker whose lease has run out is still sending it."""
    first = delivered(ledger)
    second = settled(ledger, 1, digest="f" * 64, deliveries=to("PACS", "AI"))
    (in_hand,) = due(ledger)
    assert ledger.records.let_go(second.id, remove=lambda _: None, now=NOON + LEASE)
    assert named(ledger) == []
    return first, second, in_hand


@pytest.mark.parametrize("state", [DeliveryState.DELIVERED, DeliveryState.SENT])
def test_what_arrives_after_it_was_let_go_conflicts_anew(ledger: Ledger, state: DeliveryState) -> None:
    first, second, in_hand = came_late(ledger)
    now = NOON + LEASE
    if state is DeliveryState.DELIVERED:
        ledger.outbox.delivered(in_hand.id, sent_uid="1.2.3.1", written=None, now=now)
    else:
        reference = SopReference(sop_class_uid="1.5", sop_instance_uid="1.2.3.1")
        ledger.outbox.sent(in_hand.id, objects=[reference], written=None, now=now, ask_at=now)
    assert named(ledger) == [second.id, first.id]
    assert retired(ledger, before=now + SECOND) == []
    record = ledger.records.find("1.2.3.1")[1]
    assert [event.kind for event in record.events[-2:]] == [state, "conflict"]
    assert [way.state for way in record.deliveries] == [DeliveryState.LET_GO, state]
    assert ledger.records.let_go(second.id, remove=lambda _: None, now=now)


def test_what_was_delivered_before_it_was_let_go_stays_let_go_however_often_that_is_told(ledger: Ledger) -> None:
    """A ledger that goes away after a commit, before its answer, is told the same again."""
    first, second = two_contents(ledger)
    (way,) = ledger.records.find("1.2.3.1")[0].deliveries
    let_go(ledger, first)
    ledger.outbox.delivered(way.id, sent_uid="1.2.3.1", written=None, now=LATER)
    assert named(ledger) == []
    assert retired(ledger, before=LATER + SECOND) == [second.id]


def test_only_what_stays_is_sent_again_by_hand(ledger: Ledger) -> None:
    """As when the PACS had the wrong one, and a person has deleted it there."""
    first, second = two_contents(ledger)
    let_go(ledger, first)
    assert ledger.outbox.requeue(state=DeliveryState.DELIVERED, uids=["1.2.3.1"], now=NOON) == 1
    assert [one.instance_id for one in due(ledger)] == [second.id]


def test_what_stays_is_sent_again_alone_also_where_the_other_file_is_back(ledger: Ledger) -> None:
    """As when the spool's folder was restored from a backup."""
    first, second = two_contents(ledger)
    let_go(ledger, first)
    ledger.intake.restore(first.id, path=first.path, now=NOON, resend=False)
    assert ledger.outbox.requeue(state=DeliveryState.DELIVERED, uids=["1.2.3.1"], now=NOON) == 1
    assert [one.instance_id for one in due(ledger)] == [second.id]


def test_the_last_content_of_a_uid_is_not_let_go(ledger: Ledger) -> None:
    first, second = two_contents(ledger)
    alone = delivered(ledger, 2)
    assert not ledger.records.let_go(alone.id, remove=pytest.fail, now=NOON)
    assert not ledger.records.let_go(404, remove=pytest.fail, now=NOON)
    assert let_go(ledger, first)
    for one in (first, second):
        assert not ledger.records.let_go(one.id, remove=pytest.fail, now=NOON)


def test_none_is_let_go_for_one_that_is_lost(ledger: Ledger) -> None:
    first, second = two_contents(ledger)
    ledger.repairs.lose(second.id, now=NOON)
    assert not ledger.records.let_go(first.id, remove=pytest.fail, now=NOON)
    assert let_go(ledger, second)
    assert ledger.records.counts().lost == 0


def test_one_without_a_verdict_is_not_let_go(ledger: Ledger) -> None:
    delivered(ledger)
    waiting = ledger.intake.add(arrival(1, digest="f" * 64)).instance
    assert not ledger.records.let_go(waiting.id, remove=pytest.fail, now=NOON)


def test_of_two_that_are_let_go_at_once_one_stays(ledger: Ledger) -> None:
    for number in range(1, 7):
        pair = [settled(ledger, number, digest=f"{number}{letter}") for letter in "ab"]
        assert sorted(race(*[lambda one=one: let_go(ledger, one) for one in pair])) == [False, True]


def test_a_file_that_cannot_be_removed_is_not_let_go(ledger: Ledger) -> None:
    first, _ = two_contents(ledger)

    def refuse(_: str) -> None:
        raise PermissionError(1, "Operation not permitted")

    with pytest.raises(PermissionError, match="not permitted"):
        ledger.records.let_go(first.id, remove=refuse, now=NOON)
    assert ledger.records.counts().conflicting == 2
    assert ledger.records.find("1.2.3.1")[0].instance.spooled


def test_what_is_sent_again_after_it_was_let_go_is_missed_and_conflicts_anew(ledger: Ledger) -> None:
    first = settled(ledger, 1, deliveries=to("AI"))
    second = delivered(ledger, digest="f" * 64)
    let_go(ledger, first)
    ledger.intake.restore(first.id, path=first.path, now=LATER)
    assert named(ledger) == [second.id, first.id]
    assert [one.instance_id for one in due(ledger, "AI", now=LATER)] == [first.id]


def test_what_comes_back_by_itself_after_it_was_let_go_goes_nowhere(ledger: Ledger) -> None:
    unseen = verdict(outcome=Outcome.UNREADABLE, decision=Decision.UNREADABLE)
    first = ledger.intake.add(arrival(1)).instance
    ledger.work.settle(first.id, unseen, recognition=None, deliveries=to("AI"))
    delivered(ledger, digest="f" * 64)
    let_go(ledger, first)
    ledger.intake.restore(first.id, path=first.path, now=LATER, resend=False)
    assert ledger.outbox.plan(first.id, to("LATER"), now=LATER) == 0
    for state in DeliveryState:
        assert ledger.outbox.requeue(state=state, uids=["1.2.3.1"], destinations=["AI"], now=LATER) == 0
    assert named(ledger) == []
    assert due(ledger, "AI", now=LATER) == []
    assert ledger.work.claim(worker="w", limit=9, now=LATER, lease=SECOND) == []
