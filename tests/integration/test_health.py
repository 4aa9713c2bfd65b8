"""`dicom-node health` before ports as a configuration may set them."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI

from dicom_node.cli.health_command import health
from dicom_node.errors import NodeError, StartError
from dicom_node.tls import Credentials
from dicom_node.web.server import WebServer
from tests.certificates import Authority
from tests.servers.programs import free_port


@contextmanager
def served(*, credentials: Credentials | None = None, host: str = "127.0.0.1", path: str = "/healthz") -> Iterator[int]:
    app = FastAPI()
    app.get(path)(lambda: "ok")
    server = WebServer(app, host=host, port=0, credentials=credentials)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "node.toml"


def test_a_web_port_of_any_number_is_found(file: Path) -> None:
    with served() as port:
        file.write_text(f"[web]\nport = {port}\n")
        health(config=file)
    with pytest.raises(NodeError, match="is it running"):
        health(config=file)


def test_a_web_port_with_a_certificate_for_another_name_is_asked_over_https(file: Path, tmp_path: Path) -> None:
    """It lives although the certificate has expired: that is told by the metrics, and a restart cures nothing."""
    own = Authority(tmp_path).issue("node.example.org", expired=True)
    with served(credentials=own) as port:
        file.write_text(f'[web]\nport = {port}\ncertificate = "{own.certificate}"\nkey = "{own.key}"\n')
        health(config=file)
        file.write_text(f"[web]\nport = {port}\n")
        with pytest.raises(NodeError, match="does not answer as it should"):
            health(config=file)


def test_a_web_port_on_every_address_is_asked_on_this_machine(file: Path) -> None:
    token = f'[[web.auth.tokens]]\nname = "any"\ntoken_hash = "sha256:{"0" * 64}"\n'
    with served(host="0.0.0.0") as port:
        file.write_text(f'[web]\nhost = "0.0.0.0"\nport = {port}\n{token}')
        health(config=file)


@pytest.mark.parametrize("host", ["::1", "::"])
def test_a_web_port_on_ipv6_answers(file: Path, host: str) -> None:
    token = f'[[web.auth.tokens]]\nname = "any"\ntoken_hash = "sha256:{"0" * 64}"\n'
    with served(host=host) as port:
        file.write_text(f'[web]\nhost = "{host}"\nport = {port}\n{token}')
        health(config=file)
        if host == "::":
            socket.create_connection(("127.0.0.1", port)).close()


@pytest.mark.parametrize(
    ("host", "port", "advice"),
    [
        ("127.0.0.1", None, "Address already in use; set another web.port, or end what listens there"),
        ("192.0.2.1", 0, "Cannot assign requested address; set web.host to an address of this machine"),
        ("node.invalid", 0, "; set web.host to an address of this machine"),
    ],
)
def test_a_web_port_that_cannot_be_had_is_told_with_what_to_do(host: str, port: int | None, advice: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        wanted = other.getsockname()[1] if port is None else port
        server = WebServer(FastAPI(), host=host, port=wanted)
        with pytest.raises(StartError, match=rf"^cannot listen on {host} port {wanted}: .*{advice}$"):
            server.start()


def test_another_program_on_the_web_port_is_no_node(file: Path) -> None:
    with served(path="/") as port:
        file.write_text(f"[web]\nport = {port}\n")
        with pytest.raises(NodeError, match="answers 404"):
            health(config=file)


def test_without_a_web_port_a_receiver_has_to_take_connections(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        file.write_text(f"[node]\nport = {receiver.getsockname()[1]}\n[web]\nenabled = false\n")
        health(config=file)
    file.write_text(f"[node]\nport = {free_port()}\n[web]\nenabled = false\n")
    with pytest.raises(NodeError, match="nothing answers on the DICOM port"):
        health(config=file)


def test_a_port_that_nobody_knows_cannot_be_asked(file: Path) -> None:
    file.write_text("[web]\nport = 0\n")
    with pytest.raises(NodeError, match="give it a number"):
        health(config=file)


def test_who_does_not_answer_in_time_is_not_healthy(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicom_node.cli.health_command.PATIENCE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        file.write_text(f"[web]\nport = {silent.getsockname()[1]}\n")
        with pytest.raises(NodeError, match="does not answer as it should"):
            health(config=file)
