"""The web port before callers who say nothing, too little or too late."""

import re
import select
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic

import httpx
import pytest
from fastapi import FastAPI

from dicom_node.tls import Credentials
from dicom_node.web import door
from dicom_node.web.server import WebServer
from tests.beside import beside
from tests.certificates import Authority
from tests.logbook import captured_log
from tests.servers.programs import wait_until

ASKED = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
ASKED_FOR_MUCH = b"GET /much HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextmanager
def served(credentials: Credentials | None = None) -> Iterator[int]:
    """The port of a server whose pages answer 200, one of them at some length."""
    app = FastAPI()
    app.get("/healthz")(lambda: "ok")
    app.get("/much")(lambda: "x" * 200_000)
    server = WebServer(app, host="127.0.0.1", port=0, credentials=credentials)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), 20) as caller:
        yield caller


def is_sent_away(caller: socket.socket) -> bool:
    """Waits for it; what is still said to the caller before does not count."""
    try:
        while caller.recv(1 << 16):
            pass
    except ConnectionResetError:
        return True
    return True


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "ASKING_SECONDS", 0.3)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    "said", [b"", b"GET /healthz HT", ASKED + b"G", b"POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"]
)
def test_who_does_not_ask_in_time_is_sent_away(said: bytes) -> None:
    """`ASKED + G`: uvicorn's own patience ends with the first byte of another request."""
    with served() as port, connected(port) as caller:
        caller.sendall(said)
        assert is_sent_away(caller)


@pytest.mark.usefixtures("hasty")
def test_a_byte_now_and_then_gains_no_time() -> None:
    with served() as port, connected(port) as caller:

        def dribble(enough) -> None:
            for octet in b"GET /healthz HTTP/1.1\r\n" + b"x" * 10_000:
                if enough.wait(0.05):
                    return
                try:
                    caller.sendall(bytes([octet]))
                except OSError:
                    return

        with beside(dribble):
            assert is_sent_away(caller)


@pytest.mark.usefixtures("hasty")
def test_who_does_not_finish_a_tls_handshake_is_sent_away(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    with served(ca.issue("127.0.0.1")) as port:
        with connected(port) as caller:
            assert is_sent_away(caller)
        trusting = ssl.create_default_context(cafile=ca.file)
        with connected(port) as line, trusting.wrap_socket(line, server_hostname="127.0.0.1") as caller:
            assert is_sent_away(caller)


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
def test_for_one_connection_too_many_the_longest_silent_one_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encrypted: bool
) -> None:
    monkeypatch.setattr(door, "MOST", 3)
    ca = Authority(tmp_path)
    with captured_log() as log, served(ca.issue("127.0.0.1") if encrypted else None) as port, ExitStack() as stack:
        callers = [stack.enter_context(connected(port)) for _ in range(3)]
        url = f"{'https' if encrypted else 'http'}://127.0.0.1:{port}/healthz"
        trusting = ssl.create_default_context(cafile=ca.file)
        with httpx.Client(verify=trusting) as web:
            assert web.get(url).status_code == 200
            assert is_sent_away(callers[0])
            stack.enter_context(connected(port))
            assert is_sent_away(callers[1])
            assert web.get(url).status_code == 200
    assert log.getvalue().count("web_port_is_full") == 1


def has_been_reset(caller: socket.socket) -> bool:
    """Found out without reading anything."""
    poll = select.poll()
    poll.register(caller, 0)
    return bool(poll.poll(0))


@contextmanager
def asking_without_listening(port: int, ca: Authority | None = None) -> Iterator[socket.socket]:
    """A caller, over TLS where a CA is given, who reads no answers and has asked until no more was taken of it."""
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(20)
        line.connect(("127.0.0.1", port))
        trusting = ssl.create_default_context(cafile=ca.file) if ca is not None else None
        with trusting.wrap_socket(line, server_hostname="127.0.0.1") if trusting is not None else line as caller:
            caller.settimeout(1.0)
            try:
                while True:
                    caller.sendall(ASKED_FOR_MUCH * 1000)
            except TimeoutError:
                caller.settimeout(20)
            yield caller


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
def test_who_asks_on_and_reads_no_answer_is_sent_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encrypted: bool
) -> None:
    monkeypatch.setattr(door, "ASKING_SECONDS", 3.0)
    ca = Authority(tmp_path) if encrypted else None
    with served(ca.issue("127.0.0.1") if ca else None) as port, asking_without_listening(port, ca) as caller:
        wait_until(lambda: has_been_reset(caller), what="the end of the connection")


def test_for_one_connection_too_many_one_that_reads_no_answer_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MOST", 3)
    with served() as port, ExitStack() as stack:
        callers = [stack.enter_context(asking_without_listening(port)) for _ in range(3)]
        assert httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=30).status_code == 200
        wait_until(lambda: has_been_reset(callers[0]), what="the end of the first connection")


def test_who_reads_no_answer_does_not_hold_up_the_end() -> None:
    with ExitStack() as outside:
        with served() as port:
            caller = outside.enter_context(asking_without_listening(port))
            began = monotonic()
        assert monotonic() - began < 4  # uvicorn by itself waits for five seconds
        assert has_been_reset(caller)


CHILD = """
import resource, sys
from fastapi import FastAPI
from dicom_node.web.server import WebServer
app = FastAPI()
app.get("/healthz")(lambda: "ok")
server = WebServer(app, host="127.0.0.1", port=0)
server.start()
resource.setrlimit(resource.RLIMIT_NOFILE, (40, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
print(server.port, flush=True)
sys.stdin.read()
server.stop()
"""


def test_where_no_more_files_may_be_opened_the_log_is_not_filled_and_the_port_comes_back(root: Path) -> None:
    pipe = subprocess.PIPE
    child = subprocess.Popen([sys.executable, "-c", CHILD], cwd=root, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT)
    with child, ExitStack() as stack:
        port = int(child.stdout.readline())
        for _ in range(80):
            stack.enter_context(connected(port))
        assert httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=30).status_code == 200
        said, _ = child.communicate(timeout=30)
    assert child.returncode == 0
    assert len(re.findall(rb"web_port_takes_nobody", said)) == 1
    assert len(said.splitlines()) == 1
