"""The ledgers that the contract suite runs over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_node.ledger import open_ledger
from dicom_node.ports import Ledger
from dicom_node.testing import MemoryLedger
from tests.servers.postgres import PostgresProcess

POSTGRES = pytest.param("postgres", marks=pytest.mark.server)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresProcess]:
    """A PostgreSQL server for the whole run."""
    with PostgresProcess() as server:
        yield server


def _url(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'ledger.sqlite'}"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture(params=["sqlite", POSTGRES])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty ledger of each real kind can be made."""
    return _url(request.param, tmp_path, request)


@pytest.fixture(params=["memory", "sqlite", POSTGRES])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger of each kind."""
    opened = MemoryLedger() if request.param == "memory" else open_ledger(_url(request.param, tmp_path, request))
    yield opened
    opened.close()
