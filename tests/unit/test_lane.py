"""What a lane does with what it has claimed when the ledger goes away, or something goes wrong, in a round."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from dicom_node.classify import Plan, Stop, settle
from dicom_node.errors import LedgerError, UnstorableError
from dicom_node.forward import Gathered
from dicom_node.instance import DeliveryState, Done
from dicom_node.policy import Policy
from dicom_node.ports import When
from dicom_node.regions import Region
from dicom_node.testing import MemoryLedger
from dicom_node.workers import LEASE, Lane, Then
from tests.servers.programs import wait_until
from tests.stories import NOON, received, seen
from tests.unit.test_workers import Away

PLAN = Plan(policy=Policy(), rules=(), stops=(Stop(name="pacs", when=When.AT_ONCE),))


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


class Line:
    """A destination that takes everything."""

    def close_if_idle(self) -> None:
        pass


def test_deliveries_that_could_not_be_given_back_go_out_as_soon_as_the_ledger_is_there(ledger) -> None:
    for number in (1, 2):
        settle(received(ledger, number), seen(Region.HAND), plan=PLAN, work=ledger.work, now=NOON)
    outbox = Away(ledger.outbox, "release", "delivered")
    delivered = []

    def deliver(delivery) -> DeliveryState:
        outbox.delivered(delivery.id, sent_uid="1", written=None, now=NOON)
        delivered.append(delivery.id)
        return DeliveryState.DELIVERED

    lane = Lane(
        destination="pacs",
        outbox=outbox,
        deliver=deliver,
        transport=Line(),
        worker="w",
        now=lambda: NOON + timedelta(seconds=1),
    )
    for _ in range(2):
        with pytest.raises(LedgerError):
            lane.round()
    outbox.failing.clear()
    lane.round()
    assert sorted(delivered) == [1, 2]


@pytest.mark.parametrize("error", [TypeError(), UnstorableError("refused")])
def test_a_delivery_that_no_round_gets_over_holds_up_no_other(ledger, error) -> None:
    """It keeps its lease; given back, it was the first again in every round."""
    for number in (1, 2, 3):
        settle(received(ledger, number), seen(Region.HAND), plan=PLAN, work=ledger.work, now=NOON)
    tried = []

    def deliver(delivery) -> DeliveryState:
        tried.append(delivery.id)
        if delivery.id == 1:
            raise error
        ledger.outbox.delivered(delivery.id, sent_uid="1", written=None, now=NOON)
        return DeliveryState.DELIVERED

    now = [NOON + timedelta(seconds=1)]
    lane = Lane(
        destination="pacs",
        outbox=ledger.outbox,
        deliver=deliver,
        transport=Line(),
        worker="w",
        now=lambda: now[0],
    )
    with pytest.raises(type(error)):
        lane.round()
    assert lane.round() is Then.GO_ON
    assert tried == [1, 2, 3]
    now[0] += LEASE
    with pytest.raises(type(error)):
        lane.round()
    assert tried == [1, 2, 3, 1]


@pytest.mark.parametrize("longest", [timedelta(0), timedelta(seconds=9)], ids=["each at once", "at the round's end"])
def test_what_was_delivered_while_the_ledger_was_away_is_kept_and_not_sent_again(ledger, longest: timedelta) -> None:
    for number in (1, 2):
        settle(received(ledger, number), seen(Region.HAND), plan=PLAN, work=ledger.work, now=NOON)
    outbox = Away(ledger.outbox, "delivered_together")
    gathered, sent = Gathered(outbox, longest), []

    def deliver(delivery) -> DeliveryState:
        sent.append(delivery.id)
        gathered.add(Done(delivery_id=delivery.id, sent_uid="1", written=None, at=NOON))
        return DeliveryState.DELIVERED

    lane = Lane(
        destination="pacs",
        outbox=outbox,
        deliver=deliver,
        keep=gathered.keep,
        transport=Line(),
        worker="w",
        now=lambda: NOON + timedelta(seconds=1),
    )
    with pytest.raises(LedgerError):
        lane.round()
    outbox.failing.clear()
    lane.round()
    assert sorted(sent) == [1, 2]
    assert ledger.records.counts().forwarded == 2


def test_what_is_delivered_slowly_is_kept_at_once(ledger) -> None:
    settle(received(ledger, 1), seen(Region.HAND), plan=PLAN, work=ledger.work, now=NOON)
    Gathered(ledger.outbox, longest=timedelta(0)).add(Done(delivery_id=1, sent_uid="1", written=None, at=NOON))
    assert ledger.records.counts().forwarded == 1


def lane_over(ledger, gathered: Gathered, send) -> Lane:
    """A lane that delivers once `send` has returned."""

    def deliver(delivery) -> DeliveryState:
        send(delivery)
        gathered.add(Done(delivery_id=delivery.id, sent_uid="1", written=None, at=NOON))
        return DeliveryState.DELIVERED

    return Lane(
        destination="pacs",
        outbox=ledger.outbox,
        deliver=deliver,
        keep=gathered.keep,
        transport=Line(),
        worker="w",
        now=lambda: NOON + timedelta(seconds=1),
    )


def test_what_is_delivered_is_kept_while_the_next_one_takes_its_time(ledger) -> None:
    """A large object, or a destination that hangs over it: a minute later another node would send both."""
    for number in (1, 2):
        settle(received(ledger, number), seen(Region.HAND), plan=PLAN, work=ledger.work, now=NOON)

    def send(delivery) -> None:
        if delivery.id == 2:
            wait_until(lambda: ledger.records.counts().forwarded == 1, what="the first to be kept", seconds=20)

    lane_over(ledger, Gathered(ledger.outbox), send).round()
    assert ledger.records.counts().forwarded == 2


def test_what_could_not_be_kept_meanwhile_is_kept_when_the_lane_is_back(ledger) -> None:
    settle(received(ledger, 1), seen(Region.HAND), plan=PLAN, work=ledger.work, now=NOON)
    outbox = Away(ledger.outbox, "delivered_together")
    gathered = Gathered(outbox, longest=timedelta(milliseconds=20))
    gathered.add(Done(delivery_id=1, sent_uid="1", written=None, at=NOON))
    with capture_logs() as logs:
        wait_until(lambda: bool(logs), what="a line about it", seconds=20)
    assert logs == [{"event": "deliveries_not_kept", "log_level": "error", "count": 1, "error": "away"}]
    outbox.failing.clear()
    gathered.keep()
    assert ledger.records.counts().forwarded == 1


def test_what_could_not_be_kept_meanwhile_is_kept_as_soon_as_the_ledger_is_back(ledger) -> None:
    """While the lane still sends the next one: nothing else keeps it then."""
    settle(received(ledger, 1), seen(Region.HAND), plan=PLAN, work=ledger.work, now=NOON)
    outbox = Away(ledger.outbox, "delivered_together")
    gathered = Gathered(outbox, longest=timedelta(milliseconds=20))
    with capture_logs() as logs:
        gathered.add(Done(delivery_id=1, sent_uid="1", written=None, at=NOON))
        wait_until(lambda: bool(logs), what="a line about it", seconds=20)
        outbox.failing.clear()
        wait_until(lambda: ledger.records.counts().forwarded == 1, what="it to be kept", seconds=20)
