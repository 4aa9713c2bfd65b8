"""What the storage commitment SCP may rely on."""

from dataclasses import replace

from dicom_node.commitment import MOST_SHOWN, CommitmentRequest, PromiseState, SopReference
from dicom_node.ports import Ledger
from tests.contract.ledger.racing import SECOND, due, race, settled, to
from tests.stories import LEASE, NOON, arrival

REQUEST = CommitmentRequest(
    transaction_uid="1.4.1",
    references=(
        SopReference(sop_class_uid="1.5", sop_instance_uid="1.2.3.2"),
        SopReference(sop_class_uid="1.5", sop_instance_uid="1.2.3.1"),
    ),
    calling_ae="CR1",
    called_ae="REGION",
    peer="127.0.0.1",
)
OTHER = (SopReference(sop_class_uid="1.5", sop_instance_uid="1.2.3.9"),)


def ask(ledger: Ledger, request: CommitmentRequest = REQUEST, *, now=NOON):
    return ledger.promises.ask(request, now=now, due_at=now + SECOND)


def claim(ledger: Ledger, *, now=NOON + SECOND, limit: int = 9):
    return list(ledger.promises.claim(limit=limit, now=now, lease=LEASE))


def test_a_request_is_kept_as_it_was_made_and_answered_when_it_is_due(ledger: Ledger) -> None:
    kept = ask(ledger)
    assert claim(ledger, now=NOON) == []
    (promise,) = claim(ledger)
    assert promise == replace(kept, due_at=NOON + SECOND + LEASE)
    assert (promise.references, promise.transaction_uid) == (REQUEST.references, "1.4.1")
    assert (promise.calling_ae, promise.peer, promise.state) == ("CR1", "127.0.0.1", PromiseState.OPEN)


def test_the_same_request_again_is_one_request(ledger: Ledger) -> None:
    """A peer that did not get our answer asks again."""
    first = ask(ledger)
    assert ask(ledger, now=NOON + SECOND) == first
    assert len(ledger.promises.unreported()) == 1


def test_a_transaction_uid_that_is_in_use_for_other_objects_is_refused(ledger: Ledger) -> None:
    ask(ledger)
    assert ask(ledger, replace(REQUEST, references=OTHER)) is None
    (promise,) = claim(ledger)
    assert promise.references == REQUEST.references


def test_transaction_uids_are_each_peer_s_own(ledger: Ledger) -> None:
    ask(ledger)
    assert ask(ledger, replace(REQUEST, calling_ae="CR2", references=OTHER)) is not None
    assert [one.calling_ae for one in ledger.promises.unreported()] == ["CR1", "CR2"]


def test_what_is_reported_is_over_until_it_is_asked_for_again(ledger: Ledger) -> None:
    (promise,) = [ask(ledger)]
    ledger.promises.reported(promise.id, now=NOON)
    assert claim(ledger) == []
    assert ledger.promises.unreported() == []
    later = NOON + 9 * SECOND
    again = ask(ledger, replace(REQUEST, references=OTHER), now=later)
    assert (again.state, again.references, again.asked_at) == (PromiseState.OPEN, OTHER, later)


def test_a_failed_report_counts_and_waits_for_its_time(ledger: Ledger) -> None:
    promise = ask(ledger)
    ledger.promises.postpone(promise.id, error="CR1 is away", due_at=NOON + 5 * SECOND)
    assert claim(ledger, now=NOON + 4 * SECOND) == []
    (again,) = claim(ledger, now=NOON + 5 * SECOND)
    assert (again.attempts, again.last_error) == (1, "CR1 is away")


def test_handing_on_counts_no_attempt(ledger: Ledger) -> None:
    promise = ask(ledger)
    ledger.promises.hand_on(promise.id, due_at=NOON)
    (again,) = claim(ledger, now=NOON)
    assert (again.attempts, again.last_error) == (0, None)


def test_one_that_is_just_being_told_is_due_no_sooner_than_that_ends(ledger: Ledger) -> None:
    promise = ask(ledger)
    assert ledger.promises.extend(promise.id, until=NOON + LEASE)
    assert ledger.promises.extend(promise.id, until=NOON)
    assert claim(ledger) == []
    (again,) = claim(ledger, now=NOON + LEASE)
    assert (again.id, again.attempts) == (promise.id, 0)


def test_what_is_reported_or_given_up_is_told_by_nobody_any_more(ledger: Ledger) -> None:
    promise, other = ask(ledger), ask(ledger, replace(REQUEST, calling_ae="CR2"))
    ledger.promises.reported(promise.id, now=NOON)
    ledger.promises.give_up("CR2", asked_by=NOON, error="away")
    assert not ledger.promises.extend(promise.id, until=NOON + LEASE)
    assert not ledger.promises.extend(other.id, until=NOON + LEASE)


def test_what_is_given_up_is_shown_and_never_tried_again_by_itself(ledger: Ledger) -> None:
    ask(ledger)
    ask(ledger, replace(REQUEST, calling_ae="CR2"))
    ask(ledger, replace(REQUEST, transaction_uid="1.4.2"), now=NOON + SECOND)
    assert ledger.promises.give_up("CR1", asked_by=NOON, error="gone for a week") == 1
    assert [(one.calling_ae, one.transaction_uid) for one in claim(ledger, now=NOON + LEASE)] == [
        ("CR2", "1.4.1"),
        ("CR1", "1.4.2"),
    ]
    shown = ledger.promises.unreported()[0]
    assert (shown.state, shown.last_error) == (PromiseState.GIVEN_UP, "gone for a week")
    assert ledger.records.counts().unreported == 3
    again = ask(ledger)
    assert (again.state, again.references) == (PromiseState.OPEN, REQUEST.references)


