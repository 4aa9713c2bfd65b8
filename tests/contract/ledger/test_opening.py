"""Opening, migrating and refusing a database, and what its errors say."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, inspect, text

from dicom_node.errors import ConfigError, LedgerError
from dicom_node.ledger import SqlLedger, migrate, open_ledger
from dicom_node.ledger.engine import LIMITS, Database, read_url, translated
from dicom_node.ledger.intake import _QUEUE_UP
from dicom_node.ledger.opening import _MIGRATION_LOCK, VERSION_TABLE, _migrate
from dicom_node.ledger.schema import metadata
from dicom_node.ports import Ledger
from tests.contract.ledger.racing import race
from tests.servers.postgres import PostgresProcess
from tests.stories import arrival


def execute(url: str, *statements: str) -> None:
    engine = create_engine(read_url(url))
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def test_what_one_process_wrote_another_reads(url: str) -> None:
    first = open_ledger(url)
    first.intake.add(arrival())
    second: Ledger = open_ledger(url, create=False)
    (record,) = second.records.find("1.2.3.1")
    assert record.instance.received_at.utcoffset() == timedelta(0)
    first.close()
    second.close()


def test_the_migrations_yield_the_schema_that_the_queries_use(url: str) -> None:
    migrate(url)
    engine = create_engine(read_url(url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_migrations_yield_the_very_indexes_of_the_schema(url: str) -> None:
    """Alembic's comparison does not look at the conditions of partial indexes."""
    migrate(url)
    engine = create_engine(read_url(url))
    migrated = index_definitions(engine)
    metadata.drop_all(engine)
    metadata.create_all(engine)
    assert migrated == index_definitions(engine)
    assert "received" in migrated["ix_instances_received"]
    engine.dispose()


def index_definitions(engine: Engine) -> dict[str, str]:
    """Every index of our tables as the database itself describes it."""
    query = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
        "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    }[engine.dialect.name]
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(text(query))}


def test_migrating_tells_where_it_came_from(url: str) -> None:
    before, after = migrate(url)
    assert before is None
    assert migrate(url) == (after, after)


def test_processes_that_start_at_once_migrate_once(url: str) -> None:
    results = race(*[lambda: migrate(url) for _ in range(6)])
    assert [before for before, _ in results].count(None) == 1


def test_a_ledger_that_is_not_there_is_not_made_against_the_callers_will(url: str) -> None:
    with pytest.raises(LedgerError, match="dicom-node migrate"):
        open_ledger(url, create=False)
    assert migrate(url)[0] is None


def test_a_ledger_of_a_newer_version_is_refused(url: str) -> None:
    migrate(url)
    execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    for create in (True, False):
        with pytest.raises(LedgerError, match="newer version"):
            open_ledger(url, create=create)


@pytest.mark.parametrize("change", ["DROP COLUMN written", "ADD COLUMN unknown TEXT"])
def test_a_ledger_of_a_development_version_is_refused_with_a_way_out(url: str, change: str) -> None:
    """Its revision is ours, so that migrating would change nothing and be advised for ever."""
    migrate(url)
    execute(url, f"ALTER TABLE deliveries {change}")
    for create in (True, False):
        with pytest.raises(LedgerError, match="remove this ledger") as raised:
            open_ledger(url, create=create)
        assert "migrate`" not in str(raised.value)


def test_a_database_of_another_program_is_refused_and_left_alone(url: str) -> None:
    if url.startswith("sqlite"):
        Path(read_url(url).database or "").parent.mkdir()
    execute(url, "CREATE TABLE patients (id INTEGER)")
    with pytest.raises(ConfigError, match="other tables"):
        open_ledger(url)
    engine = create_engine(read_url(url))
    assert inspect(engine).get_table_names() == ["patients"]
    engine.dispose()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/name", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_cannot_work_is_refused_with_one_that_can(url: str) -> None:
    with pytest.raises(ConfigError, match="sqlite:///path"):
        open_ledger(url)


def test_an_option_that_postgresql_does_not_know_is_named() -> None:
    """Nothing would ever connect, and the service would be started again every five seconds."""
    with pytest.raises(ConfigError, match="no option 'sslmod'"):
        read_url("postgresql://node:secret@db/node?connect_timeout=5&sslmod=require")
    assert read_url("postgresql://node:secret@db/node?sslmode=require&options=-csearch_path%3Dx").query


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    file.write_bytes(b"certainly no database" * 100)
    with pytest.raises(ConfigError, match="no SQLite database"):
        open_ledger(f"sqlite:///{file}")


def test_a_folder_that_cannot_be_made_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "data", Path("/proc/nope")):
        with pytest.raises(ConfigError) as caught:
            open_ledger(f"sqlite:///{folder / 'ledger.sqlite'}")
        assert str(caught.value).startswith(f"The ledger's folder {folder} cannot be made (")
        assert "set node.data_dir, or [ledger] url" in str(caught.value)


