"""The threads that move images along: one that classifies, and a lane for each destination.

Both live from the ledger: they claim with a lease, so that a crash, or another process on the same ledger, loses
nothing and does nothing twice. A lane of its own per destination is why a stuck destination blocks no other.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum
from typing import ClassVar

import structlog

from dicom_node.background import step_back
from dicom_node.errors import LedgerError, OutOfResourcesError, UnstorableError, reason
from dicom_node.forward import Transport
from dicom_node.instance import Delivery, DeliveryState, Instance
from dicom_node.ports import Outbox, Work
from dicom_node.verdict import Sighting

log = structlog.get_logger(__name__)

PAUSE = timedelta(seconds=2)
# Nobody has to ring for this: it only bounds how long a lost bell could matter.
LONGEST_SLEEP = timedelta(minutes=1)

# After a crash, what was in hand waits this long. A round that takes longer is harmless: what is settled or delivered
# twice comes to the same, and a process does not begin anew what it still has in hand.
LEASE = timedelta(minutes=1)
AT_A_TIME = 8  # deliveries that a lane has in hand


class Then(Enum):
    """What a loop does after a round."""

    GO_ON = "go on"  # there may be more
    SLEEP = "sleep"  # nothing is left: until somebody rings
    PAUSE = "pause"  # there is trouble: for a while, whoever rings


class Loop:
    """A thread that runs one round after another, and stops between two rounds."""

    _started: ClassVar[set[threading.Thread]] = set()  # of all loops of this process that nobody has stopped

    def __init__(self, name: str, one_round: Callable[[], Then]) -> None:
        self._round = one_round
        self._bell = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)

    @classmethod
    def ended_unasked(cls) -> list[str]:
        """The names of this process's loops whose threads are gone though nobody has stopped them."""
        return sorted(thread.name for thread in set(cls._started) if not thread.is_alive())

    def start(self) -> None:
        self._thread.start()
        self._started.add(self._thread)

    def ring(self) -> None:
        """There may be work: do not sleep any longer."""
        self._bell.set()

    def stop(self) -> None:
        """Finish the round in hand; returns when the thread has ended."""
        self._started.discard(self._thread)
        self._stopping.set()
        self._bell.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                then = self._round()
            except BaseException as error:  # noqa: BLE001 - the images are safe in the ledger, and this thread must live
                then = Then.PAUSE
                with suppress(Exception):  # what cannot be told must not end it either
                    log.error("worker_trouble", worker=self._thread.name, error=reason(error))
            if then is Then.PAUSE:
                self._stopping.wait(PAUSE.total_seconds())
            elif then is Then.SLEEP:
                self._bell.wait(LONGEST_SLEEP.total_seconds())
                self._bell.clear()


class Task:
    """A thread that does one thing, once; it is given the event that tells it to end before it is done."""

    def __init__(self, name: str, do: Callable[[threading.Event], None]) -> None:
        self._do = do
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when the thread has ended."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._do(self._stopping)
        except Exception as error:  # noqa: BLE001 - the next start does it again; the node runs all the same
            log.error("task_not_done", task=self._thread.name, error=reason(error))


