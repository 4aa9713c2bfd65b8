"""Where audit messages go: each outlet has a bounded queue and a thread, so that nobody ever waits for one.

What does not fit is dropped, counted and told in the log; an outlet that is away is tried again with a growing pause,
while its queue fills.
"""

import queue
import threading
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic
from typing import Protocol

import structlog

from dicom_node.errors import NodeError, reason

log = structlog.get_logger(__name__)

QUEUE = 10_000
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
# A flood of dropped messages is told in the log once in this many seconds.
TELL_EVERY = 10.0


class Sink(Protocol):
    """Takes one message at a time; raises OSError or NodeError when it cannot now."""

    def write(self, message: bytes) -> None: ...
    def close(self) -> None: ...


class Outlet:
    """A sink with its queue and thread. `dropped`: how many messages did not fit, or were left when it closed."""

    def __init__(self, name: str, sink: Sink, *, capacity: int = QUEUE) -> None:
        self.name = name
        self.dropped = 0
        self._sink = sink
        self._queue: queue.Queue[bytes] = queue.Queue(capacity)
        self._stopping = threading.Event()
        self._last_told = 0
        self._thread = threading.Thread(target=self._run, name=f"audit-{name}", daemon=True)
        self._thread.start()

    def put(self, message: bytes) -> None:
        """Queue a message; never waits."""
        try:
            self._queue.put_nowait(message)
        except queue.Full:
            self.dropped += 1

    def finish(self) -> None:
        """Nothing more will come; what is queued is still written."""
        self._stopping.set()

    def close(self, patience: timedelta) -> None:
        """Write what is queued, for as long as that takes and no longer than `patience`."""
        self.finish()
        self._thread.join(max(0.0, patience.total_seconds()))
        self.dropped += self._queue.qsize()
        self._tell()
        self._sink.close()

    def _run(self) -> None:
        pause = SHORTEST_PAUSE
        waiting: bytes | None = None
        told_trouble = False
        while True:
            if waiting is None:
                waiting = self._next()
                if waiting is None:
                    return
            try:
                self._sink.write(waiting)
            except (OSError, NodeError) as error:
                if not told_trouble:
                    log.error("audit_outlet_away", outlet=self.name, error=_why(error))
                    told_trouble = True
                if self._stopping.wait(pause):
                    self.dropped += 1
                    return
                pause = min(2 * pause, LONGEST_PAUSE)
                self._tell()
                continue
            except Exception as error:  # noqa: BLE001 - one message that cannot be written may not end the trail
                log.error("audit_message_not_written", outlet=self.name, error=reason(error))
                self.dropped += 1
            if told_trouble:
                log.info("audit_outlet_back", outlet=self.name)
            waiting, pause, told_trouble = None, SHORTEST_PAUSE, False

    def _next(self) -> bytes | None:
        """The next message; None once the queue is empty and nobody will fill it any more."""
        while True:
            try:
                return self._queue.get(timeout=0.2)
            except queue.Empty:
                self._tell()
                if self._stopping.is_set():
                    return None

    def _tell(self) -> None:
        if self.dropped > self._last_told:
            log.error("audit_messages_dropped", outlet=self.name, count=self.dropped - self._last_told)
            self._last_told = self.dropped


class Trail:
    """All the outlets of a process. Without any, notes go nowhere."""

    def __init__(self, outlets: Sequence[Outlet] = ()) -> None:
        self._outlets = tuple(outlets)

    @property
    def kept(self) -> bool:
        """Whether anybody listens: else nobody needs to compose messages."""
        return bool(self._outlets)

    @property
    def dropped(self) -> int:
        """Messages that did not reach an outlet, over all outlets."""
        return sum(outlet.dropped for outlet in self._outlets)

    def note(self, message: bytes) -> None:
        """Hand a message to every outlet; never waits."""
        for outlet in self._outlets:
            outlet.put(message)

    def close(self, patience: timedelta = timedelta(seconds=5)) -> None:
        """Close all outlets in `patience`, each with all of it: one that hangs takes nothing from the others."""
        deadline = monotonic() + patience.total_seconds()
        for outlet in self._outlets:
            outlet.finish()
        for outlet in self._outlets:
            outlet.close(timedelta(seconds=deadline - monotonic()))


def _why(error: Exception) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else reason(error)
