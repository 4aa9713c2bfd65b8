"""The receiver processes: one, or several on one port (SO_REUSEPORT), because one Python process uses one core only.

They receive and do nothing else, so that no classification holds their lock. Each has its own ledger connections and
writes into the same spool. It tells the node's process about every object through a pipe, so that classification
starts at once; the object itself is in the ledger by then.
"""

import multiprocessing
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from time import monotonic

import structlog

from dicom_node.config import Config
from dicom_node.errors import ConfigError, NodeError, StartError, reason
from dicom_node.listening import require_free
from dicom_node.receiver_process import OpenReceiver, Word, run_receiver

log = structlog.get_logger(__name__)

START_SECONDS = 60.0
# A receiver takes 17 at most: ten for its associations, two for their threads, five for the audit trail.
STOP_SECONDS = 20.0
# Between two attempts to replace what died: a receiver that dies at every start would keep a core busy otherwise.
PAUSE_SECONDS = 5.0


class Receivers:
    """Processes that receive for this one; one that dies is started again, at most once in `pause` seconds."""

    def __init__(
        self,
        *,
        config: Config,
        open_receiver: OpenReceiver,
        arrived: Callable[[], None],
        clear_up: Callable[[], object],
        pause: float = PAUSE_SECONDS,
    ) -> None:
        """As many as the configuration says.

        `arrived` is told whenever one of them has counted something; `clear_up` after one of them died, for what it
        had in hand: a node runs for months, and each death may leave a whole object's temporary file.
        """
        self._config = config
        self._open_receiver = open_receiver
        self._arrived = arrived
        self._clear_up = clear_up
        self._pause = pause
        self._stopping = threading.Event()
        self._processes: dict[Connection, SpawnProcess] = {}
        self._answering: set[Connection] = set()
        self._watcher = threading.Thread(target=self._watch, name="receivers")
        self._next_spawn = 0.0
        self._counting = threading.Lock()
        self._counted: dict[Connection, Mapping[str, int]] = {}
        self._of_the_dead: Counter[str] = Counter()
        self.port = config.node.port

    def start(self) -> None:
        """Returns when every process answers on `port`, which may have been 0.

        Raises ConfigError when one cannot because of the configuration, StartError when that may pass by itself.
        """
        self._require_own_port()
        try:
            self.port = self._first_word(self._spawn())
            for line in [self._spawn() for _ in range(self._config.node.receivers - 1)]:
                self._first_word(line)
        except (OSError, EOFError) as error:
            self.stop()
            raise StartError("a receiver process did not start; see the log") from error
        except NodeError:
            self.stop()
            raise
        self._watcher.start()

    def stop(self) -> None:
        """Ask every process to drain and end, and wait for that."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()  # from here on nobody else touches the processes
        for process in self._processes.values():
            process.terminate()
        for line, process in self._processes.items():
            _end(process, line)
        self._processes.clear()

    @property
    def answering(self) -> int:
        """How many processes answer on the port; fewer than configured from a death until its successor is up."""
        return len(self._answering)

    def counted(self) -> Counter[str]:
        """What all of them have counted since the node's start, those that died included."""
        with self._counting:
            total = Counter(self._of_the_dead)
            for counted in self._counted.values():
                total.update(counted)
        return total

    def _require_own_port(self) -> None:
        """Raise StartError where another node has the port: receivers share theirs, so that the kernel would let the
        two nodes share it as well, and deal the images out to both.
        """
        section = self._config.node
        if section.receivers > 1 and section.port:
            require_free("node", section.host, section.port)

    def _spawn(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=run_receiver, args=(self._config, self.port, self._open_receiver, theirs), name="receiver"
        )
        try:
            with _without_ctrl_c():
                process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._processes[ours] = process
        return ours

    def _first_word(self, line: Connection) -> int:
        """The port on which a process answers, once it does. Raises ConfigError or StartError with what it says of
        itself; OSError or EOFError when it died.
        """
        if not line.poll(START_SECONDS):
            raise TimeoutError
        word = Word.of(line)
        if word.trouble:
            raise ConfigError(word.trouble) if word.lasting else StartError(word.trouble)
        self._answering.add(line)
        return word.port

    def _watch(self) -> None:
        while not self._stopping.is_set():
            for line in wait(list(self._processes), timeout=min(1.0, self._pause)):
                assert isinstance(line, Connection)
                try:
                    self._hear(line, Word.of(line))
                except (EOFError, OSError):
                    self._bury(line)
            self._replace_the_dead()

    def _hear(self, line: Connection, word: Word) -> None:
        if word.trouble:
            log.error("receiver_not_started", error=word.trouble)
        if word.port:
            self._answering.add(line)
        with self._counting:
            news = word.counted != self._counted.get(line, {})
            self._counted[line] = word.counted
        if news:
            self._arrived()

    def _bury(self, line: Connection) -> None:
        process = self._processes.pop(line)
        self._answering.discard(line)
        with self._counting:
            self._of_the_dead.update(self._counted.pop(line, {}))
        _end(process, line)
        if not self._stopping.is_set():
            log.error("receiver_died", exit_code=process.exitcode)
            self._clear_up_after_it()

    def _clear_up_after_it(self) -> None:
        try:
            self._clear_up()
        except Exception as error:  # noqa: BLE001 - whatever it is, the other processes need their watcher
            log.error("dead_receiver_not_cleared_up", error=reason(error))

    def _replace_the_dead(self) -> None:
        missing = self._config.node.receivers - len(self._processes)
        if not missing or self._stopping.is_set() or monotonic() < self._next_spawn:
            return
        self._next_spawn = monotonic() + self._pause
        try:
            for _ in range(missing):
                self._spawn()
        except Exception as error:  # noqa: BLE001 - whatever it is, the other processes need their watcher
            log.error("receiver_not_started", error=reason(error))


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """A process that is started within this context gets no SIGINT before it asks for it (`run_receiver`): Ctrl-C
    reaches the whole group, and would kill one that is still importing its modules.
    """
    resource_tracker.ensure_running()  # started by the first process otherwise, and it lets SIGINT through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(process: SpawnProcess, line: Connection) -> None:
    """Wait for a process that was asked to end, or that closed its line; one that does not end is killed."""
    process.join(STOP_SECONDS)
    process.kill()
    process.join()
    line.close()
