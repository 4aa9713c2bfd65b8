"""Connections to the ledger's database, its transactions, and the one place where its errors become LedgerError."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, exc, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection

from dicom_node.errors import ConfigError, LedgerError, UnstorableError, WrongLedgerError, is_of_the_path

BUSY_SECONDS = 30
# On PostgreSQL, unless the URL's options say otherwise: a host that lost power keeps its locks no longer than this, and
# nobody waits for ever for those of somebody who is merely slow. Migrations take as long as they take.
LIMITS = {
    "idle_in_transaction_session_timeout": "30s",
    "lock_timeout": "25s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
BUSY = "The ledger is busy: somebody has been writing to it for too long. Try again."

T = TypeVar("T")


class Database:
    """One ledger's database, for any number of threads.

    Open it once per process: connections do not survive a fork.
    """

    def __init__(self, url: str, *, limits: Mapping[str, str] = LIMITS) -> None:
        """`limits`: what each connection to PostgreSQL is set up with."""
        self.url = read_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        # Threads that want to write to SQLite queue here, and not in its busy handler, which sleeps and polls.
        self._writers = threading.Lock() if self.is_sqlite else None
        with translated():
            self._engine = _sqlite_engine(self.url) if self.is_sqlite else _postgres_engine(self.url, limits)
        # PostgreSQL: all that one read asks for comes from one moment, as it does on SQLite anyway.
        self._reader = (
            self._engine
            if self.is_sqlite
            else self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        )
        self._writer = self._engine.execution_options(begin="BEGIN IMMEDIATE")

    @property
    def file(self) -> Path | None:
        """The SQLite file; None on PostgreSQL."""
        return Path(self.url.database or "") if self.is_sqlite else None

    def make_room(self) -> None:
        """Make an SQLite ledger's folder, and let its readers and its writer work side by side (WAL).

        Raises ConfigError where there can be no such folder, WrongLedgerError where the file is something else,
        LedgerError.
        """
        if self.file is None:
            return
        _make_folder(self.file.parent)
        with translated(), self._engine.connect() as connection:
            _turn_to_wal(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view. Raises LedgerError."""
        with translated(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is durable when the context ends, and undone when it ends with an exception.

        On SQLite it takes the write lock at once: a read that turned into a write could not wait for another writer.
        Raises LedgerError.
        """
        with translated(), self._turn(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self._writers is None:
            yield
            return
        if not self._writers.acquire(timeout=BUSY_SECONDS):
            raise LedgerError(BUSY)
        try:
            yield
        finally:
            self._writers.release()

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._engine.dispose()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        kind = ConfigError if is_of_the_path(error) else LedgerError
        raise kind(
            f"The ledger's folder {folder} cannot be made ({error.strerror}): set node.data_dir, or [ledger] url, to "
            "a place that can be written."
        ) from error


def read_url(url: str) -> URL:
    """A ledger's URL, with the driver that we use. Raises ConfigError, without the URL: it may hold a password."""
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (exc.ArgumentError, ValueError):
        parsed, backend = None, ""
    if parsed is not None and backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
            raise ConfigError("An SQLite ledger needs a file: set [ledger] url to sqlite:///path/to/ledger.sqlite.")
        return parsed.set(drivername="sqlite")
    if parsed is not None and backend in ("postgresql", "postgres"):
        _check_options(parsed)
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigError(
        "[ledger] url is not understood: use sqlite:///path/to/ledger.sqlite or postgresql://user:password@host/name."
    )


def _check_options(url: URL) -> None:
    from psycopg.pq import Conninfo  # who has SQLite needs no libpq

    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    for name in url.query:
        if name not in known:
            raise ConfigError(
                f"[ledger] url: PostgreSQL knows no option {name!r}: correct what stands behind the ?, as in "
                "?sslmode=require."
            )


def insert_into(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT with ON CONFLICT, which both databases have but SQLAlchemy spells per dialect."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def in_portions(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values in lists short enough for an IN clause (SQLite takes 32,766 parameters a statement)."""
    return (values[start : start + 5000] for start in range(0, len(values), 5000))


def _turn_to_wal(connection: Connection) -> None:
    # Outside a transaction, hence on the driver's connection. The file remembers it.
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    raw.execute("PRAGMA journal_mode = WAL")


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS}, pool_timeout=BUSY_SECONDS)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        # We begin transactions ourselves (below); the driver would begin them late, and never IMMEDIATE.
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))

    return engine


