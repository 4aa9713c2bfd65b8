"""What the worker threads have in hand, in which order, and what they do when the ledger goes away in a round."""

import ctypes
import threading
from datetime import timedelta

import pytest

from dicom_node import workers
from dicom_node.classify import Plan, Stop, settle
from dicom_node.errors import LedgerError, OutOfResourcesError, UnstorableError
from dicom_node.policy import Policy
from dicom_node.ports import When
from dicom_node.regions import Region
from dicom_node.testing import MemoryLedger
from dicom_node.verdict import Sighting
from dicom_node.workers import LEASE, Classifying, Loop, Then
from tests.stories import NOON, arrival, received, seen

PLAN = Plan(policy=Policy(), rules=(), stops=(Stop(name="pacs", when=When.AT_ONCE),))


class Away:
    """A room of a ledger whose `failing` methods raise until they are taken out of it."""

    def __init__(self, room, *failing: str) -> None:
        self.room = room
        self.failing = set(failing)

    def __getattr__(self, name: str):
        if name in self.failing:
            raise LedgerError("away")
        return getattr(self.room, name)


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


def test_what_could_not_be_settled_for_want_of_a_ledger_is_looked_at_again_at_once(ledger) -> None:
    """Not a lease later, and without an attempt against the image."""
    ledger.intake.add(arrival(1))
    work = Away(ledger.work, "settle", "release")
    classifying = Classifying(
        work=work,
        look=lambda _: seen(Region.HAND),
        settle=lambda instance, sighting: settle(instance, sighting, plan=PLAN, work=work, now=NOON),
        worker="w",
        at_once=4,
        now=lambda: NOON,
    )
    classifying.round()
    with pytest.raises(LedgerError):
        classifying.round()
    work.failing.clear()
    assert classifying.round() is Then.GO_ON
    (record,) = ledger.records.find("1.2.3.1")
    assert record.verdict is not None
    assert record.instance.attempts == 1
    classifying.close()


def test_what_could_not_be_looked_at_while_the_spool_was_away_costs_the_image_no_attempt(ledger) -> None:
    ledger.intake.add(arrival(1))
    away = [True]

    def look(_instance) -> Sighting:
        if away[0]:
            raise OutOfResourcesError("the spool is not there")
        return seen(Region.HAND)

    classifying = Classifying(
        work=ledger.work,
        look=look,
        settle=lambda instance, sighting: settle(instance, sighting, plan=PLAN, work=ledger.work, now=NOON),
        worker="w",
        at_once=4,
        now=lambda: NOON,
    )
    for _ in range(3):
        assert classifying.round() is Then.PAUSE
    away.clear()
    away.append(False)
    assert classifying.round() is Then.GO_ON
    (record,) = ledger.records.find("1.2.3.1")
    assert record.verdict is not None
    assert record.instance.attempts == 1
    classifying.close()


def test_an_image_whose_values_the_ledger_refuses_is_given_up_after_some_attempts(ledger) -> None:
    """The ledger is there: taking the attempt back would be for ever."""
    ledger.intake.add(arrival(1))
    clock = [NOON]

    def give_up(instance):
        return seen(Region.HAND) if instance.attempts <= 3 else Sighting.unreadable("given up")

    def settle_unless_hand(instance, sighting) -> None:
        if sighting.region is Region.HAND:
            raise UnstorableError("refused")
        settle(instance, sighting, plan=PLAN, work=ledger.work, now=NOON)

    classifying = Classifying(
        work=ledger.work, look=give_up, settle=settle_unless_hand, worker="w", at_once=4, now=lambda: clock[0]
    )
    for _ in range(4):
        classifying.round()
        clock[0] += LEASE
    (record,) = ledger.records.find("1.2.3.1")
    assert record.verdict is not None
    assert record.verdict.reason == "given up"
    classifying.close()


class Wreck(BaseException):
    """What no part of the program expects."""


