"""What whoever asks destinations for their commitment may rely on."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.event import listen

from dicom_node.commitment import LATEST_ASKED, NO_ANSWER, CommitmentReport, Failure, Outcome, SopReference
from dicom_node.instance import Delivery, DeliveryState
from dicom_node.ledger import commitments, open_ledger
from dicom_node.ledger.engine import read_url
from dicom_node.ports import Ledger
from tests.contract.ledger.racing import SECOND, due, race, settled, to
from tests.stories import NOON

ALL = 100


def reference(uid: str) -> SopReference:
    return SopReference(sop_class_uid="1.5", sop_instance_uid=uid)


def sent(ledger: Ledger, *numbers: int, more: str | None = None) -> None:
    """Deliveries that PACS has taken; each consists of the instance, and of one more object if there is one."""
    for number in numbers:
        settled(ledger, number, deliveries=to("PACS"))
    for delivery in due(ledger):
        take(ledger, delivery, more)


def take(ledger: Ledger, delivery: Delivery, more: str | None = None) -> None:
    uid = ledger.outbox.subject(delivery)[0].sop_instance_uid
    objects = [reference(uid), *([reference(more)] if more else [])]
    ledger.outbox.sent(delivery.id, objects=objects, written="HAND", now=NOON, ask_at=NOON + SECOND)


def begin(ledger: Ledger, uid: str, *, now=NOON + SECOND, limit: int = ALL) -> list[str]:
    """The UIDs that a new transaction asks for."""
    again = now + 10 * SECOND
    asked = ledger.commitments.begin(destination="PACS", transaction_uid=uid, limit=limit, now=now, ask_again_at=again)
    return [each.sop_instance_uid for each in asked]


def answer(
    ledger: Ledger, uid: str, *committed: str, failed: tuple[str, ...] = (), destination: str = "PACS", most: int = 2
) -> Outcome:
    report = CommitmentReport(
        transaction_uid=uid,
        committed=tuple(map(reference, committed)),
        failed=tuple(Failure(reference=reference(each), reason=0x0112) for each in failed),
    )
    return ledger.commitments.take(report, destinations=[destination], now=NOON + 5 * SECOND, most_refusals=most)


def way(ledger: Ledger, number: int = 1) -> Delivery:
    (record,) = ledger.records.find(f"1.2.3.{number}")
    return record.deliveries[0]


def test_what_a_destination_has_taken_is_neither_delivered_nor_free_to_go(ledger: Ledger) -> None:
    """Retention may not have it, `status` shows it, and nobody sends it again."""
    sent(ledger, 1)
    assert (way(ledger).state, way(ledger).sent_uid, way(ledger).written) == (DeliveryState.SENT, "1.2.3.1", "HAND")
    assert ledger.records.retired(before=NOON + SECOND, limit=9) == []
    counts = ledger.records.counts()
    assert (counts.forwarded, counts.pending, counts.uncommitted) == (0, 1, 1)
    (row,) = ledger.records.destinations()
    assert (row.pending, row.delivered, row.uncommitted) == (0, 0, 1)
    assert due(ledger, now=NOON + ALL * SECOND) == []


def test_what_is_committed_is_delivered_and_free_to_go(ledger: Ledger) -> None:
    sent(ledger, 1)
    assert begin(ledger, "1.6.1") == ["1.2.3.1"]
    assert answer(ledger, "1.6.1", "1.2.3.1") is Outcome.TAKEN
    assert (way(ledger).state, way(ledger).delivered_at) == (DeliveryState.DELIVERED, NOON + 5 * SECOND)
    assert [one.sop_instance_uid for one in ledger.records.retired(before=NOON + SECOND, limit=9)] == ["1.2.3.1"]
    (record,) = ledger.records.find("1.2.3.1")
    assert [event.kind for event in record.events] == ["received", "settled", "sent", "delivered"]


def test_nothing_is_asked_before_its_time_nor_twice_nor_of_another(ledger: Ledger) -> None:
    sent(ledger, 1, 2, 3)
    assert begin(ledger, "1.6.1", now=NOON) == []
    assert len(begin(ledger, "1.6.1", limit=2)) == 2
    assert begin(ledger, "1.6.2") == ["1.2.3.3"]
    assert begin(ledger, "1.6.3") == []


def test_askers_that_race_ask_for_each_delivery_once(ledger: Ledger) -> None:
    sent(ledger, *range(20))
    asked = race(*[lambda n=n: begin(ledger, f"1.6.{n}", limit=5) for n in range(6)])
    flat = [uid for uids in asked for uid in uids]
    assert len(flat) == len(set(flat)) == 20


def test_a_delivery_of_several_objects_needs_all_of_them(ledger: Ledger) -> None:
    """The report of mode annotate goes with its image: half of it is not delivered."""
    sent(ledger, 1, more="1.9.1")
    assert begin(ledger, "1.6.1") == ["1.2.3.1", "1.9.1"]
    answer(ledger, "1.6.1", "1.2.3.1", failed=("1.9.1",))
    assert way(ledger).state is DeliveryState.PENDING


def test_what_is_not_committed_is_sent_again_and_then_fails(ledger: Ledger) -> None:
    sent(ledger, 1, 2)
    begin(ledger, "1.6.1")
    answer(ledger, "1.6.1", "1.2.3.2", failed=("1.2.3.1",))
    assert way(ledger, 2).state is DeliveryState.DELIVERED
    denied = way(ledger)
    assert (denied.state, denied.refusals, denied.due_at) == (DeliveryState.PENDING, 1, NOON + 5 * SECOND)
    assert (denied.planned_at, denied.attempts) == (NOON + 5 * SECOND, 0)
    assert "0112 (no such object instance)" in denied.last_error
    (again,) = due(ledger, now=NOON + 6 * SECOND)
    take(ledger, again)
    begin(ledger, "1.6.2", now=NOON + 7 * SECOND)
    answer(ledger, "1.6.2", failed=("1.2.3.1",))
    assert way(ledger).state is DeliveryState.FAILED
    assert ledger.records.counts().failed == 1
    assert ledger.outbox.requeue(state=DeliveryState.FAILED, uids=[], now=NOON) == 1
    assert way(ledger).refusals == 0


def test_what_a_report_leaves_out_is_not_committed(ledger: Ledger) -> None:
    """Both lists have to be complete (PS3.4 J.3.3)."""
    sent(ledger, 1)
    begin(ledger, "1.6.1")
    answer(ledger, "1.6.1")
    assert way(ledger).state is DeliveryState.PENDING


def test_without_an_answer_it_is_asked_again_and_shown(ledger: Ledger) -> None:
    sent(ledger, 1)
    begin(ledger, "1.6.1")
    assert ledger.records.destinations()[0].last_error is None
    assert begin(ledger, "1.6.2", now=NOON + 11 * SECOND) == ["1.2.3.1"]
    assert ledger.records.destinations()[0].last_error == NO_ANSWER


def test_a_late_commitment_counts_although_it_was_asked_again(ledger: Ledger) -> None:
    """Else a destination that always takes longer than the node waits would never be believed."""
    sent(ledger, 1)
    begin(ledger, "1.6.1")
    begin(ledger, "1.6.2", now=NOON + 11 * SECOND)
    assert answer(ledger, "1.6.1", "1.2.3.1") is Outcome.TAKEN
    assert way(ledger).state is DeliveryState.DELIVERED
    assert answer(ledger, "1.6.2", failed=("1.2.3.1",)) is Outcome.TAKEN
    assert way(ledger).state is DeliveryState.DELIVERED


def test_a_late_refusal_waits_for_the_answer_that_was_asked_for_since(ledger: Ledger) -> None:
    sent(ledger, 1)
    begin(ledger, "1.6.1")
    begin(ledger, "1.6.2", now=NOON + 11 * SECOND)
    answer(ledger, "1.6.1", failed=("1.2.3.1",))
    assert way(ledger).state is DeliveryState.SENT


def test_a_commitment_to_what_was_sent_before_says_nothing_of_what_was_sent_since(ledger: Ledger) -> None:
    sent(ledger, 1)
    begin(ledger, "1.6.1")
    ledger.outbox.requeue(state=DeliveryState.SENT, uids=[], now=NOON)
    assert answer(ledger, "1.6.1", "1.2.3.1") is Outcome.TAKEN
    assert way(ledger).state is DeliveryState.PENDING
    sent(ledger)
    begin(ledger, "1.6.2", now=NOON + 2 * SECOND)
    assert way(ledger).state is DeliveryState.SENT
    answer(ledger, "1.6.2", "1.2.3.1")
    assert way(ledger).state is DeliveryState.DELIVERED


def test_a_report_that_comes_twice_changes_nothing(ledger: Ledger) -> None:
    sent(ledger, 1)
    begin(ledger, "1.6.1")
    answer(ledger, "1.6.1", failed=("1.2.3.1",))
    assert answer(ledger, "1.6.1", failed=("1.2.3.1",)) is Outcome.KNOWN
    assert way(ledger).refusals == 1


def test_nobody_else_may_answer(ledger: Ledger) -> None:
    sent(ledger, 1)
    begin(ledger, "1.6.1")
    assert answer(ledger, "1.6.404", "1.2.3.1") is Outcome.STRANGE
    assert answer(ledger, "1.6.1", "1.2.3.1", destination="AI") is Outcome.STRANGE
    assert way(ledger).state is DeliveryState.SENT


def test_a_request_that_did_not_get_there_is_made_anew(ledger: Ledger) -> None:
    sent(ledger, 1)
    begin(ledger, "1.6.1")
    ledger.commitments.postpone("1.6.1", error="PACS is away", due_at=NOON + 3 * SECOND)
    assert ledger.records.destinations()[0].last_error == "PACS is away"
    assert begin(ledger, "1.6.2", now=NOON + 3 * SECOND) == ["1.2.3.1"]


def test_a_destination_that_is_no_longer_asked_has_what_it_has_taken(ledger: Ledger) -> None:
    sent(ledger, 1)
    assert ledger.commitments.waive("AI", now=NOON) == 0
    assert ledger.commitments.waive("PACS", now=NOON) == 1
    assert way(ledger).state is DeliveryState.DELIVERED
    (record,) = ledger.records.find("1.2.3.1")
    assert record.events[-1].detail == "PACS"


def test_a_request_that_was_not_taken_is_forgotten(ledger: Ledger) -> None:
    """It is no question that is left open, and nobody answers it."""
    sent(ledger, 1)
    begin(ledger, "1.6.1")
    ledger.commitments.postpone("1.6.1", error="PACS is away", due_at=NOON + 3 * SECOND)
    begin(ledger, "1.6.2", now=NOON + 3 * SECOND)
    assert ledger.records.destinations()[0].last_error == "PACS is away"
    assert answer(ledger, "1.6.1", "1.2.3.1") is Outcome.STRANGE
    assert answer(ledger, "1.6.2", "1.2.3.1") is Outcome.TAKEN


def test_of_all_that_is_asked_in_vain_the_first_and_the_latest_few_are_remembered(ledger: Ledger) -> None:
    """A destination that takes a whole night is believed in the morning; one that never answers fills no ledger."""
    sent(ledger, 1, 2, 3)
    for number in range(1, 31):
        assert len(begin(ledger, f"1.6.{number}", now=NOON + 11 * number * SECOND)) == 3
    outcomes = {n: answer(ledger, f"1.6.{n}", failed=("1.2.3.1", "1.2.3.2", "1.2.3.3"), most=1) for n in range(2, 30)}
    assert {n for n, outcome in outcomes.items() if outcome is Outcome.TAKEN} == set(range(31 - LATEST_ASKED, 30))
    assert way(ledger).state is DeliveryState.SENT
    answer(ledger, "1.6.1", "1.2.3.1", failed=("1.2.3.2", "1.2.3.3"))
    assert [way(ledger, n).state for n in (1, 2)] == [DeliveryState.DELIVERED, DeliveryState.SENT]
    answer(ledger, "1.6.30", "1.2.3.2", failed=("1.2.3.3",), most=1)
    assert [way(ledger, n).state for n in (2, 3)] == [DeliveryState.DELIVERED, DeliveryState.FAILED]


def test_waiving_takes_as_many_statements_for_many_deliveries_as_for_few(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receivers open their port after it: for 100,000 deliveries they waited a minute."""
    monkeypatch.setattr(commitments, "PORTION", 20)
    ledger = open_ledger(url)
    sent(ledger, *range(50))
    statements = []
    engine = ledger._database._engine
    listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    assert ledger.commitments.waive("PACS", now=NOON) == 50
    counts = ledger.records.counts()
    assert (counts.uncommitted, counts.forwarded) == (0, 50)
    ledger.close()
    assert len([each for each in statements if not each.startswith(("BEGIN", "SET", "SHOW"))]) < 25
    assert rows(url, "SELECT count(*) FROM sent_objects") == [(0,)]
    assert rows(url, "SELECT count(*) FROM events WHERE kind = 'delivered' AND detail = 'PACS'") == [(50,)]


