"""TLS under DICOM, with DCMTK and OpenSSL on the other side: who may come in does."""

import socket
import subprocess
from io import StringIO
from pathlib import Path

import pytest

from dicom_node.errors import PermanentError
from dicom_node.testing import MemoryLedger
from dicom_node.tls import Credentials
from tests.associations import refusal, sender_to
from tests.certificates import LOCAL, Authority, tls_client, tls_server
from tests.dimse_objects import incoming, written
from tests.servers.dcmtk import StoreScpProcess, storescu
from tests.servers.programs import find_program, wait_until


def options(ca: Authority, credentials: Credentials, *more: str) -> list[str]:
    """storescu's options for TLS."""
    return ["+tls", str(credentials.key), str(credentials.certificate), "+cf", str(ca.file), *more]


@pytest.mark.server
def test_storescu_with_a_client_certificate_stores_and_one_without_does_not(
    ca: Authority, serve, ledger: MemoryLedger, tmp_path: Path, log: StringIO
) -> None:
    scp = serve(tls_server(ca))
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
    scp = serve(tls_server(ca, require_client=False))
    done = storescu(scp.port, [written(tmp_path, incoming("1.2.3.7"))], options=["+tla", "+cf", str(ca.file)])
    assert done.returncode == 0, done.stderr
    assert len(ledger.records.find("1.2.3.7")) == 1


@pytest.mark.server
def test_we_send_to_storescp_over_tls_with_our_certificate(ca: Authority, tmp_path: Path) -> None:
    theirs = ca.issue(LOCAL)
    with StoreScpProcess(tmp_path / "pacs", options=["+B", "+xa", *options(ca, theirs)]) as pacs:
        with sender_to(pacs, tls=tls_client(ca)) as scu:
            for number in range(5):
                scu.send(written(tmp_path, incoming(f"1.2.3.{number}")))
        assert len(pacs.files()) == 5
        assert "TLS" in refusal(pacs, None)


def test_our_sender_and_receiver_use_tls_1_3_and_many_objects_over_one_association(
    ca: Authority, serve, ledger: MemoryLedger, tmp_path: Path
) -> None:
    scp = serve(tls_server(ca))
    with sender_to(scp, tls=tls_client(ca)) as scu:
        for number in range(20):
            scu.send(written(tmp_path, incoming(f"1.2.3.{number}", PixelData=bytes(300_000))))
    assert ledger.records.counts().received == 20
    with socket.create_connection((LOCAL, scp.port), 5) as raw:
        wrapped = tls_client(ca).context().wrap_socket(raw, server_hostname=LOCAL)
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
    scp = serve(tls_server(ca))
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


def test_a_peer_whose_certificate_bears_another_name_is_accepted_by_that_name_or_without_looking(
    ca: Authority, serve
) -> None:
    scp = serve(tls_server(ca, credentials=ca.issue("pacs.example.org")))
    for over in ({"server_name": "pacs.example.org"}, {"check_name": False}):
        with sender_to(scp, tls=tls_client(ca, **over)) as scu:
            scu.echo()


def test_an_ae_title_can_be_tied_to_the_names_in_a_certificate(ca: Authority, serve) -> None:
    scp = serve(tls_server(ca), client_names={" CR1 ": ("cr1.example.org",)})
    right, other = ca.issue("CR1.example.org"), ca.issue("cr2.example.org")
    with sender_to(scp, "CR1", tls=tls_client(ca, credentials=right)) as scu:
        scu.echo()
    with (
        sender_to(scp, "CR1", tls=tls_client(ca, credentials=other)) as scu,
        pytest.raises(PermanentError, match="AE title"),
    ):
        scu.echo()
    with sender_to(scp, "CR2", tls=tls_client(ca, credentials=other)) as scu:
        scu.echo()
