"""What a clock that was ahead leaves in a ledger, once it has been put back: nothing of it waits for that time."""

from datetime import datetime, timedelta

import pytest

from dicom_node.commitment import CommitmentRequest, SopReference
from dicom_node.instance import Instance
from dicom_node.ledger import open_ledger
from dicom_node.ports import Ledger
from dicom_node.repair import LongestWaits
from tests.contract.ledger.racing import SECOND, due, settled, to, verdict
from tests.contract.ledger.test_plans import explain
from tests.stories import LEASE, NOON, arrival

AHEAD = NOON + timedelta(days=365)
HOUR = timedelta(hours=1)
WAITS = LongestWaits(
    lease=LEASE, sending={"PACS": HOUR, "HELD": 24 * HOUR}, asking={"PACS": HOUR, "HELD": HOUR}, telling=HOUR
)
REFERENCE = SopReference(sop_class_uid="1.5", sop_instance_uid="1.2.3.1")
REQUEST = CommitmentRequest(
    transaction_uid="1.4.1", references=(REFERENCE,), calling_ae="CR1", called_ae="REGION", peer="127.0.0.1"
)


def put_right(ledger: Ledger, *, now: datetime = NOON) -> int:
    return ledger.repairs.put_right(now=now, waits=WAITS)


def claimed(ledger: Ledger) -> list[int]:
    return [one.id for one in ledger.work.claim(worker="w", limit=9, now=NOON, lease=LEASE)]


def planned(ledger: Ledger, *names: str, at=AHEAD) -> Instance:
    """An image that got its verdict while the clock was ahead."""
    instance = ledger.intake.add(arrival(1)).instance
    assert ledger.work.settle(instance.id, verdict(at=at), recognition=None, deliveries=to(*names, due=at))
    return instance


def test_an_image_that_somebody_took_with_a_clock_ahead_can_be_looked_at(ledger: Ledger) -> None:
    instance = ledger.intake.add(arrival(1, received_at=AHEAD)).instance
    ledger.work.claim(worker="w", limit=9, now=AHEAD, lease=LEASE)
    assert claimed(ledger) == []
    assert put_right(ledger) == 1
    assert claimed(ledger) == [instance.id]


def test_a_delivery_that_somebody_took_with_a_clock_ahead_can_be_sent(ledger: Ledger) -> None:
    settled(ledger, 1, deliveries=to("PACS"))
    assert len(due(ledger, now=AHEAD)) == 1
    assert due(ledger) == []
    assert put_right(ledger) == 1
    assert len(due(ledger)) == 1


def test_a_delivery_that_was_planned_with_a_clock_ahead_is_due(ledger: Ledger) -> None:
    planned(ledger, "PACS")
    assert due(ledger) == []
    assert put_right(ledger) == 1
    (delivery,) = due(ledger)
    assert delivery.due_at == NOON
    assert ledger.records.destinations()[0].oldest_due == NOON


def test_a_delivery_that_failed_with_a_clock_ahead_is_tried_again(ledger: Ledger) -> None:
    settled(ledger, 1, deliveries=to("PACS"))
    (delivery,) = due(ledger)
    ledger.outbox.postpone(delivery.id, error="away", planned_at=NOON - HOUR, due_at=AHEAD)
    assert put_right(ledger) == 1
    (delivery,) = due(ledger)
    assert (delivery.planned_at, delivery.attempts, delivery.last_error) == (NOON - HOUR, 1, "away")


def test_what_was_sent_with_a_clock_ahead_is_asked_for(ledger: Ledger) -> None:
    planned(ledger, "PACS")
    ledger.outbox.sent(due(ledger, now=AHEAD)[0].id, objects=[REFERENCE], written=None, now=AHEAD, ask_at=AHEAD)
    begun = {"destination": "PACS", "transaction_uid": "1.6.1", "limit": 9, "now": NOON, "ask_again_at": NOON + HOUR}
    assert ledger.commitments.begin(**begun) == []
    assert put_right(ledger) == 1
    assert ledger.commitments.begin(**begun) == [REFERENCE]
    assert put_right(ledger) == 0


