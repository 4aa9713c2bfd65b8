"""What people and monitors may rely on."""

from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from dicom_node.errors import OutOfResourcesError, UnstorableError
from dicom_node.instance import DeliveryState, Event, Instance
from dicom_node.ports import Ledger
from dicom_node.record import Counts, DestinationCounts, JobRun
from dicom_node.verdict import Decision, Outcome
from tests.contract.ledger.racing import SECOND, due, settled, to, verdict
from tests.stories import NOON, arrival


def test_an_empty_ledger_counts_nothing(ledger: Ledger) -> None:
    empty = Counts(received=0, classified=0, forwarded=0, pending=0, failed=0, abstained=0, review=0, unrouted=0)
    assert ledger.records.counts() == empty
    assert ledger.records.oldest_received() is None
    assert ledger.records.destinations() == []
    assert ledger.records.find("1.2.1") == []
    assert ledger.records.jobs() == []


def test_counts_say_where_every_image_stands(ledger: Ledger) -> None:
    ledger.intake.add(arrival(1))  # waits
    settled(ledger, 2)  # goes nowhere
    settled(ledger, 3, deliveries=to("PACS", "AI"))  # everywhere
    settled(ledger, 4, deliveries=to("PACS", "AI"))  # at the PACS only
    settled(ledger, 5, deliveries=to("PACS", due=None))  # waits for its study
    for number, change in ((6, {"outcome": Outcome.ABSTAINED}), (7, {"decision": Decision.REVIEW})):
        instance = ledger.intake.add(arrival(number)).instance
        ledger.work.settle(instance.id, verdict(**change), recognition=None, deliveries=[])
    for delivery in due(ledger, "PACS"):
        ledger.outbox.delivered(delivery.id, sent_uid="1.9", written=None, now=NOON)
    first, second = due(ledger, "AI")
    ledger.outbox.delivered(first.id, sent_uid="1.9", written=None, now=NOON)
    ledger.outbox.fail(second.id, error="no", now=NOON)
    assert ledger.records.counts() == Counts(
        received=7, classified=6, forwarded=1, pending=2, failed=1, abstained=1, review=1, unrouted=3
    )


def test_every_destination_tells_how_it_stands(ledger: Ledger) -> None:
    settled(ledger, 1, deliveries=[*to("b", due=NOON - SECOND), *to("B"), *to("a", due=None)])
    settled(ledger, 2, deliveries=to("b", "B"))
    for delivery in due(ledger, "B"):
        ledger.outbox.delivered(delivery.id, sent_uid="1.9", written=None, now=NOON)
    (first, second) = due(ledger, "b")
    ledger.outbox.fail(first.id, error="refused", now=NOON)
    ledger.outbox.postpone(second.id, error="away", planned_at=NOON, due_at=NOON + SECOND)

    def row(name: str, **over) -> DestinationCounts:
        nothing = {"pending": 0, "delivered": 0, "failed": 0, "oldest_due": None, "last_error": None}
        return DestinationCounts(destination=name, **(nothing | over))

    assert ledger.records.destinations() == [
        row("B", delivered=2),
        row("a", pending=1),
        row("b", pending=1, failed=1, oldest_due=NOON + SECOND, last_error="away"),
    ]


def test_trouble_lasts_as_long_as_an_image_has_it(ledger: Ledger) -> None:
    """What arrives meanwhile says nothing of what the destination refused."""
    for number in (1, 2, 3):
        settled(ledger, number, deliveries=to("PACS"))
    refused, late, fine = due(ledger)

    def trouble() -> str | None:
        return ledger.records.destinations()[0].last_error

    ledger.outbox.postpone(late.id, error="away", planned_at=NOON, due_at=NOON)
    ledger.outbox.fail(refused.id, error="refused", now=NOON)
    assert trouble() == "refused"
    ledger.outbox.postpone(late.id, error="still away", planned_at=NOON, due_at=NOON)
    assert trouble() == "still away"
    for delivery in (fine, late):
        ledger.outbox.delivered(delivery.id, sent_uid="1.9", written=None, now=NOON)
    assert trouble() == "refused"
    ledger.outbox.requeue(state=DeliveryState.FAILED, uids=[], now=NOON)
    assert trouble() is None


def test_the_trouble_of_one_destination_is_not_that_of_another(ledger: Ledger) -> None:
    settled(ledger, 1, deliveries=to("AI", "PACS", "STORE"))
    for name in ("PACS", "AI"):
        ledger.outbox.fail(due(ledger, name)[0].id, error=f"refused by {name}", now=NOON)
    assert [row.last_error for row in ledger.records.destinations()] == ["refused by AI", "refused by PACS", None]


