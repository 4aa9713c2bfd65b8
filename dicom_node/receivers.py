"""Further receiver processes on the node's port (SO_REUSEPORT), because one Python process receives on one core only.

Each has its own ledger connections and writes into the same spool. It tells the node's process about every image
through a pipe, so that classification starts at once; the image itself is in the ledger by then.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from time import monotonic
from typing import Protocol

import structlog

from dicom_node.config import Config
from dicom_node.errors import ConfigError, reason
from dicom_node.instance import Receipt

log = structlog.get_logger(__name__)

READY = b"ready"
ARRIVED = b"arrived"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
# Between two attempts to replace what died: a receiver that dies at every start would keep a core busy otherwise.
PAUSE_SECONDS = 5.0


class Listener(Protocol):
    """A started receiver."""

    def stop(self) -> None: ...


# Opens a receiver on a port in the process that calls it; has to be importable by name, since processes are spawned.
OpenReceiver = Callable[[Config, int, Callable[[Receipt], None]], Listener]


class Receivers:
    """Processes that receive beside this one; one that dies is started again, at most once in `pause` seconds."""

    def __init__(
        self,
        *,
        count: int,
        config: Config,
        open_receiver: OpenReceiver,
        arrived: Callable[[], None],
        pause: float = PAUSE_SECONDS,
    ) -> None:
        self._count = count
        self._config = config
        self._open_receiver = open_receiver
        self._arrived = arrived
        self._pause = pause
        self._stopping = threading.Event()
        self._processes: dict[Connection, SpawnProcess] = {}
        self._watcher = threading.Thread(target=self._watch, name="receivers")
        self._port = 0
        self._next_spawn = 0.0

    def start(self, port: int) -> None:
        """Returns when every process answers on the port. Raises ConfigError when one does not come up."""
        self._port = port
        try:
            for _ in range(self._count):
                self._spawn()
            for line in self._processes:
                _await_ready(line)
        except (OSError, EOFError) as error:
            self.stop()
            raise ConfigError("a receiver process did not start; see the log, or set node.receivers to 1") from error
        if self._processes:
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

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=run_receiver, args=(self._config, self._port, self._open_receiver, theirs), name="receiver"
        )
        try:
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._processes[ours] = process

    def _watch(self) -> None:
        while not self._stopping.is_set():
            for line in wait(list(self._processes), timeout=min(1.0, self._pause)):
                assert isinstance(line, Connection)
                try:
                    line.recv_bytes()
                    self._arrived()
                except (EOFError, OSError):
                    self._bury(line)
            self._replace_the_dead()

    def _bury(self, line: Connection) -> None:
        process = self._processes.pop(line)
        _end(process, line)
        if not self._stopping.is_set():
            log.error("receiver_died", exit_code=process.exitcode)

    def _replace_the_dead(self) -> None:
        missing = self._count - len(self._processes)
        if not missing or self._stopping.is_set() or monotonic() < self._next_spawn:
            return
        self._next_spawn = monotonic() + self._pause
        try:
            for _ in range(missing):
                self._spawn()
        except Exception as error:  # noqa: BLE001 - whatever it is, the other processes need their watcher
            log.error("receiver_not_started", error=reason(error))


def _await_ready(line: Connection) -> None:
    if not line.poll(START_SECONDS):
        raise TimeoutError
    line.recv_bytes()


def _end(process: SpawnProcess, line: Connection) -> None:
    """Wait for a process that was asked to end, or that closed its line; one that does not end is killed."""
    process.join(STOP_SECONDS)
    process.kill()
    process.join()
    line.close()


def run_receiver(config: Config, port: int, open_receiver: OpenReceiver, line: Connection) -> None:
    """The main function of a receiver process: receive until SIGTERM, or until the node's process is gone."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the node's process decides
    threading.Thread(target=_end_with_parent, args=(stopping,), daemon=True).start()
    ready = threading.Event()

    def notify(_: Receipt) -> None:
        # The classifier also looks by itself: a word that does not fit into the pipe may be lost, a C-STORE may not
        # wait for it. It is far shorter than PIPE_BUF, so that a pipe takes it as a whole or not at all.
        if ready.is_set():
            with suppress(OSError):
                line.send_bytes(ARRIVED)

    listener = open_receiver(config, port, notify)
    with suppress(OSError):  # the node's process is gone already, and this one ends with it
        line.send_bytes(READY)
        os.set_blocking(line.fileno(), False)
        ready.set()
    stopping.wait()
    listener.stop()


def _end_with_parent(stopping: threading.Event) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        stopping.set()
