"""Nothing acknowledged is ever lost: acknowledged = stored = forwarded, byte for byte, whatever dies meanwhile.

These are the short runs; `make faults` makes the long ones, and docs/FAULTS.md has what they came to.
"""

import os
from pathlib import Path

import pytest

from tests.faults.runs import node_kills, pacs_trouble, postgres_kills
from tests.faults.table import Row

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(400)]

SEED = int(os.environ.get("FAULTS_SEED", "7"))
KILLS = int(os.environ.get("FAULTS_KILLS", "20"))


def check(rows: list[Row]) -> None:
    for row in rows:
        assert row.account.wrong == []
        assert row.account.acknowledged > 20
        assert row.account.balanced


def test_processes_of_the_node_that_are_killed_lose_and_double_nothing(tmp_path: Path) -> None:
    check(node_kills(tmp_path, kills=KILLS, seed=SEED))


def test_a_postgres_that_is_killed_under_the_node_loses_and_doubles_nothing(tmp_path: Path) -> None:
    check(postgres_kills(tmp_path, kills=4, seed=SEED))


def test_pacs_that_are_away_or_misbehave_have_everything_in_the_end(tmp_path: Path) -> None:
    check(pacs_trouble(tmp_path, rounds=2, seed=SEED, objects=30))