def test_trouble_is_over_once_the_image_arrives(ledger: Ledger) -> None:
    settled(ledger, 1, deliveries=to("PACS"))
    (delivery,) = due(ledger)
    ledger.outbox.postpone(delivery.id, error="away", planned_at=NOON, due_at=NOON)
    assert ledger.records.destinations()[0].last_error == "away"
    ledger.outbox.delivered(delivery.id, sent_uid="1.9", written=None, now=NOON)
    assert ledger.records.destinations()[0].last_error is None


def test_the_oldest_waiting_image_tells_the_age_of_the_queue(ledger: Ledger) -> None:
    settled(ledger, 1, received_at=NOON - 9 * SECOND)
    ledger.intake.add(arrival(2, received_at=NOON))
    ledger.intake.add(arrival(3, received_at=NOON - SECOND))
    assert ledger.records.oldest_received() == NOON - SECOND


def test_records_are_found_by_instance_series_and_study(ledger: Ledger) -> None:
    settled(ledger, 1, received_at=NOON)
    settled(ledger, 2, received_at=NOON - SECOND)
    settled(ledger, 3, series_uid="1.8.3")
    settled(ledger, 4, series_uid="1.8.4", study_uid="1.7.4")

    def found(uid: str) -> list[str]:
        return [record.instance.sop_instance_uid[-1] for record in ledger.records.find(uid)]

    assert found("1.2.3.1") == ["1"]
    assert found("1.2.2") == ["2", "1"]
    assert found("1.2.1") == ["2", "1", "3"]
    assert found("1.404") == []


def test_an_image_is_found_by_the_uid_under_which_it_was_sent(ledger: Ledger) -> None:
    """The archive shows the copy's or the report's UID, and who asks there has no other."""
    copied = settled(ledger, 1, deliveries=to("AI", "PACS"))
    kept = settled(ledger, 2, deliveries=to("PACS"))
    settled(ledger, 3, deliveries=to("PACS"))
    (to_ai,), (first, second, _) = due(ledger, "AI"), due(ledger, "PACS")
    ledger.outbox.delivered(to_ai.id, sent_uid="2.25.7", written="HAND", now=NOON)
    ledger.outbox.delivered(first.id, sent_uid="2.25.7", written="HAND", now=NOON)
    ledger.outbox.delivered(second.id, sent_uid=kept.sop_instance_uid, written=None, now=NOON)
    (record,) = ledger.records.find("2.25.7")
    assert record == ledger.records.find(copied.sop_instance_uid)[0]
    assert [record.instance.id for record in ledger.records.find(kept.sop_instance_uid)] == [kept.id]


def test_the_past_can_be_read_page_by_page(ledger: Ledger) -> None:
    ids = [settled(ledger, number, deliveries=to("PACS")).id for number in (1, 2, 3)]
    ledger.intake.add(arrival(4))
    first = ledger.records.settled(after_id=0, limit=2)
    rest = ledger.records.settled(after_id=first[-1].instance.id, limit=2)
    assert [record.instance.id for record in (*first, *rest)] == ids
    assert all(record.verdict == verdict() and len(record.deliveries) == 1 for record in (*first, *rest))


def test_a_file_may_go_when_it_is_old_and_every_destination_has_it(ledger: Ledger) -> None:
    for number, names in ((1, ["PACS"]), (2, ["PACS", "AI"]), (3, [])):
        settled(ledger, number, deliveries=to(*names), received_at=NOON - number * SECOND)
    settled(ledger, 4, deliveries=to("PACS"), received_at=NOON + SECOND)
    for delivery in due(ledger, "PACS"):
        ledger.outbox.delivered(delivery.id, sent_uid="1.9", written=None, now=NOON)

    def retired(limit: int = 9) -> list[str]:
        return [one.sop_instance_uid for one in ledger.records.retired(before=NOON, limit=limit)]

    assert retired() == ["1.2.3.1"]
    ledger.outbox.delivered(due(ledger, "AI")[0].id, sent_uid="1.9", written=None, now=NOON)
    assert retired() == ["1.2.3.2", "1.2.3.1"]
    assert retired(limit=1) == ["1.2.3.2"]


def test_a_file_that_went_is_not_named_again(ledger: Ledger) -> None:
    instance = settled(ledger, 1, deliveries=to("PACS"))
    ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.9", written=None, now=NOON)
    removed: list[str] = []
    assert ledger.records.retire(instance.id, remove=removed.append, now=NOON)
    assert not ledger.records.retire(instance.id, remove=removed.append, now=NOON)
    assert removed == [instance.path]
    assert ledger.records.retired(before=NOON + SECOND, limit=9) == []
    (record,) = ledger.records.find("1.2.3.1")
    assert not record.instance.spooled
    assert record.events[-1] == Event(kind="retired", at=NOON, instance_id=instance.id)


