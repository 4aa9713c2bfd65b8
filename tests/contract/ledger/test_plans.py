"""What is asked again and again never walks through a whole table, whatever its size."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event

from dicom_node.instance import DeliveryState
from dicom_node.label import Label
from dicom_node.ledger import SqlLedger, open_ledger
from dicom_node.ports import When
from dicom_node.repair import LongestWaits
from dicom_node.standing import Standing
from tests.contract.ledger.racing import due, settled, to
from tests.servers.postgres import PostgresProcess
from tests.stories import LEASE, NOON, arrival

LATER = NOON + timedelta(days=1)
WAITS = LongestWaits(lease=LEASE, sending={"PACS": LEASE}, asking={"PACS": LEASE}, telling=LEASE)

ASKED_OFTEN: dict[str, Callable[[SqlLedger], object]] = {
    "add": lambda ledger: ledger.intake.add(arrival(9)),
    "find before adding": lambda ledger: ledger.intake.find("1.2.3.1", "a"),
    "claim work": lambda ledger: ledger.work.claim(worker="w", limit=4, now=NOON, lease=LEASE),
    "claim deliveries": due,
    "restore": lambda ledger: ledger.intake.restore(1, path="ab/1.dcm", now=NOON),
    "decided value": lambda ledger: ledger.work.decided_value(study_uid="1.2.1", series_uid="1.2.2", when=When.AT_ONCE),
    "delivered": lambda ledger: ledger.outbox.delivered(2, sent_uid="1.9", written=None, now=NOON),
    "postpone": lambda ledger: ledger.outbox.postpone(2, error="away", planned_at=NOON, due_at=NOON),
    "fail": lambda ledger: ledger.outbox.fail(2, error="refused", now=NOON),
    "plan": lambda ledger: ledger.outbox.plan(1, to("AI"), now=NOON),
    "requeue": lambda ledger: ledger.outbox.requeue(state=DeliveryState.FAILED, uids=["1.2.3.1"], now=NOON),
    "quiet studies": lambda ledger: ledger.studies.quiet(since=LATER),
    "settled of a study": lambda ledger: ledger.studies.settled("1.2.1"),
    "close a study": lambda ledger: ledger.studies.close("1.2.1", since=LATER, values={}, now=LATER),
    "label": lambda ledger: ledger.labels.add({"1.2.3.1": Label(region="hand", by="Dr. Ada", at=NOON)}),
    "decided": lambda ledger: ledger.studies.decided("1.2.1"),
    "here": lambda ledger: ledger.promises.here(["1.2.3.1"]),
    "put right": lambda ledger: ledger.repairs.put_right(now=NOON, waits=WAITS),
    "put studies right": lambda ledger: ledger.studies.put_right(now=NOON),
    "is empty": lambda ledger: ledger.records.is_empty(),
    "counts": lambda ledger: ledger.records.counts(),
    "oldest": lambda ledger: ledger.records.oldest_received(),
    "find": lambda ledger: ledger.records.find("1.2.1"),
    "settled": lambda ledger: ledger.records.settled(after_id=0, limit=4),
    **{
        f"images {standing}": lambda ledger, standing=standing: ledger.standings.images(standing, limit=1)
        for standing in Standing
    },
    "images failed there": lambda ledger: ledger.standings.images(Standing.FAILED, destination="PACS", limit=1),
    "images pending there": lambda ledger: ledger.standings.images(Standing.PENDING, destination="PACS", limit=1),
    "requeue there": lambda ledger: ledger.outbox.requeue(
        state=DeliveryState.FAILED, uids=[], destinations=["PACS"], now=NOON
    ),
    "give up": lambda ledger: ledger.outbox.give_up("PACS", error="given up", now=NOON),
    "retire": lambda ledger: ledger.records.retire(1, remove=lambda _: None, now=NOON),
    "let go": lambda ledger: ledger.records.let_go(1, remove=lambda _: None, now=NOON),
    "retired": lambda ledger: ledger.records.retired(before=LATER, limit=4),
}


@pytest.mark.parametrize("question", ASKED_OFTEN)
def test_the_database_answers_from_an_index(question: str, tmp_path: Path) -> None:
    """A partial index is passed over without a word when a query spells its condition in another way."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    settled(ledger, 1, deliveries=to("PACS", due=None))
    settled(ledger, 2, deliveries=to("PACS"))
    plans = explain(ledger._database._engine, lambda: ASKED_OFTEN[question](ledger))
    assert plans
    assert [step for step in plans if step.startswith("SCAN") and "INDEX" not in step and "CONSTANT" not in step] == []
    ledger.close()


@pytest.mark.server
def test_no_row_is_compared_with_a_whole_list(postgres: PostgresProcess) -> None:
    """PostgreSQL hashes the list of a NOT IN while that fits its memory; beyond it, it reads all of it for each row.

    So little memory is to thousands of images what its default is to hundreds of thousands.
    """
    url = postgres.new_database()
    ledger = open_ledger(url)
    settled(ledger, 1, deliveries=to("PACS", due=None))
    settled(ledger, 2, deliveries=to("PACS"))
    ledger.intake.add(arrival(3))
    with psycopg.connect(url, autocommit=True) as connection:
        wait_by_the_thousand(connection)
        connection.execute("SET work_mem = '64kB'")
        for question, ask in ASKED_OFTEN.items():
            asked = statements(ledger._database._engine, lambda ask=ask: ask(ledger))
            plans = [row[0] for sql, values in asked for row in connection.execute(f"EXPLAIN {sql}", values)]
            assert plans
            repeated = [step for above, step in pairwise(plans) if above.strip().startswith("SubPlan")]
            assert [step for step in repeated if "Materialize" in step] == [], question
    ledger.close()


def wait_by_the_thousand(connection: psycopg.Connection) -> None:
    """Adds images without a verdict, like the one that there is."""
    names = [row[0] for row in connection.execute("SELECT * FROM instances LIMIT 0").description or ()]
    values = {name: name for name in names} | {"id": "1000 + n", "digest": "n::text"}
    copies = f"SELECT {', '.join(values.values())} FROM instances, generate_series(1, 5000) n WHERE state = 'received'"
    connection.execute(f"INSERT INTO instances ({', '.join(names)}) {copies}".encode())
    connection.execute("ANALYZE")


def explain(engine: Engine, ask: Callable[[], object]) -> list[str]:
    """The steps of SQLite's plans for every statement that `ask` sends."""
    asked = statements(engine, ask)
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        return [row[3] for sql, values in asked for row in cursor.execute(f"EXPLAIN QUERY PLAN {sql}", values)]


def statements(engine: Engine, ask: Callable[[], object]) -> list[tuple[str, Any]]:
    """What `ask` sends to the database, other than begin and end, with the first values of each."""
    sent: list[tuple[str, Any]] = []
    event.listen(
        engine,
        "before_cursor_execute",
        lambda _c, _k, sql, values, _x, many: sent.append((sql, values[0] if many else values)),
    )
    ask()
    return [(sql, values) for sql, values in sent if sql.split()[0] in ("SELECT", "UPDATE", "INSERT")]
