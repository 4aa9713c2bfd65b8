"""One delivery: sent, postponed or failed, and what the ledger keeps of it."""

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from dicom_node.classify import Plan, Stop, settle
from dicom_node.errors import (
    AbortedError,
    CorrectionError,
    LedgerError,
    OutOfResourcesError,
    PermanentError,
    TransientError,
)
from dicom_node.forward import ANOTHER_IS_THERE, MOST_ABORTS, deliver, uid_is_taken
from dicom_node.instance import Delivery, DeliveryState
from dicom_node.policy import Policy
from dicom_node.ports import When
from dicom_node.regions import Region
from dicom_node.retry import Retry
from dicom_node.testing import MemoryLedger
from dicom_node.workers import Lane, Then
from tests.stories import LEASE, NOON, received, seen

PLAN = Plan(policy=Policy(), rules=(), stops=(Stop(name="pacs", when=When.AT_ONCE),))


@dataclass(frozen=True)
class File:
    path: Path
    sop_instance_uid: str
    sop_class_uid: str = "1.2.840.10008.5.1.4.1.1.1"
    written: str | None = None


class Line:
    """A line to a destination that fails as often as it is told, then works."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.sent: list[Path] = []

    def send(self, path: Path) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(path)

    def close_if_idle(self) -> None:
        pass

    def close(self) -> None:
        pass


@contextmanager
def as_received(instance, verdict, recognition):
    yield [File(Path(instance.path), instance.sop_instance_uid)]


@pytest.fixture
def ledger() -> MemoryLedger:
    memory = MemoryLedger()
    for number in (1, 2, 3):
        settle(received(memory, number), seen(Region.HAND), plan=PLAN, work=memory.work, now=NOON)
    return memory


def claim(ledger, now=NOON, limit=1) -> list[Delivery]:
    return list(ledger.outbox.claim(destination="pacs", worker="w", limit=limit, now=now, lease=LEASE))


def attempt(ledger, delivery, line, *, now=NOON, retry=None, aborts=None, prepare=as_received, **more) -> DeliveryState:
    return deliver(
        delivery,
        outbox=ledger.outbox,
        prepare=prepare,
        transport=line,
        retry=retry or Retry(first=timedelta(seconds=10), jitter=0.0),
        aborts=Counter() if aborts is None else aborts,
        now=lambda: now,
        chance=lambda: 0.5,
        **more,
    )


def lane(ledger, line) -> Lane:
    return Lane(
        destination="pacs",
        outbox=ledger.outbox,
        deliver=lambda delivery: attempt(ledger, delivery, line),
        transport=line,
        worker="w",
        now=lambda: NOON,
    )


def kept(ledger, delivery) -> Delivery:
    instance, _, _ = ledger.outbox.subject(delivery)
    return ledger.records.find(instance.sop_instance_uid)[0].deliveries[0]


def test_a_confirmed_image_is_delivered(ledger) -> None:
    [delivery] = claim(ledger)
    assert attempt(ledger, delivery, Line()) is DeliveryState.DELIVERED
    assert kept(ledger, delivery).delivered_at == NOON
    assert kept(ledger, delivery).sent_uid == "1.2.3.1"


def test_an_image_whose_destination_is_still_to_commit_itself_is_sent_and_no_more(ledger) -> None:
    [delivery] = claim(ledger)
    assert attempt(ledger, delivery, Line(), ask_after=timedelta(seconds=5)) is DeliveryState.SENT
    sent = kept(ledger, delivery)
    assert (sent.state, sent.due_at, sent.delivered_at) == (DeliveryState.SENT, NOON + timedelta(seconds=5), None)


def test_a_transient_failure_is_tried_again_after_a_growing_pause(ledger) -> None:
    [delivery] = claim(ledger)
    assert attempt(ledger, delivery, Line(TransientError("no answer"))) is DeliveryState.PENDING
    first = kept(ledger, delivery)
    assert (first.attempts, first.due_at, first.last_error) == (1, NOON + timedelta(seconds=10), "no answer")
    attempt(ledger, first, Line(TransientError("no answer")), now=first.due_at)
    assert kept(ledger, delivery).due_at == first.due_at + timedelta(seconds=20)


def test_a_peer_that_breaks_off_over_an_image_again_and_again_has_refused_it(ledger) -> None:
    [delivery] = claim(ledger)
    aborts = Counter()
    for _ in range(MOST_ABORTS - 1):
        attempt(ledger, delivery, Line(AbortedError("gone")), aborts=aborts)
        delivery = kept(ledger, delivery)
        assert delivery.state is DeliveryState.PENDING
    assert attempt(ledger, delivery, Line(AbortedError("gone")), aborts=aborts) is DeliveryState.FAILED
    assert kept(ledger, delivery).last_error == f"broken off {MOST_ABORTS} times: gone"
    assert not aborts


def test_attempts_on_a_peer_that_was_away_do_not_count_as_breaking_off(ledger) -> None:
    [delivery] = claim(ledger)
    aborts = Counter()
    for _ in range(MOST_ABORTS * 2):
        attempt(ledger, delivery, Line(TransientError("away")), aborts=aborts)
        delivery = kept(ledger, delivery)
    assert attempt(ledger, delivery, Line(AbortedError("gone")), aborts=aborts) is DeliveryState.PENDING


def test_a_permanent_failure_stops_until_somebody_requeues_it(ledger) -> None:
    [delivery] = claim(ledger)
    assert attempt(ledger, delivery, Line(PermanentError("A900"))) is DeliveryState.FAILED
    assert kept(ledger, delivery).last_error == "A900"
    assert ledger.outbox.requeue(state=DeliveryState.FAILED, uids=[], now=NOON) == 1
    assert kept(ledger, delivery).state is DeliveryState.PENDING


def test_a_destination_s_patience_can_end(ledger) -> None:
    [delivery] = claim(ledger)
    retry = Retry(give_up_after=timedelta(hours=1))
    for minutes in (0, 59):
        at = NOON + timedelta(minutes=minutes)
        attempt(ledger, delivery, Line(TransientError("away")), now=at, retry=retry)
        delivery = kept(ledger, delivery)
        assert delivery.state is DeliveryState.PENDING
    late = NOON + timedelta(hours=1)
    assert attempt(ledger, delivery, Line(TransientError("away")), now=late, retry=retry) is DeliveryState.FAILED
    assert kept(ledger, delivery).last_error == "gave up after 3 attempts: away"


def test_patience_begins_with_the_first_failure_however_long_the_image_waited_before(ledger) -> None:
    """It was held for review, or the node was off over the weekend: a short outage then is no reason to give up."""
    [delivery] = claim(ledger)
    retry = Retry(give_up_after=timedelta(hours=12))
    monday = NOON + timedelta(hours=60)
    for hours in (0, 11):
        at = monday + timedelta(hours=hours)
        assert attempt(ledger, delivery, Line(TransientError("away")), now=at, retry=retry) is DeliveryState.PENDING
        delivery = kept(ledger, delivery)
    late = monday + timedelta(hours=12)
    assert attempt(ledger, delivery, Line(TransientError("away")), now=late, retry=retry) is DeliveryState.FAILED


def test_a_destination_that_is_away_ends_the_round_and_the_rest_waits(ledger) -> None:
    line = Line(TransientError("away"))
    lane(ledger, line).round()
    assert line.sent == []
    waiting = claim(ledger, limit=9)
    assert [delivery.attempts for delivery in waiting] == [0, 0]


@pytest.mark.parametrize("error", [TypeError("SECRET"), CorrectionError("no copy")])
def test_a_fault_that_nobody_has_foreseen_is_kept_as_its_error_and_holds_up_no_other_image(ledger, error) -> None:
    """Given back as if nothing had happened, it was the first again in every round, and nobody saw why."""
    line = Line(error)
    assert lane(ledger, line).round() is Then.PAUSE
    assert lane(ledger, line).round() is Then.GO_ON
    assert len(line.sent) == 2
    late = kept(ledger, claim(ledger, now=NOON + timedelta(minutes=1))[0])
    assert (late.attempts, late.due_at) == (1, NOON + timedelta(seconds=10))
    assert late.last_error.startswith("unforeseen fault in the node, ")
    assert "SECRET" not in late.last_error


@pytest.mark.parametrize("error", [LedgerError("away"), OutOfResourcesError("the spool is not there")])
def test_the_ledger_s_and_the_spool_s_own_trouble_is_no_image_s_fault(ledger, error) -> None:
    line = Line(error)
    with pytest.raises(type(error)):
        lane(ledger, line).round()
    assert [delivery.attempts for delivery in claim(ledger, limit=9)] == [0, 0, 0]


def test_one_refused_image_does_not_hold_up_the_next(ledger) -> None:
    line = Line(PermanentError("not this one"))
    lane(ledger, line).round()
    assert len(line.sent) == 2


def twins(ledger) -> tuple[Delivery, Delivery]:
    """Deliveries of two images with one UID and different contents, in the order in which they came."""
    for digest in ("a", "b"):
        twin = received(ledger, 9, digest=digest)
        settle(twin, seen(Region.HAND), plan=PLAN, work=ledger.work, now=NOON)
    first, second = claim(ledger, limit=9)[-2:]
    return first, second


def answered_as_duplicate(ledger, delivery, **more) -> DeliveryState:
    """What becomes of a delivery to which the destination says that it has this UID (0111)."""

    def taken(instance) -> bool:
        return uid_is_taken(instance, records=ledger.records, destination="pacs")

    return attempt(ledger, delivery, Line(), another_is_there=taken, **more)


def way_of(ledger, delivery) -> Delivery:
    ways = [way for record in ledger.records.find("1.2.3.9") for way in record.deliveries]
    return next(way for way in ways if way.id == delivery.id)


@pytest.mark.parametrize("ask_after", [None, timedelta(seconds=5)])
def test_the_second_content_of_a_uid_is_not_delivered_by_a_duplicate_s_answer(ledger, ask_after) -> None:
    """The destination has the other one; and retention removes neither file."""
    first, second = twins(ledger)
    assert answered_as_duplicate(ledger, first) is DeliveryState.DELIVERED
    assert answered_as_duplicate(ledger, second, ask_after=ask_after) is DeliveryState.FAILED
    assert way_of(ledger, second).last_error == ANOTHER_IS_THERE
    assert ledger.records.retired(before=NOON + timedelta(days=1), limit=9) == []


def test_nor_is_the_first_when_the_second_went_before_it(ledger) -> None:
    first, second = twins(ledger)
    attempt(ledger, second, Line())
    assert answered_as_duplicate(ledger, first) is DeliveryState.FAILED


def test_a_copy_with_a_uid_of_its_own_that_is_there_already_is_its_own(ledger) -> None:
    @contextmanager
    def as_copy(instance, verdict, recognition):
        yield [File(Path(instance.path), "2.25.1")]

    _, second = twins(ledger)
    assert answered_as_duplicate(ledger, second, prepare=as_copy) is DeliveryState.DELIVERED


def test_a_duplicate_s_answer_to_an_image_without_a_twin_says_that_it_is_there(ledger) -> None:
    [delivery] = claim(ledger)
    assert answered_as_duplicate(ledger, delivery) is DeliveryState.DELIVERED
