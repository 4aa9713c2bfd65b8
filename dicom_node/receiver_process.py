"""What runs in a receiver's own process, and what it tells the node's about itself."""

import json
import os
import resource
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from typing import Protocol, Self

from dicom_node.config import Config
from dicom_node.ending import Ending
from dicom_node.errors import ConfigError, NodeError

# What receivers count; a refusal is REFUSED with the error's name behind it.
STORED, DUPLICATE, REFUSED, UNAUDITED = "stored", "duplicate", "refused ", "unaudited"
# In the place of that name: a fault of the node's own, after which most senders give the object up.
UNFORESEEN = "unforeseen"
# A word may be lost in a full pipe; the next one tells all that was counted, and one comes at least this often.
WORD_SECONDS = 2.0

Count = Callable[[str], None]


class Listener(Protocol):
    """A started receiver. `unaudited`: how many audit messages it could not write anywhere."""

    @property
    def port(self) -> int: ...

    @property
    def unaudited(self) -> int: ...

    def stop(self) -> None: ...


# Opens a receiver on a port in the process that calls it, which counts what happens; has to be importable by name,
# since processes are spawned.
OpenReceiver = Callable[[Config, int, Count], Listener]


@dataclass(frozen=True, kw_only=True)
class Word:
    """`port`: where the receiver answers; or `trouble`: why it cannot, and whether somebody has to change the
    configuration first (`lasting`). `counted`: since its start.
    """

    port: int = 0
    trouble: str = ""
    lasting: bool = False
    counted: Mapping[str, int] = field(default_factory=dict)

    def encoded(self) -> bytes:
        return json.dumps(vars(self)).encode()

    @classmethod
    def of(cls, line: Connection) -> Self:
        """The next one. Raises OSError or EOFError when the process is gone."""
        return cls(**json.loads(line.recv_bytes()))


def run_receiver(config: Config, port: int, open_receiver: OpenReceiver, line: Connection) -> None:
    """The main function of a receiver process: receive until SIGTERM, or until the node's process is gone."""
    parent = parent_process()
    ending = Ending(signal.SIGTERM, sentinels=[parent.sentinel] if parent is not None else [])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the node's process decides
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # held back since this process was started
    _allow_many_files()
    teller = _Teller(line)
    try:
        listener = open_receiver(config, port, teller.count)
    except NodeError as error:
        teller.say(Word(trouble=str(error), lasting=isinstance(error, ConfigError)))
        return
    teller.say(Word(port=listener.port))
    os.set_blocking(line.fileno(), False)
    teller.talkative.set()
    while not ending.wait(WORD_SECONDS):
        teller.count(UNAUDITED, listener.unaudited)
    listener.stop()
    teller.count(UNAUDITED, listener.unaudited)


def _allow_many_files() -> None:
    """As many as this process may have: each association takes two or three, and a shell allows 1024 in all."""
    with suppress(OSError, ValueError):  # what the system does not let us have
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Teller:
    """Counts for any number of threads, and tells each time, but never waits for anybody to listen."""

    def __init__(self, line: Connection) -> None:
        self._line = line
        self._lock = threading.Lock()
        self._counted: Counter[str] = Counter()
        self.talkative = threading.Event()

    def count(self, what: str, total: int | None = None) -> None:
        """One more of `what`, or so many in all."""
        with self._lock:
            self._counted[what] = self._counted[what] + 1 if total is None else total
            if self.talkative.is_set():
                self.say(Word(counted=self._counted))

    def say(self, word: Word) -> None:
        # It is shorter than PIPE_BUF, so that a pipe takes it as a whole or not at all. The node's process may also
        # be gone; then this one ends with it.
        with suppress(OSError):
            self._line.send_bytes(word.encoded())
