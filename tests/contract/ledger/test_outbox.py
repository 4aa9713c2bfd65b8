"""What the forwarder of a destination may rely on."""

from datetime import timedelta

import pytest

from dicom_node.commitment import SopReference
from dicom_node.errors import LedgerError
from dicom_node.instance import Delivery, DeliveryState, Done
from dicom_node.ports import Ledger
from dicom_node.regions import Region
from tests.contract.ledger.racing import SECOND, delivery_of, due, race, settled, to, verdict
from tests.stories import LEASE, NOON, arrival, recognition


def test_only_what_is_due_here_is_claimed_and_the_longest_due_first(ledger: Ledger) -> None:
    settled(ledger, 1, deliveries=to("PACS", due=NOON))
    settled(ledger, 2, deliveries=to("PACS", due=NOON - SECOND))
    settled(ledger, 3, deliveries=to("PACS", due=NOON + SECOND))
    settled(ledger, 4, deliveries=to("PACS", due=None))
    settled(ledger, 5, deliveries=to("AI"))
    claimed = due(ledger, "PACS")
    assert [ledger.outbox.subject(one)[0].sop_instance_uid for one in claimed] == ["1.2.3.2", "1.2.3.1"]
    assert [one.attempts for one in claimed] == [0, 0]


def test_a_delivery_brings_its_instance_and_its_verdict(ledger: Ledger) -> None:
    instance = ledger.intake.add(arrival()).instance
    said = recognition(Region.HAND)
    ledger.work.settle(instance.id, verdict(), recognition=said, deliveries=to("PACS"))
    (delivery,) = due(ledger)
    carried, answer, seen = ledger.outbox.subject(delivery)
    assert (carried.id, answer, seen) == (instance.id, verdict(), said)


def test_a_delivery_of_another_ledger_is_refused(ledger: Ledger) -> None:
    foreign = Delivery(
        id=7, instance_id=9, destination="PACS", state=DeliveryState.PENDING, planned_at=NOON, due_at=NOON
    )
    with pytest.raises(LedgerError, match="another node"):
        ledger.outbox.subject(foreign)


def test_a_lease_keeps_others_away_until_it_ends(ledger: Ledger) -> None:
    settled(ledger, deliveries=to("PACS"))
    (first,) = due(ledger)
    assert due(ledger, now=NOON + LEASE - SECOND) == []
    assert due(ledger, now=NOON + LEASE) == [first]


def test_forwarders_that_race_never_get_the_same_delivery(ledger: Ledger) -> None:
    for number in range(40):
        settled(ledger, number, deliveries=to("PACS"))

    def work() -> list[int]:
        got = []
        while batch := due(ledger, limit=3):
            got += [one.id for one in batch]
        return got

    got = [id_ for ids in race(*[work] * 6) for id_ in ids]
    assert len(got) == len(set(got)) == 40


def test_deliveries_that_are_kept_together_end_as_if_each_were_alone(ledger: Ledger) -> None:
    """One that is over already keeps what it was, and one that is not here changes nothing."""
    settled(ledger, 1, deliveries=to("PACS"))
    settled(ledger, 2, deliveries=to("PACS"))
    first, second = due(ledger)
    ledger.outbox.delivered(first.id, sent_uid="1.8", written=None, now=NOON)
    together = [
        Done(delivery_id=number, sent_uid=f"1.9.{number}", written="HAND", at=NOON + SECOND)
        for number in (first.id, second.id, 404)
    ]
    ledger.outbox.delivered_together(together)
    ways = [ledger.records.find(f"1.2.3.{number}")[0].deliveries[0] for number in (1, 2)]
    assert [(way.state, way.sent_uid, way.delivered_at) for way in ways] == [
        (DeliveryState.DELIVERED, "1.8", NOON),
        (DeliveryState.DELIVERED, f"1.9.{second.id}", NOON + SECOND),
    ]
    assert due(ledger, now=NOON + 2 * LEASE) == []


def test_a_confirmed_delivery_is_over(ledger: Ledger) -> None:
    settled(ledger, deliveries=to("PACS"))
    (delivery,) = due(ledger)
    ledger.outbox.delivered(delivery.id, sent_uid="1.9", written="HAND", now=NOON + SECOND)
    ledger.outbox.delivered(delivery.id, sent_uid="1.10", written=None, now=NOON + 2 * SECOND)
    done = delivery_of(ledger)
    assert (done.state, done.sent_uid, done.delivered_at) == (DeliveryState.DELIVERED, "1.9", NOON + SECOND)
    assert done.written == "HAND"
    assert due(ledger, now=NOON + 2 * LEASE) == []


