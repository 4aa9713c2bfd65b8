"""A PACS that misbehaves: a storage SCP of pynetdicom in a process of its own, with all the manners that users report.

`python -m tests.faults.bad_pacs PORT FOLDER`; FOLDER/mood says which of MOODS it is in, anew for each object.
"""

import hashlib
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, _config, evt
from pynetdicom.sop_class import ComputedRadiographyImageStorage

from tests.servers.programs import free_port, wait_for_port

REFUSES = "refuses with A700"
HANGS = "hangs in mid-association"
DROPS_AFTER = "drops after the data, before the response"
DROPS_BEFORE = "drops without keeping anything"
ABORTS = "aborts"
WELL = "behaves"
MOODS = (REFUSES, HANGS, DROPS_AFTER, DROPS_BEFORE, ABORTS, WELL)
OUT_OF_RESOURCES = 0xA700


def main(port: int, folder: Path) -> None:
    """Serve until killed; each object that is kept becomes a file UID/SHA-256 of its data set."""
    entity = AE(ae_title="BAD")
    _config.UNRESTRICTED_STORAGE_SERVICE = True
    entity.add_supported_context(ComputedRadiographyImageStorage, ALL_TRANSFER_SYNTAXES)
    entity.maximum_associations = 50
    entity.start_server(("127.0.0.1", port), evt_handlers=[(evt.EVT_C_STORE, _store, [folder])])


def _store(event: evt.Event, folder: Path) -> int:
    mood = (folder / "mood").read_text()
    if mood == REFUSES:
        return OUT_OF_RESOURCES
    if mood == HANGS:
        threading.Event().wait(3600)
    if mood == DROPS_BEFORE:
        _drop(event)
    if mood == ABORTS:
        event.assoc.abort()
    if mood in (WELL, DROPS_AFTER):
        _keep(event, folder)
    if mood == DROPS_AFTER:
        _drop(event)
    return 0


def _keep(event: evt.Event, folder: Path) -> None:
    content = event.request.DataSet.getvalue()
    place = folder / str(event.request.AffectedSOPInstanceUID)
    place.mkdir(exist_ok=True)
    # Killed in the middle, it has kept nothing, and has answered nothing either.
    part = folder / f".{uuid4().hex}"
    part.write_bytes(content)
    part.replace(place / hashlib.sha256(content).hexdigest())


def _drop(event: evt.Event) -> None:
    with suppress(OSError):
        event.assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)


class BadPacs:
    """The process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        self.turn(WELL)

    def start(self) -> None:
        """Return once the port answers."""
        log = self.folder.with_suffix(".log")
        command = [sys.executable, "-m", "tests.faults.bad_pacs", str(self.port), str(self.folder)]
        with log.open("ab") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out, cwd=Path(__file__).parents[2])
        wait_for_port(self._process, self.port, log)

    def turn(self, mood: str) -> None:
        """From the next object on, behave so."""
        part = self.folder / ".mood"
        part.write_text(mood)
        part.replace(self.folder / "mood")

    def kill(self) -> None:
        """It dies; starting it again keeps port and objects."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def arrived(self) -> dict[str, list[str]]:
        """Contents by UID."""
        return {
            place.name: [kept.name for kept in place.iterdir()] for place in self.folder.iterdir() if place.is_dir()
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