def rows(url: str, query: str) -> list[tuple]:
    engine = create_engine(read_url(url))
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found


@pytest.mark.parametrize("taken", [False, True])
def test_a_destination_that_refuses_or_never_answers_does_not_fill_the_ledger(url: str, taken: bool) -> None:
    """Weeks of asking leave no more than hours, and write the same error once."""
    ledger = open_ledger(url)
    sent(ledger, *range(10))
    sizes, places = [], set()
    for number in range(1, 41):
        now = NOON + 11 * number * SECOND
        assert len(begin(ledger, f"1.6.{number}", now=now)) == 10
        if not taken:
            ledger.commitments.postpone(f"1.6.{number}", error="PACS is away", due_at=now + 11 * SECOND)
        (size,) = rows(url, "SELECT (SELECT count(*) FROM commitments), (SELECT count(*) FROM commitment_deliveries)")
        sizes.append(size)
        places.update(rows(url, "SELECT id, trouble FROM deliveries WHERE trouble IS NOT NULL"))
    ledger.close()
    assert max(sizes) == ((1 + LATEST_ASKED, 10 * (1 + LATEST_ASKED)) if taken else (0, 0))
    assert len(places) == 10


def test_the_error_that_a_destination_shows_is_the_latest_also_when_it_came_before(ledger: Ledger) -> None:
    sent(ledger, 1, 2)
    for number, error in enumerate(["PACS is away", "PACS is full", "PACS is away"]):
        now = NOON + 2 * number * SECOND
        begin(ledger, f"1.6.{number}", now=now + SECOND, limit=1 + number)
        ledger.commitments.postpone(f"1.6.{number}", error=error, due_at=now + 2 * SECOND)
        assert ledger.records.destinations()[0].last_error == error
