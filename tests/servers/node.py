"""The node as its own process, started by the command that a user types."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import urlopen

from tests.servers.programs import free_port, stop, wait_until

GREETING = re.compile(r"listens on [\d.]+:(\d+)(?:, web https?://[\d.]+:(\d+))?")


class NodeProcess:
    """`dicom-node serve` on free ports, with its data in a folder; `configuration` is TOML beside what this sets.

    >>> with NodeProcess(tmp_path, '[policy]\\nfill = true\\n') as node:
    ...     storescu(node.port, [file])
    ...     node.settled(1)
    """

    def __init__(self, folder: Path, configuration: str = "") -> None:
        self.folder = folder
        self.file = folder / "node.toml"
        self.log = folder / "node.log"
        self.working_directory: Path | None = None  # of commands; else that of the tests
        self.port = 0
        self.web_port = 0
        self._process: subprocess.Popen[str] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.file.write_text(_with_free_ports(configuration, folder), encoding="utf-8")

    def start(self, *options: str) -> None:
        """Return once it has printed its line, which it does when the port answers."""
        self.launch(*options)
        self.greeted()

    def launch(self, *options: str) -> None:
        """Start it without waiting for anything."""
        with self.log.open("a") as log:
            command = [sys.executable, "-m", "dicom_node", "serve", *options, "--config", self.file]
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)

    def greeted(self) -> None:
        """Wait for the line of a node that was launched."""
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        match = GREETING.search(line)
        assert match, f"the node printed {line!r}; its log:\n{self._log_end()}"
        self.port, self.web_port = int(match[1]), int(match[2] or 0)

    def stop(self, *, seconds: float = 60.0) -> int:
        """Ask it to stop (SIGTERM), and return its exit status; it is killed when it has not after `seconds`."""
        assert self._process is not None
        stop(self._process, seconds=seconds)
        return int(self._process.returncode)

    def keep_port(self) -> int:
        """Choose the port now, for senders that go on calling it over restarts."""
        port = free_port()
        self.file.write_text(self.file.read_text().replace("port = 0", f"port = {port}", 1))
        return port

    def kill(self) -> None:
        """The power goes off."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def receiver_pids(self) -> list[int]:
        """The receiver processes of the running node: its spawned children, whichever thread spawned them."""
        lists = [_read(path) for path in Path(f"/proc/{self.pid}/task").glob("*/children")]
        children = [int(child) for listed in lists for child in listed.split()]
        return [child for child in children if b"spawn_main" in _read(Path(f"/proc/{child}/cmdline"))]

    @property
    def spool(self) -> Path:
        return self.folder / "data" / "spool"

    def run(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Another command of `dicom-node` with the same configuration."""
        command = [sys.executable, "-m", "dicom_node", *map(str, arguments), "--config", str(self.file)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=100, check=False, cwd=self.working_directory
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def get(self, path: str) -> bytes:
        """The body of a GET answer of the web port; HTTPError unless it is a success."""
        with urlopen(f"http://127.0.0.1:{self.web_port}{path}", timeout=30) as answer:
            return bytes(answer.read())

    def status(self) -> dict[str, Any]:
        """The counts, over the web port; `run("status", "--json")` gives the same more slowly."""
        return dict(json.loads(self.get("/api/v1/status")))

    def instances(self, sop_instance_uid: str) -> list[dict[str, Any]]:
        """What the ledger knows of a SOP Instance UID."""
        return list(json.loads(self.get(f"/api/v1/instances/{sop_instance_uid}")))

    def settled(self, count: int, *, seconds: float = 60.0) -> dict[str, Any]:
        """The status, as soon as `count` images have a verdict."""
        wait_until(lambda: self.status()["classified"] >= count, what=f"{count} verdicts", seconds=seconds)
        return self.status()

    def idle(self, *, seconds: float = 60.0) -> dict[str, Any]:
        """The status, as soon as nothing waits any more."""
        wait_until(lambda: self.status()["pending"] == 0, what="an empty queue", seconds=seconds)
        return self.status()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        status = self.stop()
        assert status == 0 or error is not None, f"the node ended with {status}; its log:\n{self._log_end()}"

    def _log_end(self) -> str:
        return self.log.read_text()[-4000:]


def _read(file: Path) -> bytes:
    """What is in a file of /proc; nothing, once its process or thread has ended."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _with_free_ports(configuration: str, folder: Path) -> str:
    base = f'port = 0\ndata_dir = "{folder / "data"}"\n'
    node = f"[node]\n{base}"
    rest = configuration.replace("[node]\n", node) if "[node]\n" in configuration else node + configuration
    return rest if "[web]" in rest else f"{rest}\n[web]\nport = 0\n"