def test_a_peer_that_asked_with_a_clock_ahead_is_told(ledger: Ledger) -> None:
    ledger.promises.ask(REQUEST, now=AHEAD, due_at=AHEAD + SECOND)
    assert ledger.promises.claim(limit=9, now=NOON, lease=LEASE) == []
    assert put_right(ledger) == 1
    assert len(ledger.promises.claim(limit=9, now=NOON, lease=LEASE)) == 1


def test_a_clock_that_is_behind_uses_up_nobodys_patience(ledger: Ledger) -> None:
    """To it everything lies ahead. Once it is right, all would have been tried for years, and would be given up."""
    behind = NOON - timedelta(days=30)
    settled(ledger, 1, deliveries=to("PACS"))
    (delivery,) = due(ledger)
    ledger.outbox.postpone(delivery.id, error="away", planned_at=NOON, due_at=NOON + HOUR)
    settled(ledger, 2, deliveries=to("HELD"))
    (delivery,) = due(ledger, "HELD")
    ledger.outbox.sent(delivery.id, objects=[REFERENCE], written=None, now=NOON, ask_at=NOON + HOUR)
    ledger.promises.ask(REQUEST, now=NOON, due_at=NOON + HOUR)
    assert put_right(ledger, now=behind) == 3
    ways = [way for number in (1, 2) for way in ledger.records.find(f"1.2.3.{number}")[0].deliveries]
    assert [(way.planned_at, way.due_at) for way in ways] == [(NOON, behind)] * 2
    assert [(one.asked_at, one.due_at) for one in ledger.promises.unreported()] == [(NOON, behind)]


def test_what_waits_no_longer_than_anything_may_goes_on_waiting(ledger: Ledger) -> None:
    """Also by the clock of another node, which may be a little ahead."""
    ahead = NOON + LEASE
    ledger.intake.add(arrival(2))
    ledger.work.claim(worker="v", limit=9, now=ahead, lease=LEASE)
    planned(ledger, "PACS", at=ahead)
    settled(ledger, 3, deliveries=[*to("PACS", due=ahead + HOUR), *to("HELD", due=ahead + 24 * HOUR)])
    settled(ledger, 4, deliveries=to("PACS", due=None))
    assert len(due(ledger, now=ahead)) == 1
    sent = settled(ledger, 5, deliveries=to("HELD"))
    (delivery,) = due(ledger, "HELD")
    ledger.outbox.sent(delivery.id, objects=[REFERENCE], written=None, now=NOON, ask_at=ahead + HOUR)
    ledger.promises.ask(REQUEST, now=NOON, due_at=ahead + HOUR)
    before = [ledger.records.find(f"1.2.3.{number}") for number in range(1, 6)], ledger.promises.unreported()
    assert put_right(ledger) == 0
    assert before == ([ledger.records.find(f"1.2.3.{number}") for number in range(1, 6)], ledger.promises.unreported())
    assert claimed(ledger) == []
    assert sent.sop_instance_uid == "1.2.3.5"


def test_what_waits_for_another_destination_is_its_own_nodes_to_put_right(ledger: Ledger) -> None:
    planned(ledger, "ELSEWHERE", "PACS")
    assert put_right(ledger) == 1
    ways = {way.destination: way.due_at for way in ledger.records.find("1.2.3.1")[0].deliveries}
    assert ways == {"ELSEWHERE": AHEAD, "PACS": NOON}


def test_looking_for_it_walks_through_no_table(tmp_path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    planned(ledger, "PACS")
    ledger.promises.ask(REQUEST, now=AHEAD, due_at=AHEAD)
    ledger.work.claim(worker="w", limit=9, now=AHEAD, lease=LEASE)
    plans = explain(ledger._database._engine, lambda: put_right(ledger))
    assert [step for step in plans if step.startswith("SCAN") and "CONSTANT" not in step] == []
    for name in ("ix_instances_leased", "ix_deliveries_leased", "ix_deliveries_pending", "ix_promises_open"):
        assert any(name in step for step in plans), name
    ledger.close()


@pytest.mark.parametrize("count", [3])
def test_of_very_many_some_are_put_right_at_a_time(tmp_path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("dicom_node.ledger.repairs.PORTION", 2)
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    for number in range(count):
        settled(ledger, number, deliveries=to("PACS", due=AHEAD))
    assert [put_right(ledger) for _ in range(3)] == [2, 1, 0]
    ledger.close()
