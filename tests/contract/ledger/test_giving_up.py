"""What becomes of the deliveries to a destination that nobody will reach again."""

from dicom_node.commitment import SopReference
from dicom_node.instance import DeliveryState
from dicom_node.ports import Ledger
from tests.contract.ledger.racing import SECOND, due, settled, to
from tests.stories import LEASE, NOON

LATER = NOON + 9 * SECOND


def states(ledger: Ledger, number: int) -> dict[str, DeliveryState]:
    """Where an image stands at each of its destinations."""
    (record,) = ledger.records.find(f"1.2.3.{number}")
    return {delivery.destination: delivery.state for delivery in record.deliveries}


def test_what_waits_for_a_destination_fails_with_the_reason_and_the_rest_stays(ledger: Ledger) -> None:
    """Also what waits for its study, and what was sent and is not committed; at no other destination anything."""
    for number in (1, 2, 3, 4):
        settled(ledger, number, deliveries=to("OLD", "PACS"))
    settled(ledger, 5, deliveries=to("OLD", due=None))
    made, sent, refused, _ = due(ledger, "OLD")
    ledger.outbox.delivered(made.id, sent_uid="1.9", written=None, now=NOON)
    objects = [SopReference(sop_class_uid="1.5", sop_instance_uid="1.9.1")]
    ledger.outbox.sent(sent.id, objects=objects, written=None, now=NOON, ask_at=NOON)
    ledger.outbox.fail(refused.id, error="refused", now=NOON)
    assert ledger.outbox.give_up("OLD", error="given up by hand", now=LATER) == 3
    assert ledger.outbox.give_up("OLD", error="given up by hand", now=LATER) == 0
    old, pacs = ledger.records.destinations()
    assert (old.pending, old.uncommitted, old.delivered, old.failed, old.oldest_due) == (0, 0, 1, 4, None)
    assert old.last_error == "given up by hand"
    assert (pacs.pending, pacs.failed) == (4, 0)
    (record,) = ledger.records.find("1.2.3.3")
    assert next(one for one in record.deliveries if one.destination == "OLD").last_error == "refused"
    (record,) = ledger.records.find("1.2.3.5")
    assert [(one.kind, one.at, one.detail) for one in record.events][-1] == ("given_up", LATER, "OLD")


def test_what_was_given_up_comes_back_when_its_destination_does(ledger: Ledger) -> None:
    for number in (1, 2):
        settled(ledger, number, deliveries=to("OLD", "PACS"))
    ledger.outbox.give_up("OLD", error="given up by hand", now=NOON)
    ledger.outbox.fail(due(ledger, "PACS")[0].id, error="refused", now=NOON)
    assert ledger.outbox.requeue(state=DeliveryState.FAILED, uids=[], destinations=["OLD"], now=LATER) == 2
    assert [(one.attempts, one.last_error) for one in due(ledger, "OLD", now=LATER)] == [(0, None)] * 2
    assert states(ledger, 1)["PACS"] is DeliveryState.FAILED


def test_requeuing_for_a_destination_keeps_to_the_uids_as_well(ledger: Ledger) -> None:
    for number in (1, 2):
        settled(ledger, number, deliveries=to("OLD", "PACS"))
    ledger.outbox.give_up("OLD", error="given up", now=NOON)
    ledger.outbox.give_up("PACS", error="given up", now=NOON)
    assert ledger.outbox.requeue(state=DeliveryState.FAILED, uids=["1.2.3.1"], destinations=["PACS"], now=NOON) == 1
    assert states(ledger, 1) == {"OLD": DeliveryState.FAILED, "PACS": DeliveryState.PENDING}
    assert states(ledger, 2) == {"OLD": DeliveryState.FAILED, "PACS": DeliveryState.FAILED}


def test_a_file_whose_delivery_was_given_up_does_not_go(ledger: Ledger) -> None:
    instance = settled(ledger, 1, deliveries=to("OLD", "PACS"))
    ledger.outbox.delivered(due(ledger, "PACS")[0].id, sent_uid="1.9", written=None, now=NOON)
    ledger.outbox.give_up("OLD", error="given up by hand", now=NOON)
    removed: list[str] = []
    assert ledger.records.retired(before=NOON + LEASE, limit=9) == []
    assert not ledger.records.retire(instance.id, remove=removed.append, now=NOON)
    assert removed == []


def test_what_arrives_although_it_was_given_up_has_arrived(ledger: Ledger) -> None:
    """A node whose configuration still has the destination was just sending it."""
    settled(ledger, 1, deliveries=to("OLD"))
    (delivery,) = due(ledger, "OLD")
    ledger.outbox.give_up("OLD", error="given up by hand", now=NOON)
    ledger.outbox.postpone(delivery.id, error="away", planned_at=NOON, due_at=NOON)
    assert states(ledger, 1) == {"OLD": DeliveryState.FAILED}
    ledger.outbox.delivered(delivery.id, sent_uid="1.9", written=None, now=LATER)
    assert states(ledger, 1) == {"OLD": DeliveryState.DELIVERED}
    assert ledger.records.destinations()[0].last_error is None


def test_what_is_given_up_and_put_back_while_it_is_sent_is_not_sent_by_a_second_worker(ledger: Ledger) -> None:
    settled(ledger, 1, deliveries=to("OLD"))
    due(ledger, "OLD")
    ledger.outbox.give_up("OLD", error="given up by hand", now=NOON)
    assert ledger.outbox.requeue(state=DeliveryState.FAILED, uids=[], destinations=["OLD"], now=NOON) == 1
    assert due(ledger, "OLD") == []
    assert len(due(ledger, "OLD", now=NOON + LEASE)) == 1
