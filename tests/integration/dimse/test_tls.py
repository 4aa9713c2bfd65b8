"""TLS under DICOM, with DCMTK and OpenSSL on the other side: who may come in does, and who may not is told apart."""

import logging
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
import structlog

from dicom_node.dimse.scp import ScpSettings, StoreScp
from dicom_node.dimse.scu import Peer, StoreScu
from dicom_node.errors import ConfigError, PermanentError, TransientError
from dicom_node.receive import receive
from dicom_node.spool import Spool
from dicom_node.testing import MemoryLedger
from dicom_node.tls import Contexts, Credentials, TlsClient, TlsServer, check_ca, check_credentials
from tests.certificates import Authority
from tests.dimse_objects import incoming, written
from tests.servers.dcmtk import StoreScpProcess, storescu
from tests.servers.programs import find_program, wait_until
from tests.stories import NOON

LOCAL = "127.0.0.1"


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "stranger")


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
def log() -> Iterator[StringIO]:
    out = StringIO()
    previous = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(out),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )
    yield out
    structlog.configure(**previous)


@pytest.fixture
def serve(tmp_path: Path, ledger: MemoryLedger) -> Iterator[Callable[..., StoreScp]]:
    """Starts receivers, with TLS or without, and stops them in the end."""
    spool = Spool(tmp_path / "spool", reserve_bytes=0)
    started: list[StoreScp] = []

    def start(tls: TlsServer | None = None, **settings) -> StoreScp:
        scp = StoreScp(
            ScpSettings(ae_title="REGION", tls=tls, **settings),
            lambda item: receive(item, spool=spool, intake=ledger.intake, now=NOON),
        )
        scp.start()
        started.append(scp)
        return scp

    yield start
    for scp in started:
        scp.stop(timedelta(seconds=2))


def server(ca: Authority, /, **over) -> TlsServer:
    return TlsServer(**({"credentials": ca.issue(LOCAL), "ca": ca.file} | over))


def client(ca: Authority, /, **over) -> TlsClient:
    return TlsClient(**({"credentials": ca.issue(LOCAL), "ca": ca.file} | over))


@contextmanager
def sender(port: int, tls: TlsClient | None, calling: str = "CR1", host: str = LOCAL) -> Iterator[StoreScu]:
    peer = Peer(host=host, port=port, ae_title="REGION")
    scu = StoreScu(peer, calling_ae=calling, tls=tls, timeout=timedelta(seconds=5))
    try:
        yield scu
    finally:
        scu.close()


def options(ca: Authority, credentials: Credentials, *more: str) -> list[str]:
    """storescu's options for TLS."""
    return ["+tls", str(credentials.key), str(credentials.certificate), "+cf", str(ca.file), *more]


def refusal(port: int, tls: TlsClient | None, **over) -> str:
    """What the sender says when it cannot get through."""
    with sender(port, tls, **over) as scu, pytest.raises(TransientError) as caught:
        scu.echo()
    return str(caught.value)


@pytest.mark.server
def test_storescu_with_a_client_certificate_stores_and_one_without_does_not(
    ca: Authority, serve, ledger: MemoryLedger, tmp_path: Path, log: StringIO
) -> None:
    scp = serve(server(ca))
    file = written(tmp_path, incoming("1.2.3.7"))
    done = storescu(scp.port, [file], options=options(ca, ca.issue("cr1.example.org")))
    assert done.returncode == 0, done.stderr
    assert len(ledger.records.find("1.2.3.7")) == 1
    nameless = storescu(scp.port, [file], options=["+tla", "+cf", str(ca.file)])
    assert nameless.returncode != 0
    wait_until(lambda: "it showed no certificate" in log.getvalue(), what="the log line")


@pytest.mark.server
def test_client_certificates_can_be_left_out_where_the_port_does_not_require_them(
    ca: Authority, serve, ledger: MemoryLedger, tmp_path: Path
) -> None:
    scp = serve(server(ca, require_client=False))
    done = storescu(scp.port, [written(tmp_path, incoming("1.2.3.7"))], options=["+tla", "+cf", str(ca.file)])
    assert done.returncode == 0, done.stderr
    assert len(ledger.records.find("1.2.3.7")) == 1


