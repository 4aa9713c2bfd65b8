"""What receiver processes run in tests. Processes are spawned, so these are found by name; they talk through files in
the configuration's data folder.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from dicom_node.config import Config


class Idle:
    """A receiver to which nobody talks."""

    def stop(self) -> None:
        """Nothing is in hand."""


def pid_file(folder: Path) -> Path:
    return folder / "pid"


def note_pid(config: Config, port: int, arrived: Callable) -> Idle:
    """Write down which process this is."""
    part = config.node.data_dir / f"{os.getpid()}.part"
    part.write_text(str(os.getpid()))
    part.replace(pid_file(config.node.data_dir))
    return Idle()


def die(config: Config, port: int, arrived: Callable) -> Idle:
    """End before the port answers."""
    os._exit(3)


def notify_a_lot(config: Config, port: int, arrived: Callable) -> Idle:
    """Once the FIFO `go` is written to, tell of more images than a pipe takes, and then make the file `done`."""

    def tell() -> None:
        (config.node.data_dir / "go").read_bytes()
        for _ in range(50_000):
            arrived(None)
        (config.node.data_dir / "done").touch()

    threading.Thread(target=tell, daemon=True).start()
    return Idle()