def _postgres_engine(url: URL, limits: Mapping[str, str]) -> Engine:
    # A server that vanished without a word is noticed within seconds, not after TCP's quarter of an hour.
    patience: dict[str, Any] = {"connect_timeout": 10, "tcp_user_timeout": 30_000}
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_timeout=BUSY_SECONDS,
        connect_args={key: value for key, value in patience.items() if key not in url.query},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: DBAPIConnection, _record: object) -> None:
        # What is acknowledged must be on disk, also on a server that is set up to be fast and forgetful.
        cursor = connection.cursor()
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        cursor.execute(
            "SELECT set_config(name, ours.value, false)"
            " FROM pg_settings JOIN unnest(%s::text[], %s::text[]) AS ours(name, value) USING (name)"
            " WHERE source <> 'client'",
            (list(limits), list(limits.values())),
        )
        cursor.close()
        connection.commit()

    return engine


@contextmanager
def translated() -> Iterator[None]:
    """Turn whatever the database or its driver raises into LedgerError, and what it raises about values into
    UnstorableError.

    The message tells what to do and holds neither SQL nor values; the cause stays attached for a debugger.
    """
    try:
        yield
    except (exc.DataError, exc.IntegrityError) as error:
        raise UnstorableError(_advice(error)) from error
    except exc.SQLAlchemyError as error:
        kind = WrongLedgerError if _is_no_database(error) else LedgerError
        raise kind(_advice(error)) from error
    except (OSError, UnicodeError) as error:
        raise LedgerError(f"The ledger cannot be used ({type(error).__name__}): check its file and folder.") from error


# What SQLite's messages mean to the person who runs the node; the first that is found counts.
_SQLITE_ADVICE = (
    ("locked", BUSY),
    ("full", "The ledger's disk is full: free some space."),
    ("readonly", "The ledger's file cannot be written: check the owner and permissions of it and its folder."),
    ("unable to open", "The ledger's file cannot be opened: check that its folder exists and may be written."),
    ("not a database", "The ledger's file is no SQLite database: set [ledger] url to another file."),
    ("malformed", "The ledger's file is damaged: stop the node and restore it from a backup."),
    ("i/o error", "The ledger's disk reports an error: check the disk."),
    ("no such table", "The ledger's tables are missing: run `dicom-node migrate`."),
    ("no such column", "The ledger's tables are from another version: run `dicom-node migrate`."),
)

# The same for PostgreSQL, by the start of SQLSTATE (PostgreSQL documentation, appendix A).
_POSTGRES_ADVICE = (
    ("42501", "PostgreSQL does not give the ledger's user the rights to its tables: grant them."),
    ("42", "The ledger's tables are missing or from another version: run `dicom-node migrate`."),
    ("25P03", "PostgreSQL ended this because it stood still for too long: try again."),
    ("55P03", BUSY),
    ("25006", "PostgreSQL takes no writes here, as a replica does: point [ledger] url at the primary server."),
    ("53100", "PostgreSQL's disk is full: free some space on the database server."),
    ("53", "PostgreSQL has no resources left, perhaps too many connections: raise max_connections, or wait."),
    ("57", "PostgreSQL is shutting down or starting: try again when it runs."),
    ("40", "PostgreSQL undid this because of a competing write: try again."),
)


def _is_no_database(error: exc.SQLAlchemyError) -> bool:
    origin = getattr(error, "orig", None)
    return isinstance(origin, sqlite3.Error) and origin.sqlite_errorcode == sqlite3.SQLITE_NOTADB


def _advice(error: exc.SQLAlchemyError) -> str:
    if isinstance(error, exc.TimeoutError):
        return "The ledger is busy: every connection to it is in use. Try again, or allow fewer associations at once."
    origin = getattr(error, "orig", None)
    if isinstance(origin, sqlite3.Error):
        told = str(origin).lower()
        known = (advice for sign, advice in _SQLITE_ADVICE if sign in told)
        return next(known, f"The ledger refused this ({type(origin).__name__}): see the log, and report it.")
    state = getattr(origin, "sqlstate", None) or ""
    if isinstance(error, exc.OperationalError | exc.InterfaceError) and not state:
        # A refused log-in brings no SQLSTATE either, and its text is in the server's language.
        return (
            "PostgreSQL cannot be reached or does not let us in: check that the server runs, "
            "and host, port, user, password and database name in [ledger] url."
        )
    known = (advice for prefix, advice in _POSTGRES_ADVICE if state.startswith(prefix))
    return next(known, f"The ledger refused this ({state or type(error).__name__}): see the log, and report it.")
