"""What receiver processes run in tests. Processes are spawned, so these are found by name; they talk through files in
the configuration's data folder.
"""

import os
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

from dicom_node.config import Config
from dicom_node.errors import ConfigError, LedgerError, StartError
from dicom_node.receiver_process import Count
from dicom_node.spool import Spool


class Idle:
    """A receiver to which nobody talks."""

    port = 104
    unaudited = 0

    def stop(self) -> None:
        """Nothing is in hand."""


class Listening(Idle):
    """A receiver that shares its port."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_server((host, port), reuse_port=True)
        self.port = port

    def stop(self) -> None:
        """Listen no more."""
        self._socket.close()


class Writing(Idle):
    """A receiver with a temporary file in hand, in which its process id stands."""

    def __init__(self, spool: Spool) -> None:
        self._in_hand = ExitStack()
        self._in_hand.enter_context(spool.scratch()).write_text(str(os.getpid()))

    def stop(self) -> None:
        """It is done with."""
        self._in_hand.close()


def pid_file(folder: Path) -> Path:
    return folder / "pid"


def note_pid(config: Config, port: int, count: Count) -> Idle:
    """Write down which process this is."""
    part = config.node.data_dir / f"{os.getpid()}.part"
    part.write_text(str(os.getpid()))
    part.replace(pid_file(config.node.data_dir))
    return Idle()


def listen_and_note_pid(config: Config, port: int, count: Count) -> Idle:
    """Listen on the port beside others, and write down which process this is."""
    idle = Listening(config.node.host, port)
    note_pid(config, port, count)
    return idle


def count_three(config: Config, port: int, count: Count) -> Idle:
    """Have received two objects and refused one; and write down which process this is."""
    idle = note_pid(config, port, count)
    for what in ("stored", "stored", "refused MismatchError"):
        count(what)
    return idle


def answer_when_told(config: Config, port: int, count: Count) -> Idle:
    """Write down which process this is, and begin to answer once the FIFO `go` is written to."""
    idle = note_pid(config, port, count)
    (config.node.data_dir / "go").read_bytes()
    return idle


def leave_half_a_file(config: Config, port: int, count: Count) -> Writing:
    """Be about to write an object into the spool, which is the data folder here."""
    return Writing(Spool(config.node.data_dir, reserve_bytes=0))


def die(config: Config, port: int, count: Count) -> Idle:
    """End before the port answers."""
    os._exit(3)


def find_the_port_taken(config: Config, port: int, count: Count) -> Idle:
    raise StartError("cannot listen on 127.0.0.1 port 104: Address already in use")


def find_the_ledger_away(config: Config, port: int, count: Count) -> Idle:
    raise LedgerError("PostgreSQL cannot be reached")


def find_a_wrong_key(config: Config, port: int, count: Count) -> Idle:
    raise ConfigError("the key node.key is not the key of the certificate")


def notify_a_lot(config: Config, port: int, count: Count) -> Idle:
    """Once the FIFO `go` is written to, tell of more images than a pipe takes, and then make the file `done`."""

    def tell() -> None:
        (config.node.data_dir / "go").read_bytes()
        for _ in range(50_000):
            count("stored")
        (config.node.data_dir / "done").touch()

    threading.Thread(target=tell, daemon=True).start()
    return Idle()