@pytest.mark.server
def test_we_send_to_storescp_over_tls_with_our_certificate(ca: Authority, tmp_path: Path) -> None:
    theirs = ca.issue(LOCAL)
    with StoreScpProcess(tmp_path / "pacs", options=["+B", "+xa", *options(ca, theirs)]) as pacs:
        with sender(pacs.port, client(ca)) as scu:
            for number in range(5):
                scu.send(written(tmp_path, incoming(f"1.2.3.{number}")))
        assert len(pacs.files()) == 5
        assert "TLS" in refusal(pacs.port, None)


def test_our_sender_and_receiver_use_tls_1_3_and_many_objects_over_one_association(
    ca: Authority, serve, ledger: MemoryLedger, tmp_path: Path
) -> None:
    scp = serve(server(ca))
    with sender(scp.port, client(ca)) as scu:
        for number in range(20):
            scu.send(written(tmp_path, incoming(f"1.2.3.{number}", PixelData=bytes(300_000))))
    assert ledger.records.counts().received == 20
    with socket.create_connection((LOCAL, scp.port), 5) as raw:
        wrapped = client(ca).context().wrap_socket(raw, server_hostname=LOCAL)
        assert wrapped.version() == "TLSv1.3"


@pytest.mark.server
@pytest.mark.parametrize(
    ("choice", "accepted"),
    [
        (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256"], True),
        (["-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-CHACHA20-POLY1305"], True),
        (["-tls1_3"], True),
        (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA256"], False),
        (["-tls1_2", "-cipher", "AES128-GCM-SHA256"], False),
        (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], False),
    ],
    ids=["1.2 GCM", "1.2 ChaCha20", "1.3", "1.2 CBC", "1.2 without ECDHE", "1.1"],
)
def test_only_versions_and_suites_of_the_profile_are_spoken(ca: Authority, serve, choice: list[str], accepted) -> None:
    own = ca.issue("cr1.example.org")
    scp = serve(server(ca))
    openssl = find_program("openssl", "openssl")
    route = ["-connect", f"{LOCAL}:{scp.port}", "-CAfile", ca.file, "-cert", own.certificate, "-key", own.key]
    done = subprocess.run(
        [openssl, "s_client", "-brief", "-verify_return_error", *route, *choice],
        input=b"",
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert ("CONNECTION ESTABLISHED" in (done.stdout + done.stderr).decode()) is accepted, done.stderr


def test_the_usual_mistakes_of_the_other_side_are_told_apart_by_the_sender(
    ca: Authority, stranger: Authority, serve
) -> None:
    good = serve(server(ca))
    plain = serve()
    assert "comes from a CA that is not in `ca`" in refusal(good.port, client(ca, ca=stranger.file))
    expired = serve(server(ca, credentials=ca.issue(LOCAL, expired=True)))
    assert "its certificate has expired" in refusal(expired.port, client(ca))
    other_name = serve(server(ca, credentials=ca.issue("pacs.example.org")))
    assert "its certificate is for another" in refusal(other_name.port, client(ca))
    assert "does not speak TLS" in refusal(plain.port, client(ca)) or "speaks plain" in refusal(plain.port, client(ca))
    assert "TLS" in refusal(good.port, None)
    assert "demands a certificate of ours" in refusal(good.port, client(ca, credentials=None))


def test_a_peer_whose_certificate_bears_another_name_is_accepted_by_that_name_or_without_looking(
    ca: Authority, serve
) -> None:
    scp = serve(server(ca, credentials=ca.issue("pacs.example.org")))
    for over in ({"server_name": "pacs.example.org"}, {"check_name": False}):
        with sender(scp.port, client(ca, **over)) as scu:
            scu.echo()


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
    scp = serve(server(ca))
    if mistake == "plain":
        refusal(scp.port, None)
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
        refusal(scp.port, client(ca, credentials=shown[mistake]))
    wait_until(lambda: sentence in log.getvalue(), what=f"{sentence!r} in the log")
    assert "Traceback" not in log.getvalue()


def _until_closed(raw: socket.socket) -> None:
    try:
        while raw.recv(4096):
            pass
    except ConnectionResetError:
        pass


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
    refusal(scp.port, client(ca))
    wait_until(lambda: "this port is plain DICOM" in log.getvalue(), what="the log line")


def test_who_connects_and_says_nothing_stops_nobody_and_is_closed_in_time(
    ca: Authority, serve, ledger: MemoryLedger, tmp_path: Path
) -> None:
    scp = serve(server(ca), association_timeout=timedelta(seconds=2))
    silent = [socket.create_connection((LOCAL, scp.port), 5) for _ in range(50)]
    try:
        with sender(scp.port, client(ca)) as scu:
            scu.send(written(tmp_path, incoming("1.2.3.7")))
        assert len(ledger.records.find("1.2.3.7")) == 1
        for raw in silent:
            raw.settimeout(10)
            _until_closed(raw)
    finally:
        for raw in silent:
            raw.close()


def test_an_ae_title_can_be_tied_to_the_names_in_a_certificate(ca: Authority, serve) -> None:
    scp = serve(server(ca), client_names={"CR1": ("cr1.example.org",)})
    right, other = ca.issue("CR1.example.org"), ca.issue("cr2.example.org")
    with sender(scp.port, client(ca, credentials=right)) as scu:
        scu.echo()
    with sender(scp.port, client(ca, credentials=other)) as scu, pytest.raises(PermanentError, match="AE title"):
        scu.echo()
    with sender(scp.port, client(ca, credentials=other), calling="CR2") as scu:
        scu.echo()


def test_a_renewed_certificate_is_taken_with_the_next_connection_and_a_broken_one_is_not(
    ca: Authority, serve, log: StringIO
) -> None:
    own = ca.issue("old.example.org")
    scp = serve(TlsServer(credentials=own, ca=ca.file, require_client=False))
    new = ca.issue("new.example.org")
    own.key.write_bytes(new.key.read_bytes())
    with sender(scp.port, client(ca, server_name="old.example.org")) as scu:
        scu.echo()  # the certificate is still another key's
    assert "is not the key of the certificate" in log.getvalue()
    own.certificate.write_bytes(new.certificate.read_bytes())
    with sender(scp.port, client(ca, server_name="new.example.org")) as scu:
        scu.echo()


def test_files_that_cannot_be_used_are_said_before_anything_starts(ca: Authority, tmp_path: Path) -> None:
    good, other = ca.issue(LOCAL), ca.issue("other.example.org")
    now = datetime.now(UTC)
    assert check_credentials(good, now=now) > now
    swapped = Credentials(certificate=good.certificate, key=other.key)
    text = tmp_path / "text.pem"
    text.write_text("no certificate\n")
    wrong: list[tuple[Credentials, str]] = [
        (swapped, "is not the key of the certificate"),
        (Credentials(certificate=tmp_path / "absent.crt", key=good.key), "absent.crt cannot be read: No such file"),
        (Credentials(certificate=text, key=good.key), "holds no certificate in PEM form"),
        (Credentials(certificate=good.certificate, key=text), "it is no private key in PEM form"),
        (Credentials(certificate=good.certificate, key=good.key, password="x"), "has no password"),
        (ca.issue(LOCAL, expired=True), "expired on"),
    ]
    for credentials, sentence in wrong:
        with pytest.raises(ConfigError, match=sentence):
            check_credentials(credentials, now=now)
    for credentials, sentence in wrong[:5]:
        with pytest.raises(ConfigError, match=sentence):
            Contexts(TlsServer(credentials=credentials, ca=ca.file))
    with pytest.raises(ConfigError, match="has expired"):
        check_ca(ca.file, now=now + timedelta(days=365 * 1000))


def test_a_password_of_a_key_is_in_no_repr() -> None:
    credentials = Credentials(certificate=Path("c"), key=Path("k"), password="PLANTED")
    settings = ScpSettings(ae_title="X", tls=TlsServer(credentials=credentials))
    assert "PLANTED" not in repr(settings)
