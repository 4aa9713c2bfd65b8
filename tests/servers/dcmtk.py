"""DCMTK's stock sender and receiver, as programs of their own."""

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.programs import find_program, free_port, stop, wait_for_port


def dcmtk(name: str) -> Path:
    """Where a DCMTK program is; skips the test when DCMTK is not installed."""
    return find_program(name, "dcmtk")


def run_dcmtk(name: str, *arguments: str | Path, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run a DCMTK program to its end, whatever that is, and return what it printed."""
    return subprocess.run(
        [dcmtk(name), *arguments], capture_output=True, text=True, timeout=timeout, check=False, errors="replace"
    )


def storescu(
    port: int,
    files: Iterable[Path],
    *,
    options: Sequence[str] = (),
    calling: str = "STORESCU",
    called: str = "ANY-SCP",
    host: str = "127.0.0.1",
    timeout: float = 60.0,
) -> subprocess.CompletedProcess[str]:
    """Send files (or folders, with the option `+sd`) with storescu, which exits 0 when all were taken.

    storescu proposes uncompressed syntaxes unless told otherwise: `-xs` lossless JPEG, `-xt` JPEG-LS, `-xv` JPEG 2000,
    `-xr` RLE and so on in its manual; without the fitting one a compressed file is refused by storescu itself.
    """
    route = ["-aet", calling, "-aec", called, host, str(port)]
    return run_dcmtk("storescu", "-v", *options, *route, *files, timeout=timeout)


def dcmsend(
    port: int,
    files: Iterable[Path],
    *,
    options: Sequence[str] = (),
    calling: str = "DCMSEND",
    called: str = "ANY-SCP",
    host: str = "127.0.0.1",
    timeout: float = 60.0,
) -> subprocess.CompletedProcess[str]:
    """Send files with dcmsend, which proposes what each file needs and splits over associations by itself."""
    route = ["-aet", calling, "-aec", called, host, str(port)]
    return run_dcmtk("dcmsend", "-v", *options, *route, *files, timeout=timeout)


def echoscu(port: int, *, calling: str = "ECHOSCU", called: str = "ANY-SCP") -> subprocess.CompletedProcess[str]:
    """Ask C-ECHO."""
    return run_dcmtk("echoscu", "-aet", calling, "-aec", called, "127.0.0.1", str(port))


class StoreScpProcess:
    """DCMTK's storescp, listening on a free port and writing what it gets, bit by bit, into a folder.

    >>> with StoreScpProcess(tmp_path / "received") as scp:
    ...     storescu(scp.port, [file])
    ...     scp.files()
    """

    def __init__(self, folder: Path, *, aet: str = "STORESCP", options: Sequence[str] = ("+B", "+xa")) -> None:
        """`options` of storescp; by default: write exactly what is read, accept every transfer syntax."""
        self.folder = folder
        self.aet = aet
        self.port = free_port()
        self.log = folder.with_name(f"{folder.name}.log")
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def files(self) -> list[Path]:
        """What has arrived, by name."""
        return sorted(path for path in self.folder.iterdir() if path.is_file())

    def start(self) -> None:
        """Return once the port answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [dcmtk("storescp"), "-v", *self._options, "-aet", self.aet, "-od", self.folder, str(self.port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for_port(self._process, self.port, self.log)

    def stop(self) -> None:
        """End the process; starting again keeps port and folder."""
        if self._process is not None:
            stop(self._process)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
