"""Find the programs that tests talk to, and wait for them without sleeping blindly."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

# Before PATH: Python packages bring scripts called storescu and storescp too, which are other programs.
SYSTEM_FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin")


def find_program(name: str, package: str) -> Path:
    """Where a program is; skips the test, naming the Debian package, when it is nowhere."""
    found = shutil.which(name, path=":".join(SYSTEM_FOLDERS))
    if found is None:
        pytest.skip(f"needs {name} (Debian: apt-get install {package})")
    return Path(found)


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_answers(port: int) -> bool:
    """Whether something accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(happened: Callable[[], bool], *, what: str, seconds: float = 20.0) -> None:
    """Return as soon as `happened()` is true; TimeoutError, saying what was waited for, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.02)


def wait_for_port(process: subprocess.Popen[bytes], port: int, log: Path, *, seconds: float = 30.0) -> None:
    """Return once the process listens; RuntimeError with the end of its log when it ends before that."""

    def listens() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}:\n{log.read_text()[-2000:]}")
        return port_answers(port)

    wait_until(listens, what=f"listening on port {port}", seconds=seconds)


def stop(process: subprocess.Popen[bytes], *, seconds: float = 10.0) -> None:
    """End a process politely, and for good when it does not listen to that."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