def test_what_is_given_up_is_forgotten_after_its_time_and_what_is_open_never(ledger: Ledger) -> None:
    """A modality that nobody has named an address for asks every day, for years."""
    for number in range(5):
        ask(ledger, replace(REQUEST, transaction_uid=f"1.4.{number}"), now=NOON + number * SECOND)
    ledger.promises.give_up("CR1", asked_by=NOON + 2 * SECOND, error="gone")
    assert [one.references for one in ledger.promises.unreported()] == [()] * 3 + [REQUEST.references] * 2
    assert ledger.promises.forget(before=NOON + 2 * SECOND) == 2
    assert ledger.promises.forget(before=NOON + LEASE) == 1
    assert [one.transaction_uid for one in ledger.promises.unreported()] == ["1.4.3", "1.4.4"]
    assert ledger.records.counts().unreported == 2
    assert ask(ledger).state is PromiseState.OPEN


def test_no_more_than_the_latest_few_are_shown_and_all_are_counted(ledger: Ledger) -> None:
    for number in range(MOST_SHOWN + 5):
        ask(ledger, replace(REQUEST, transaction_uid=f"1.4.{number}"), now=NOON + number * SECOND)
    shown = [one.transaction_uid for one in ledger.promises.unreported()]
    assert shown == [f"1.4.{number}" for number in range(5, MOST_SHOWN + 5)]
    assert ledger.records.counts().unreported == MOST_SHOWN + 5


def test_a_peer_can_be_left_alone_for_a_while_and_no_other_with_it(ledger: Ledger) -> None:
    first = ask(ledger)
    ask(ledger, replace(REQUEST, transaction_uid="1.4.2"))
    other = ask(ledger, replace(REQUEST, calling_ae="CR2"))
    later = ask(ledger, replace(REQUEST, transaction_uid="1.4.3"), now=NOON + 9 * SECOND)
    ledger.promises.postpone(first.id, error="CR1 is away", due_at=NOON + 5 * SECOND)
    ledger.promises.hold("CR1", until=NOON + 5 * SECOND)
    assert [one.id for one in claim(ledger, now=NOON + 4 * SECOND)] == [other.id]
    due = claim(ledger, now=NOON + 10 * SECOND)
    assert [(one.transaction_uid, one.attempts) for one in due] == [("1.4.2", 0), ("1.4.1", 1), ("1.4.3", 0)]
    assert due[2].id == later.id


def test_reporters_that_race_never_get_the_same_promise(ledger: Ledger) -> None:
    for number in range(20):
        ask(ledger, replace(REQUEST, transaction_uid=f"1.4.{number}"))
    got = [one.id for claimed in race(*[lambda: claim(ledger, limit=5)] * 6) for one in claimed]
    assert len(got) == len(set(got)) == 20


def test_a_crash_in_the_middle_of_a_report_brings_it_back(ledger: Ledger) -> None:
    ask(ledger)
    assert len(claim(ledger)) == 1
    assert claim(ledger, now=NOON + LEASE) == []
    assert len(claim(ledger, now=NOON + SECOND + LEASE)) == 1


def test_what_ought_to_be_here_is_told_with_its_classes_also_what_is_lost(ledger: Ledger) -> None:
    """Whoever vouches for a UID has to know of every content that bears it."""
    ledger.intake.add(arrival(1))
    other = ledger.intake.add(arrival(1, digest="other", sop_class_uid="1.6")).instance
    gone = ledger.intake.add(arrival(2)).instance
    for lost in (other, gone):
        ledger.repairs.lose(lost.id, now=NOON)
    here = ledger.promises.here(["1.2.3.1", "1.2.3.2", "1.404"])
    assert [(one.sop_instance_uid, one.sop_class_uid, one.spooled) for one in here] == [
        ("1.2.3.1", "1.2.840.10008.5.1.4.1.1.1", True),
        ("1.2.3.1", "1.6", False),
        ("1.2.3.2", "1.2.840.10008.5.1.4.1.1.1", False),
    ]


def test_what_retention_has_removed_is_not_told(ledger: Ledger) -> None:
    instance = settled(ledger, 1, deliveries=to("PACS"))
    ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.9", written=None, now=NOON)
    assert ledger.records.retire(instance.id, remove=lambda _: None, now=NOON)
    assert ledger.promises.here(["1.2.3.1"]) == []


def test_what_retention_has_removed_is_told_while_another_content_with_its_uid_is_here(ledger: Ledger) -> None:
    """Whoever holds that one may not be told on the strength of the other that it is kept."""
    first = settled(ledger, 1, deliveries=to("PACS"))
    ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.9", written=None, now=NOON)
    assert ledger.records.retire(first.id, remove=lambda _: None, now=NOON)
    second = settled(ledger, 1, digest="other")
    assert [(one.id, one.spooled) for one in ledger.promises.here(["1.2.3.1"])] == [
        (first.id, False),
        (second.id, True),
    ]
    assert ledger.records.let_go(first.id, remove=lambda _: None, now=NOON)
    assert [one.id for one in ledger.promises.here(["1.2.3.1"])] == [second.id]


def test_a_name_that_no_column_holds_does_not_stop_it(ledger: Ledger) -> None:
    assert ask(ledger, replace(REQUEST, called_ae="RE\0GION")) is not None
