"""Further receiver processes on the node's port (SO_REUSEPORT), because one Python process receives on one core only.

Each has its own ledger connections and writes into the same spool. It tells the node's process about every image
through a pipe, so that classification starts at once; the image itself is in the ledger by then.
"""

import multiprocessing
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Protocol

import structlog

from dicom_node.config import Config
from dicom_node.errors import ConfigError
from dicom_node.instance import Receipt

log = structlog.get_logger(__name__)

READY = b"ready"
ARRIVED = b"arrived"
START_SECONDS = 60.0
STOP_SECONDS = 20.0


class Listener(Protocol):
    """A started receiver."""

    def stop(self) -> None: ...


# Opens a receiver on a port in the process that calls it; has to be importable by name, since processes are spawned.
OpenReceiver = Callable[[Config, int, Callable[[Receipt], None]], Listener]


class Receivers:
    """Processes that receive beside this one; one that dies is started again."""

    def __init__(self, *, count: int, config: Config, open_receiver: OpenReceiver, arrived: Callable[[], None]) -> None:
        self._count = count
        self._config = config
        self._open_receiver = open_receiver
        self._arrived = arrived
        self._stopping = threading.Event()
        self._processes: dict[Connection, SpawnProcess] = {}
        self._watcher = threading.Thread(target=self._watch, name="receivers")
        self._port = 0

    def start(self, port: int) -> None:
        """Returns when every process answers on the port. Raises ConfigError when one does not come up."""
        self._port = port
        for _ in range(self._count):
            self._spawn()
        for line in self._processes:
            if not line.poll(START_SECONDS) or line.recv_bytes() != READY:
                self.stop()
                raise ConfigError("a receiver process did not start; see the log, or set node.receivers to 1")
        if self._processes:
            self._watcher.start()

    def stop(self) -> None:
        """Ask every process to drain and end, and wait for that."""
        self._stopping.set()
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.join(STOP_SECONDS)
            process.kill()
        if self._watcher.is_alive():
            self._watcher.join()

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=run_receiver, args=(self._config, self._port, self._open_receiver, theirs), name="receiver"
        )
        process.start()
        theirs.close()
        self._processes[ours] = process

    def _watch(self) -> None:
        while not self._stopping.is_set():
            for line in wait(list(self._processes), timeout=1.0):
                assert isinstance(line, Connection)
                try:
                    line.recv_bytes()
                    self._arrived()
                except EOFError:
                    self._replace(line)

    def _replace(self, line: Connection) -> None:
        process = self._processes.pop(line)
        process.join()
        line.close()
        if not self._stopping.is_set():
            log.error("receiver_died", exit_code=process.exitcode)
            self._spawn()


def run_receiver(config: Config, port: int, open_receiver: OpenReceiver, line: Connection) -> None:
    """The main function of a receiver process: receive until SIGTERM, or until the node's process is gone."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the node's process decides
    threading.Thread(target=_end_with_parent, args=(stopping,), daemon=True).start()
    listener = open_receiver(config, port, lambda _: line.send_bytes(ARRIVED))
    line.send_bytes(READY)
    stopping.wait()
    listener.stop()


def _end_with_parent(stopping: threading.Event) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        stopping.set()