def test_text_that_no_database_column_holds_costs_no_delivery(ledger: Ledger) -> None:
    settled(ledger, deliveries=to("PACS", "VAULT"))
    ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.9\0", written="HAND\0", now=NOON)
    padded = SopReference(sop_class_uid="1.5\0", sop_instance_uid="1.9\0")
    ledger.outbox.sent(due(ledger, "VAULT")[0].id, objects=[padded], written="\ud800", now=NOON, ask_at=NOON)
    states = [one.state for one in ledger.records.find("1.2.3.1")[0].deliveries]
    assert states == [DeliveryState.DELIVERED, DeliveryState.SENT]


def test_a_transient_failure_counts_and_waits_for_its_time(ledger: Ledger) -> None:
    settled(ledger, deliveries=to("PACS"))
    (delivery,) = due(ledger)
    began = NOON + timedelta(hours=9)
    ledger.outbox.postpone(delivery.id, error="the peer is away", planned_at=began, due_at=began + SECOND)
    assert due(ledger, now=began) == []
    (again,) = due(ledger, now=began + SECOND)
    assert (again.attempts, again.last_error, again.planned_at) == (1, "the peer is away", began)


def test_a_permanent_failure_waits_for_a_person(ledger: Ledger) -> None:
    settled(ledger, deliveries=to("PACS"))
    (delivery,) = due(ledger)
    ledger.outbox.fail(delivery.id, error="the peer refuses this SOP class", now=NOON)
    assert due(ledger, now=NOON + 2 * LEASE) == []
    failed = delivery_of(ledger)
    assert (failed.state, failed.attempts) == (DeliveryState.FAILED, 1)
    assert failed.last_error == "the peer refuses this SOP class"


def test_a_late_failure_does_not_undo_a_delivery(ledger: Ledger) -> None:
    """A worker whose lease ran out may report after the one that took over."""
    settled(ledger, deliveries=to("PACS"))
    (delivery,) = due(ledger)
    ledger.outbox.delivered(delivery.id, sent_uid="1.9", written=None, now=NOON)
    ledger.outbox.postpone(delivery.id, error="timeout", planned_at=NOON, due_at=NOON)
    ledger.outbox.fail(delivery.id, error="timeout", now=NOON)
    assert delivery_of(ledger).state is DeliveryState.DELIVERED
    assert ledger.records.destinations()[0].last_error is None


def test_the_way_of_an_image_is_kept_as_events(ledger: Ledger) -> None:
    """Each is there once, also when a worker reports late; a transient failure shows in the delivery alone."""
    settled(ledger, deliveries=to("AI", "PACS"))
    (to_ai,), (to_pacs,) = due(ledger, "AI"), due(ledger, "PACS")
    ledger.outbox.postpone(to_ai.id, error="away", planned_at=NOON, due_at=NOON)
    ledger.outbox.fail(to_ai.id, error="refused", now=NOON + SECOND)
    for seconds in (2, 3):
        ledger.outbox.delivered(to_pacs.id, sent_uid="1.9", written=None, now=NOON + seconds * SECOND)
    ledger.outbox.fail(to_pacs.id, error="timeout", now=NOON + 4 * SECOND)
    ledger.outbox.requeue(state=DeliveryState.FAILED, uids=[], now=NOON + 5 * SECOND)
    ledger.outbox.requeue(state=DeliveryState.DELIVERED, uids=["1.2.3.1"], now=NOON + 6 * SECOND)
    (record,) = ledger.records.find("1.2.3.1")
    assert [(event.kind, event.at, event.detail) for event in record.events] == [
        ("received", NOON, ""),
        ("settled", NOON, "fills"),
        ("failed", NOON + SECOND, "AI"),
        ("delivered", NOON + 2 * SECOND, "PACS"),
        ("requeued", NOON + 5 * SECOND, "AI"),
        ("requeued", NOON + 6 * SECOND, "PACS"),
    ]


def test_what_another_worker_holds_by_now_is_not_given_back(ledger: Ledger) -> None:
    settled(ledger, deliveries=to("PACS"))
    (slow,) = due(ledger)
    later = NOON + LEASE
    ledger.outbox.claim(destination="PACS", worker="v", limit=1, now=later, lease=LEASE)
    ledger.outbox.release([slow.id], worker="w")
    assert due(ledger, now=later) == []


