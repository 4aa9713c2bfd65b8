"""A process with many open files: receivers, senders and the audit trail go on where `select` would not."""

import resource
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicom_node.audit.syslog import SyslogSink
from dicom_node.dimse.scp import StoreScp
from dicom_node.testing import MemoryLedger
from dicom_node.tls import TlsClient, TlsServer
from tests.associations import Handler, scp_with, sender_to
from tests.certificates import Authority
from tests.dimse_objects import incoming, written
from tests.servers.programs import wait_until
from tests.servers.syslog import LOCAL, SyslogServer

SELECT_KNOWS = 1024


@pytest.fixture
def _many_files() -> Iterator[None]:
    """So many that the next one has a number that `select` does not know."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * SELECT_KNOWS:
        pytest.skip("needs more open files than this machine allows")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * SELECT_KNOWS, hard))
    with ExitStack() as stack:
        for _ in range(SELECT_KNOWS):
            stack.enter_context(Path("/dev/null").open("rb"))
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_many_files")
def test_an_object_is_sent_and_received(handler: Handler, ledger: MemoryLedger, tmp_path: Path) -> None:
    with scp_with(handler) as scp, sender_to(scp) as scu:
        scu.send(written(tmp_path, incoming()))
    assert ledger.records.counts().received == 1


@pytest.mark.usefixtures("_many_files")
def test_an_object_is_sent_and_received_over_tls(serve: object, ca: Authority, tmp_path: Path, ledger) -> None:
    scp: StoreScp = serve(TlsServer(credentials=ca.issue("localhost"), ca=ca.file))
    tls = TlsClient(ca=ca.file, credentials=ca.issue("cr1.example.org"), server_name="localhost")
    with sender_to(scp, tls=tls) as scu:
        scu.send(written(tmp_path, incoming()))
    assert ledger.records.counts().received == 1


@pytest.mark.usefixtures("_many_files")
def test_audit_messages_reach_their_server_over_one_connection(ca: Authority) -> None:
    server = SyslogServer(TlsServer(credentials=ca.issue(LOCAL), ca=ca.file).context())
    server.open()
    tls = TlsClient(ca=ca.file, credentials=ca.issue("node.example.org"))
    sink = SyslogSink(host=LOCAL, port=server.port, tls=tls, source_host="node", now=lambda: datetime.now(UTC))
    try:
        for number in range(3):
            sink.write(b"message %d" % number)
        wait_until(lambda: len(server.records) == 3, what="three records")
    finally:
        sink.close()
        server.close()