class Classifying:
    """Rounds that claim what was received, look at all of it at once so that it shares the model's batches, and settle
    it in the order of arrival, since a series gets the value that its first image decided. Up to two portions of
    `at_once` are in hand, so that the cores look at one while the other waits for the disk.
    """

    def __init__(
        self,
        *,
        work: Work,
        look: Callable[[Instance], Sighting],
        settle: Callable[[Instance, Sighting], None],
        worker: str,
        at_once: int,
        now: Callable[[], datetime],
    ) -> None:
        self._work = work
        self._look = look
        self._settle = settle
        self._worker = worker
        self._at_once = at_once
        self._now = now
        self._pool = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="look", initializer=step_back)
        self._in_hand: deque[tuple[Instance, Future[Sighting]]] = deque()
        self._owed: list[int] = []

    def round(self) -> Then:
        """Claim what waits, and settle the oldest portion. What fails keeps its lease, so that it comes back when that
        has run out, and meanwhile is in nobody's way; unless it was the ledger or the spool's disk that was away: that
        is no fault of the image, which is given back in the next round. A ledger that refuses values has not failed.
        """
        if self._owed:
            self._work.release(self._owed, worker=self._worker)
            self._owed = []
        self._take()
        count = self._settle_oldest(self._at_once)
        if self._owed:
            return Then.PAUSE
        return Then.GO_ON if count else Then.SLEEP

    def _take(self) -> None:
        """Have what waits looked at; but an instance that was in hand when something went wrong is looked at alone, so
        that one that kills the process does not take its neighbours along.
        """
        claimed = self._claimed()
        suspect = next((instance for instance in claimed if instance.attempts > 1), None)
        if suspect is not None:
            others = [instance.id for instance in claimed if instance is not suspect]
            self._work.release(others, worker=self._worker)
            self._settle_oldest(len(self._in_hand))
            claimed = [suspect]
        self._in_hand.extend((instance, self._pool.submit(self._look, instance)) for instance in claimed)

    def _claimed(self) -> list[Instance]:
        """What makes it two portions with what is in hand, less what is in hand already but for so long that its lease
        has run out.
        """
        room = 2 * self._at_once - len(self._in_hand)
        held = {instance.id for instance, _ in self._in_hand}
        claimed = self._work.claim(worker=self._worker, limit=room, now=self._now(), lease=LEASE)
        return [instance for instance in claimed if instance.id not in held]

    def close(self) -> None:
        """Settle what is in hand; to be called when the rounds have ended."""
        self._settle_oldest(len(self._in_hand))
        self._pool.shutdown()

    def _settle_oldest(self, most: int) -> int:
        """Returns how many there were."""
        count = min(most, len(self._in_hand))
        for _ in range(count):
            self._settle_one(*self._in_hand.popleft())
        return count

    def _settle_one(self, instance: Instance, sighting: Future[Sighting]) -> None:
        try:
            self._settle(instance, sighting.result())
        except (LedgerError, OutOfResourcesError) as error:
            if not isinstance(error, UnstorableError):
                self._owed.append(instance.id)
            log.error("classification_not_kept", sop_instance_uid=instance.sop_instance_uid, error=reason(error))
        except Exception as error:  # noqa: BLE001 - one image's trouble must not hold up the others
            log.error(
                "classification_failed",
                sop_instance_uid=instance.sop_instance_uid,
                attempt=instance.attempts,
                error=reason(error),
            )


class Lane:
    """Rounds that bring the due deliveries of one destination there over one kept connection."""

    def __init__(
        self,
        *,
        destination: str,
        outbox: Outbox,
        deliver: Callable[[Delivery], DeliveryState],
        keep: Callable[[], None] = lambda: None,
        transport: Transport,
        worker: str,
        now: Callable[[], datetime],
    ) -> None:
        self._destination = destination
        self._outbox = outbox
        self._deliver = deliver
        self._keep = keep
        self._transport = transport
        self._worker = worker
        self._now = now
        self._draining = threading.Event()
        self._owed: list[int] = []

    def round(self) -> Then:
        """Send what is due. A destination that is away ends the round: the rest waits instead of failing one by one."""
        self._keep()  # what could not be kept last time may have been given back: it shall not be claimed again
        try:
            return self._sent()
        finally:
            self._keep()

    def _sent(self) -> Then:
        self._give_back([])
        claimed = self._outbox.claim(
            destination=self._destination, worker=self._worker, limit=AT_A_TIME, now=self._now(), lease=LEASE
        )
        for index, delivery in enumerate(claimed):
            if self._draining.is_set():
                self._give_back(claimed[index:])
                return Then.SLEEP
            try:
                state = self._deliver(delivery)
            except Exception as error:
                # That ledger or spool are away is no fault of this delivery. Whatever else is wrong may be: it keeps
                # its lease, and is in nobody's way meanwhile.
                away = isinstance(error, LedgerError | OutOfResourcesError) and not isinstance(error, UnstorableError)
                self._give_back(claimed[index if away else index + 1 :])
                raise
            if state is DeliveryState.PENDING:
                self._give_back(claimed[index + 1 :])
                return Then.PAUSE
        if not claimed:
            self._transport.close_if_idle()
        return Then.GO_ON if claimed else Then.SLEEP

    def drain(self) -> None:
        """Finish the object in hand, and give the rest of the round back."""
        self._draining.set()

    def close(self) -> None:
        self._transport.close()

    def _give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Also what could not be given back earlier, because the ledger was away."""
        self._owed += [delivery.id for delivery in deliveries]
        if self._owed:
            self._outbox.release(self._owed, worker=self._worker)
            self._owed = []
