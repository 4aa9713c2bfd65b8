"""A receiver over a ledger in memory, its log, and the CAs of its certificates."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest

from dicom_node.dimse.scp import ScpSettings, StoreScp
from dicom_node.receive import receive
from dicom_node.spool import Spool
from dicom_node.testing import MemoryLedger
from dicom_node.tls import TlsServer
from tests.associations import Handler, scp_with
from tests.certificates import Authority
from tests.logbook import captured_log
from tests.stories import NOON


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", reserve_bytes=0)


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
def handler(spool: Spool, ledger: MemoryLedger) -> Handler:
    return lambda item: receive(item, spool=spool, intake=ledger.intake, now=NOON)


@pytest.fixture
def scp(handler: Handler) -> Iterator[StoreScp]:
    with scp_with(handler) as running:
        yield running


@pytest.fixture
def serve(handler: Handler) -> Iterator[Callable[..., StoreScp]]:
    """Starts receivers, with TLS or without, and stops them in the end."""
    started: list[StoreScp] = []

    def start(tls: TlsServer | None = None, **settings) -> StoreScp:
        scp = StoreScp(ScpSettings(ae_title="REGION", tls=tls, **settings), handler)
        scp.start()
        started.append(scp)
        return scp

    yield start
    for scp in started:
        scp.stop(timedelta(seconds=2))


@pytest.fixture
def log() -> Iterator[StringIO]:
    with captured_log() as out:
        yield out


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "stranger")
