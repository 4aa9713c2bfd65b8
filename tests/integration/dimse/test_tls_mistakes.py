"""TLS that does not come about: each usual mistake has a sentence of its own, and stops nobody else."""

import socket
import ssl
import sys
from contextlib import ExitStack
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest

from dicom_node.dimse import secure
from dicom_node.dimse.scp import ScpSettings, StoreScp
from dicom_node.dimse.secure import FOR_ONE_ADDRESS, NO_PLACE
from dicom_node.dimse.watch import NobodyWatches
from dicom_node.testing import MemoryLedger
from tests.associations import Handler, refusal, sender_to
from tests.certificates import LOCAL, Authority, tls_client, tls_server
from tests.dimse_objects import incoming, written
from tests.servers.programs import wait_until


def test_the_usual_mistakes_of_the_other_side_are_told_apart_by_the_sender(
    ca: Authority, stranger: Authority, serve
) -> None:
    good = serve(tls_server(ca))
    plain = serve()
    assert "comes from a CA that is not in `ca`" in refusal(good, tls_client(ca, ca=stranger.file))
    expired = serve(tls_server(ca, credentials=ca.issue(LOCAL, expired=True)))
    assert "its certificate has expired" in refusal(expired, tls_client(ca))
    other_name = serve(tls_server(ca, credentials=ca.issue("pacs.example.org")))
    assert "its certificate is for another" in refusal(other_name, tls_client(ca))
    assert "does not speak TLS" in refusal(plain, tls_client(ca)) or "speaks plain" in refusal(plain, tls_client(ca))
    assert "TLS" in refusal(good, None)
    assert "demands a certificate of ours" in refusal(good, tls_client(ca, credentials=None))


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        ("plain", "does not speak TLS here"),
        ("stranger", "comes from a CA that is not in `ca`"),
        ("expired", "its certificate has expired"),
        ("nameless", "showed no certificate"),
        ("http", "speaks HTTP"),
        ("tls 1.1", "no version or cipher suite in common"),
    ],
)
def test_the_usual_mistakes_of_a_caller_are_told_apart_in_the_receivers_log(
    ca: Authority, stranger: Authority, serve, log: StringIO, mistake: str, sentence: str
) -> None:
    scp = serve(tls_server(ca))
    if mistake == "plain":
        refusal(scp, None)
    elif mistake == "http":
        with socket.create_connection((LOCAL, scp.port), 5) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\nHost: node\r\n\r\n")
            _until_closed(raw)
    elif mistake == "tls 1.1":
        _shake_with_old_tls(ca, scp.port)
    else:
        shown = {
            "stranger": stranger.issue("x.example.org"),
            "expired": ca.issue("x.example.org", expired=True),
            "nameless": None,
        }
        refusal(scp, tls_client(ca, credentials=shown[mistake]))
    wait_until(lambda: sentence in log.getvalue(), what=f"{sentence!r} in the log")
    assert "Traceback" not in log.getvalue()


def _shake_with_old_tls(ca: Authority, port: int) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection((LOCAL, port), 5) as raw, pytest.raises(OSError):
        context.wrap_socket(raw)


def test_a_caller_with_tls_on_the_plain_port_is_told_apart_in_the_log(ca: Authority, serve, log: StringIO) -> None:
    scp = serve()
    refusal(scp, tls_client(ca))
    wait_until(lambda: "this port is plain DICOM" in log.getvalue(), what="the log line")


def test_who_connects_and_says_nothing_stops_nobody_and_is_closed_in_time(
    ca: Authority, serve, ledger: MemoryLedger, tmp_path: Path
) -> None:
    scp = serve(tls_server(ca), association_timeout=timedelta(seconds=2))
    silent = [socket.create_connection((LOCAL, scp.port), 5) for _ in range(50)]
    try:
        with sender_to(scp, tls=tls_client(ca)) as scu:
            scu.send(written(tmp_path, incoming("1.2.3.7")))
        assert len(ledger.records.find("1.2.3.7")) == 1
        for raw in silent:
            raw.settimeout(10)
            _until_closed(raw)
    finally:
        for raw in silent:
            raw.close()


def hello() -> bytes:
    """How a client begins a handshake."""
    out = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="node").do_handshake()
    return out.read()


def falling_silent(scp: StoreScp, source: str = LOCAL) -> socket.socket:
    """A peer that begins a handshake, and says no more."""
    raw = socket.create_connection((LOCAL, scp.port), 20, (source, 0))
    raw.sendall(hello())
    return raw


def is_answered(raw: socket.socket) -> bool:
    """Whether its handshake goes on, within a moment."""
    raw.settimeout(0.5)
    try:
        return raw.recv(1, socket.MSG_PEEK) != b""
    except TimeoutError:
        return False


@pytest.mark.usefixtures("log")
@pytest.mark.skipif(sys.platform != "linux", reason="needs a second loopback address")
def test_one_address_that_floods_the_port_with_handshakes_keeps_no_other_out(ca: Authority, serve) -> None:
    scp = serve(tls_server(ca), association_timeout=timedelta(seconds=60))
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(falling_silent(scp, "127.0.0.2"))
        with sender_to(scp, tls=tls_client(ca), timeout=timedelta(seconds=9)) as scu:
            scu.echo()


def test_a_handshake_for_which_there_is_no_place_waits_for_one(ca: Authority, serve, log: StringIO) -> None:
    scp = serve(tls_server(ca), association_timeout=timedelta(seconds=60))
    with ExitStack() as stack:
        silent = [stack.enter_context(falling_silent(scp)) for _ in range(FOR_ONE_ADDRESS)]
        wait_until(lambda: all(is_answered(raw) for raw in silent), what="as many handshakes as there may be")
        waiting = stack.enter_context(falling_silent(scp))
        assert not is_answered(waiting)
        silent[0].close()
        wait_until(lambda: is_answered(waiting), what="the next handshake")
    assert NO_PLACE not in log.getvalue()


class Watching(NobodyWatches):
    """Remembers why anybody was refused."""

    def __init__(self) -> None:
        self.why: list[str] = []

    def refused(self, *, peer: str, calling_ae: str, why: str) -> None:
        assert (peer, calling_ae) == (LOCAL, "")
        self.why.append(why)


def test_who_waited_for_a_place_in_vain_is_not_told_to_have_closed_the_connection(
    ca: Authority, handler: Handler, log: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secure, "LAST_WORDS_SECONDS", 60.0)  # so that those before it keep their places
    watch = Watching()
    settings = ScpSettings(ae_title="REGION", tls=tls_server(ca), association_timeout=timedelta(seconds=1))
    scp = StoreScp(settings, handler, watch)
    scp.start()
    with ExitStack() as stack:
        stack.callback(scp.stop)
        for _ in range(FOR_ONE_ADDRESS):
            stack.enter_context(falling_silent(scp))
        _until_closed(stack.enter_context(falling_silent(scp)))
        wait_until(lambda: NO_PLACE in watch.why, what="that it is told")
    assert watch.why.count(NO_PLACE) == log.getvalue().count(NO_PLACE) == 1
    assert "it closed the connection" not in log.getvalue()


def _until_closed(raw: socket.socket) -> None:
    try:
        while raw.recv(4096):
            pass
    except ConnectionResetError:
        pass