def test_sqlite_is_set_to_lose_nothing(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    with ledger._database.writing() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        }
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    assert pragma == {"journal_mode": "wal", "synchronous": 2}
    ledger.close()


def test_a_ledger_whose_file_is_gone_is_not_ready(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    ledger = open_ledger(f"sqlite:///{file}")
    file.unlink()
    with pytest.raises(LedgerError, match="gone"):
        ledger.ready()
    ledger.close()


def test_errors_tell_neither_sql_nor_values(url: str) -> None:
    ledger = open_ledger(url)
    execute(url, "DROP TABLE events", "ALTER TABLE instances RENAME TO away")
    with pytest.raises(LedgerError, match="dicom-node migrate") as raised:
        ledger.intake.add(arrival(body_part="SECRET"))
    assert "SECRET" not in str(raised.value)
    assert "SELECT" not in str(raised.value)
    assert "SECRET" not in str(raised.value.__cause__)
    ledger.close()


def test_a_locked_sqlite_file_is_a_busy_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicom_node.ledger.engine.BUSY_SECONDS", 0.1)
    file = tmp_path / "ledger.sqlite"
    ledger = open_ledger(f"sqlite:///{file}")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="busy"):
        ledger.intake.add(arrival())
    other.execute("ROLLBACK")
    ledger.intake.add(arrival())
    other.close()
    ledger.close()


@pytest.mark.server
def test_a_server_that_went_away_is_found_again(postgres: PostgresProcess) -> None:
    ledger = open_ledger(postgres.new_database())
    ledger.ready()
    postgres.stop()
    try:
        with pytest.raises(LedgerError, match="PostgreSQL"):
            ledger.ready()
    finally:
        postgres.start()
    ledger.ready()
    ledger.close()


@pytest.mark.server
def test_a_database_that_does_not_exist_is_told_with_the_place_to_look(postgres: PostgresProcess) -> None:
    with pytest.raises(LedgerError, match="database name in"):
        open_ledger(postgres.url("nowhere"))


@pytest.mark.server
def test_postgres_commits_are_durable_whatever_the_server_prefers(postgres: PostgresProcess) -> None:
    url = postgres.new_database()
    execute(url, f'ALTER DATABASE "{read_url(url).database}" SET synchronous_commit = off')
    ledger = open_ledger(url)
    with ledger._database.writing() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
    ledger.close()


def held_up(database: Database, uid: str) -> Connection:
    """A receipt of that UID whose host lost power in the middle of its transaction."""
    connection = database._engine.connect()
    connection.execute(_QUEUE_UP, {"uid": uid})
    return connection


@pytest.mark.server
def test_a_host_that_lost_power_in_a_transaction_holds_up_nobody_for_long(postgres: PostgresProcess) -> None:
    url = postgres.new_database()
    ledger = open_ledger(url)
    dead = Database(url, limits={"idle_in_transaction_session_timeout": "300ms"})
    connection = held_up(dead, "1.2.3.1")
    assert not ledger.intake.add(arrival()).duplicate
    with pytest.raises(LedgerError, match="stood still"), translated():
        connection.execute(text("SELECT 1"))
    connection.close()
    dead.close()
    ledger.close()


@pytest.mark.server
def test_whoever_waits_too_long_for_another_is_told_that_the_ledger_is_busy(postgres: PostgresProcess) -> None:
    url = postgres.new_database()
    migrate(url)
    other, ledger = Database(url), SqlLedger(Database(url, limits={"lock_timeout": "200ms"}))
    connection = held_up(other, "1.2.3.1")
    with pytest.raises(LedgerError, match="busy"):
        ledger.intake.add(arrival())
    connection.close()
    assert not ledger.intake.add(arrival()).duplicate
    other.close()
    ledger.close()


@pytest.mark.server
def test_every_connection_to_postgres_has_the_limits_that_its_url_does_not_set(postgres: PostgresProcess) -> None:
    database = Database(f"{postgres.new_database()}?options=-c%20lock_timeout%3D7s")
    with database.reading() as connection:
        shown = {name: connection.scalar(text(f"SHOW {name}")) for name in LIMITS}
    database.close()
    assert shown == LIMITS | {"lock_timeout": "7s"}


@pytest.mark.server
def test_a_migration_waits_for_another_as_long_as_it_takes(postgres: PostgresProcess) -> None:
    database = Database(postgres.new_database(), limits={"lock_timeout": "100ms"})
    with psycopg.connect(postgres.url(read_url(str(database.url)).database or "")) as first:
        first.execute("SELECT pg_advisory_xact_lock(%s)", [_MIGRATION_LOCK])
        with ThreadPoolExecutor(1) as pool:
            second = pool.submit(_migrate, database)
            first.execute("SELECT pg_sleep(0.5)")
            assert not second.done()
            first.rollback()
            assert second.result(60)[0] is None
    database.close()