@pytest.mark.parametrize("names", [[], ["AI", "PACS"]])
def test_a_file_that_some_destination_or_nobody_has_does_not_go(ledger: Ledger, names: list[str]) -> None:
    instance = settled(ledger, 1, deliveries=to(*names))
    for delivery in due(ledger):
        ledger.outbox.delivered(delivery.id, sent_uid="1.9", written=None, now=NOON)
    assert not ledger.records.retire(instance.id, remove=pytest.fail, now=NOON)
    assert not ledger.records.retire(404, remove=pytest.fail, now=NOON)
    assert ledger.records.find("1.2.3.1")[0].instance.spooled


def requeued(ledger: Ledger, instance: Instance) -> None:
    ledger.outbox.requeue(state=DeliveryState.DELIVERED, uids=[instance.sop_instance_uid], now=NOON)


def sent_again(ledger: Ledger, instance: Instance) -> None:
    ledger.intake.restore(instance.id, path=instance.path, now=NOON)


@pytest.mark.parametrize("happens", [requeued, sent_again])
def test_a_file_that_is_to_be_sent_again_since_it_was_named_does_not_go(ledger: Ledger, happens) -> None:
    settled(ledger, 1, deliveries=to("PACS"))
    ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.9", written=None, now=NOON)
    (named,) = ledger.records.retired(before=NOON + SECOND, limit=9)
    happens(ledger, named)
    assert not ledger.records.retire(named.id, remove=pytest.fail, now=NOON)
    assert ledger.records.find("1.2.3.1")[0].instance.spooled


@pytest.mark.parametrize("happens", [requeued, sent_again])
def test_while_a_file_goes_nobody_has_it_sent_again(ledger: Ledger, happens) -> None:
    instance = settled(ledger, 1, deliveries=to("PACS"))
    ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.9", written=None, now=NOON)
    with ThreadPoolExecutor(1) as pool:
        others = []

        def remove(_: str) -> None:
            others.append(pool.submit(happens, ledger, instance))
            assert wait(others, 0.3).not_done
            states = [way.state for way in ledger.records.find("1.2.3.1")[0].deliveries]
            assert states == [DeliveryState.DELIVERED]

        assert ledger.records.retire(instance.id, remove=remove, now=NOON)
        others[0].result(30)
    (record,) = ledger.records.find("1.2.3.1")
    assert record.instance.spooled == (happens is sent_again)
    state = DeliveryState.PENDING if happens is sent_again else DeliveryState.DELIVERED
    assert [way.state for way in record.deliveries] == [state]


def test_a_file_that_cannot_be_removed_is_still_here(ledger: Ledger) -> None:
    instance = settled(ledger, 1, deliveries=to("PACS"))
    ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.9", written=None, now=NOON)

    def refuse(_: str) -> None:
        raise OutOfResourcesError("the disk is read-only")

    with pytest.raises(OutOfResourcesError):
        ledger.records.retire(instance.id, remove=refuse, now=NOON)
    assert [one.id for one in ledger.records.retired(before=NOON + SECOND, limit=9)] == [instance.id]


def test_events_are_kept_in_order(ledger: Ledger) -> None:
    instance = ledger.intake.add(arrival()).instance
    events = [Event(kind=f"kind{n}", at=NOON - n * SECOND, instance_id=instance.id, detail="why") for n in range(3)]
    for event in events:
        ledger.records.note(event)
    ledger.records.note(Event(kind="started", at=NOON))
    assert ledger.records.find("1.2.3.1")[0].events[1:] == tuple(events)


def test_an_event_of_no_instance_is_refused(ledger: Ledger) -> None:
    with pytest.raises(UnstorableError):
        ledger.records.note(Event(kind="odd", at=NOON, instance_id=404))


def test_the_latest_run_of_each_job_is_kept(ledger: Ledger) -> None:
    ledger.records.job_ran(JobRun(name="sweep", last_run=NOON, next_run=NOON + SECOND))
    ledger.records.job_ran(JobRun(name="close", last_run=None, next_run=None))
    latest = JobRun(name="sweep", last_run=NOON + SECOND, next_run=None)
    ledger.records.job_ran(latest)
    assert ledger.records.jobs() == [JobRun(name="close", last_run=None, next_run=None), latest]


def test_an_open_ledger_is_ready(ledger: Ledger) -> None:
    ledger.ready()


def test_a_ledger_is_empty_before_its_first_image_and_never_again(ledger: Ledger) -> None:
    assert ledger.records.is_empty()
    instance = ledger.intake.add(arrival(1)).instance
    assert not ledger.records.is_empty()
    ledger.repairs.lose(instance.id, now=NOON)
    assert not ledger.records.is_empty()
