"""The fault runs by name, each of any size."""

from pathlib import Path

from tests.faults.kills import run_kills
from tests.faults.pacs_trouble import run_pacs_trouble
from tests.faults.postgres_kills import run_postgres_kills
from tests.faults.table import Row, counted


def node_kills(folder: Path, *, kills: int, seed: int) -> list[Row]:
    """kill -9 of node, receivers, or both."""
    done = run_kills(folder, kills=kills, seed=seed)
    return [
        Row(
            run="kill -9 of our processes",
            faults=f"{counted(done.kills)}; {done.reports} reports of storage commitment",
            account=done.account,
            unanswered=done.unanswered,
            seconds=done.seconds,
            drain_seconds=done.drain_seconds,
        )
    ]


def postgres_kills(folder: Path, *, kills: int, seed: int) -> list[Row]:
    """PostgreSQL killed under the node."""
    done = run_postgres_kills(folder, kills=kills, seed=seed)
    return [
        Row(
            run="PostgreSQL away",
            faults=counted(done.kills),
            account=done.account,
            unanswered=done.unanswered,
            seconds=done.seconds,
            drain_seconds=done.drain_seconds,
        )
    ]


def pacs_trouble(folder: Path, *, rounds: int, seed: int, objects: int) -> list[Row]:
    """PACS that misbehave, and that are not there."""
    done = run_pacs_trouble(folder, rounds=rounds, seed=seed, objects=objects)
    faults = {
        "PACS with bad manners": f"{done.moods} spells of A700, hanging, dropping before or after it kept the object",
        "Orthanc down": f"down at first, {done.restarts} x stopped or killed",
    }
    return [
        Row(
            run=run,
            faults=text,
            account=account,
            unanswered=0,
            seconds=done.seconds,
            drain_seconds=done.drain_seconds,
        )
        for (run, text), account in zip(faults.items(), (done.bad, done.orthanc), strict=True)
    ]