def test_giving_back_counts_no_attempt(ledger: Ledger) -> None:
    settled(ledger, deliveries=to("PACS"))
    (delivery,) = due(ledger)
    ledger.outbox.release([delivery.id], worker="w")
    ledger.outbox.release([], worker="w")
    assert due(ledger) == [delivery]


def test_a_settled_instance_gets_deliveries_for_destinations_that_it_has_none_for(ledger: Ledger) -> None:
    instance = settled(ledger, 1, deliveries=to("PACS"))
    ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.9", written=None, now=NOON)
    later = NOON + 9 * SECOND
    plans = [*to("PACS", "AI", due=later), *to("STORE", due=None)]
    assert ledger.outbox.plan(instance.id, plans, now=later) == 2
    assert ledger.outbox.plan(instance.id, plans, now=later + SECOND) == 0
    assert delivery_of(ledger).state is DeliveryState.DELIVERED
    new = delivery_of(ledger, destination="AI")
    assert (new.state, new.attempts, new.planned_at, new.due_at) == (DeliveryState.PENDING, 0, later, later)
    assert delivery_of(ledger, destination="STORE").due_at is None
    assert [row.destination for row in ledger.records.destinations()] == ["AI", "PACS", "STORE"]


def test_a_destination_that_is_planned_twice_at_once_gets_one_delivery(ledger: Ledger) -> None:
    instance = settled(ledger)
    assert ledger.outbox.plan(instance.id, [*to("PACS"), *to("PACS", due=None)], now=NOON) == 1
    assert delivery_of(ledger).due_at == NOON


def test_nothing_is_planned_for_what_has_no_verdict(ledger: Ledger) -> None:
    """Its verdict will bring its deliveries; one that is there before would be in their way."""
    instance = ledger.intake.add(arrival()).instance
    assert ledger.outbox.plan(instance.id, to("PACS"), now=NOON) == 0
    assert ledger.outbox.plan(404, to("PACS"), now=NOON) == 0
    assert ledger.records.destinations() == []
    assert ledger.work.settle(instance.id, verdict(), recognition=None, deliveries=to("PACS"))


def test_planning_for_an_unrouted_image_lets_it_be_forwarded_and_retired(ledger: Ledger) -> None:
    instance = settled(ledger)
    assert ledger.records.counts().unrouted == 1
    assert ledger.outbox.plan(instance.id, [], now=NOON) == 0
    assert ledger.records.counts().unrouted == 1
    ledger.outbox.plan(instance.id, to("PACS"), now=NOON)
    assert (ledger.records.counts().unrouted, ledger.records.counts().forwarded) == (0, 0)
    ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.9", written=None, now=NOON)
    assert (ledger.records.counts().unrouted, ledger.records.counts().forwarded) == (0, 1)
    assert [one.id for one in ledger.records.retired(before=NOON + SECOND, limit=9)] == [instance.id]


@pytest.mark.parametrize("study_uid", ["1.2.1", ""])
def test_a_delivery_planned_when_no_closing_is_to_come_is_due_at_once(ledger: Ledger, study_uid: str) -> None:
    instance = settled(ledger, study_uid=study_uid)
    ledger.studies.close("1.2.1", since=NOON + SECOND, values={}, now=NOON)
    assert ledger.outbox.plan(instance.id, to("PACS", due=None), now=NOON) == 1
    assert [one.due_at for one in due(ledger)] == [NOON]


def test_planners_that_race_make_one_delivery(ledger: Ledger) -> None:
    instance = settled(ledger)
    added = race(*[lambda: ledger.outbox.plan(instance.id, to("PACS", "AI"), now=NOON) for _ in range(6)])
    assert sorted(added) == [0] * 5 + [2]
    assert len(due(ledger, "PACS")) == len(due(ledger, "AI")) == 1


def test_a_delivery_that_is_planned_while_its_study_closes_is_not_stranded(ledger: Ledger) -> None:
    for number in range(8):
        instance = settled(ledger, number, study_uid=f"1.7.{number}")
        race(
            lambda one=instance: ledger.outbox.plan(one.id, to("PACS", due=None), now=NOON),
            lambda n=number: ledger.studies.close(f"1.7.{n}", since=NOON + SECOND, values={}, now=NOON),
        )
    assert len(due(ledger)) == 8