def test_a_loop_goes_on_whatever_a_round_raises(monkeypatch) -> None:
    monkeypatch.setattr(workers, "PAUSE", timedelta(0))
    troubles = [OSError(), Wreck(), SystemExit()]
    reached = threading.Event()

    def one_round() -> Then:
        if troubles:
            raise troubles.pop()
        reached.set()
        return Then.SLEEP

    loop = Loop("classifier", one_round)
    loop.start()
    assert reached.wait(20)
    assert Loop.ended_unasked() == []
    loop.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_loop_whose_thread_is_gone_is_named_until_it_is_stopped() -> None:
    """Between two rounds, from outside: nothing that a round does can end it."""
    slept = threading.Event()

    def one_round() -> Then:
        slept.set()
        return Then.SLEEP

    loop, other = Loop("classifier", one_round), Loop("lane-pacs", lambda: Then.SLEEP)
    loop.start()
    other.start()
    assert slept.wait(20)
    while loop._thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(loop._thread.ident), ctypes.py_object(SystemExit))
        loop.ring()
        loop._thread.join(0.1)
    assert Loop.ended_unasked() == ["classifier"]
    loop.stop()
    other.stop()
    assert Loop.ended_unasked() == []


class Watched:
    """A classifier of images that are all hands; `told` is what it began to look at and what it settled, in order.

    An image that `waits_for` another one is settled once somebody has begun to look at that one.
    """

    def __init__(self, ledger, *, at_once: int) -> None:
        self.told: list[tuple[str, int]] = []
        self.now = NOON
        self.waits_for: dict[int, int] = {}
        self._ledger = ledger
        self._begun = {number: threading.Event() for number in range(1, 6)}
        self.classifying = Classifying(
            work=ledger.work, look=self._look, settle=self._settle, worker="w", at_once=at_once, now=lambda: self.now
        )

    def of(self, what: str) -> list[int]:
        return [number for kind, number in self.told if kind == what]

    def _look(self, instance):
        self.told.append(("look", instance.id))
        self._begun[instance.id].set()
        return seen(Region.HAND)

    def _settle(self, instance, sighting) -> None:
        if instance.id in self.waits_for:
            assert self._begun[self.waits_for[instance.id]].wait(10)
        self.told.append(("settle", instance.id))
        settle(instance, sighting, plan=PLAN, work=self._ledger.work, now=NOON)


def test_the_next_portion_is_looked_at_while_one_is_settled_in_the_order_of_arrival(ledger) -> None:
    for number in range(1, 6):
        ledger.intake.add(arrival(number))
    watched = Watched(ledger, at_once=2)
    watched.waits_for[1] = 4
    while watched.classifying.round() is Then.GO_ON:
        pass
    assert watched.of("settle") == [1, 2, 3, 4, 5]
    assert sorted(watched.of("look")) == [1, 2, 3, 4, 5]
    watched.classifying.close()


def test_an_image_on_which_something_went_wrong_is_looked_at_when_nothing_else_is_in_hand(ledger) -> None:
    """It may be what killed the last worker, and must not take its neighbours along."""
    received(ledger, 1)
    for number in (2, 3, 4):
        ledger.intake.add(arrival(number))
    watched = Watched(ledger, at_once=1)
    watched.classifying.round()  # has 3 in hand; the lease of 1 runs out later
    watched.now = NOON + timedelta(minutes=10)
    watched.classifying.round()
    assert watched.of("settle") == [2, 3, 1]
    assert watched.told[-2:] == [("look", 1), ("settle", 1)]
    watched.classifying.close()


def test_what_is_in_hand_for_longer_than_its_lease_is_not_begun_anew(ledger) -> None:
    for number in (1, 2):
        ledger.intake.add(arrival(number))
    watched = Watched(ledger, at_once=1)
    watched.classifying.round()
    watched.now = NOON + 2 * LEASE
    watched.classifying.round()
    assert watched.of("look") == [1, 2]
    assert watched.of("settle") == [1, 2]
    watched.classifying.close()


def test_a_classifier_that_is_closed_settles_what_it_has_in_hand(ledger) -> None:
    for number in (1, 2):
        ledger.intake.add(arrival(number))
    watched = Watched(ledger, at_once=1)
    watched.classifying.round()
    watched.classifying.close()
    assert watched.of("settle") == [1, 2]
