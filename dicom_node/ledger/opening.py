"""Open a ledger, and bring its tables to the state that this version of the software knows."""

from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, delete, func, inspect, select

from dicom_node.errors import LedgerError, WrongLedgerError
from dicom_node.ledger.commitments import SqlCommitments
from dicom_node.ledger.engine import Database
from dicom_node.ledger.intake import SqlIntake
from dicom_node.ledger.labels import SqlLabels
from dicom_node.ledger.outbox import SqlOutbox
from dicom_node.ledger.promises import SqlPromises
from dicom_node.ledger.records import SqlRecords
from dicom_node.ledger.repairs import SqlRepairs
from dicom_node.ledger.schema import jobs, metadata
from dicom_node.ledger.standings import SqlStandings
from dicom_node.ledger.studies import SqlStudies
from dicom_node.ledger.work import SqlWork

# A name of our own, so that a database of another program that uses Alembic is not taken for ours.
VERSION_TABLE = "ledger_version"

_MIGRATION_LOCK = 0x52454749  # any number that is the same for all our processes


class SqlLedger:
    """Implements `dicom_node.ports.Ledger` on SQLite and PostgreSQL; safe for any number of threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.intake = SqlIntake(database)
        self.work = SqlWork(database)
        self.outbox = SqlOutbox(database)
        self.commitments = SqlCommitments(database)
        self.promises = SqlPromises(database)
        self.studies = SqlStudies(database)
        self.labels = SqlLabels(database)
        self.records = SqlRecords(database)
        self.standings = SqlStandings(database)
        self.repairs = SqlRepairs(database)

    def ready(self) -> None:
        """Raise LedgerError unless the ledger can be read and written now."""
        if self._database.file is not None and not self._database.file.exists():
            raise LedgerError("The ledger's file is gone: stop the node and put it back.")
        with self._database.writing() as connection:
            connection.execute(delete(jobs).where(jobs.c.name == ""))

    def close(self) -> None:
        """Let go of every connection."""
        self._database.close()


def open_ledger(url: str, *, create: bool = True) -> SqlLedger:
    """Open the ledger at a URL (sqlite:///path or postgresql://...), making or migrating its tables first.

    With `create` False nothing is made or migrated. Raises LedgerError when the ledger cannot be reached, or (with
    `create` False) is not there yet or is from an older version; WrongLedgerError when it is newer than this software,
    or what is there is no ledger of ours; ConfigError when the URL is not understood.
    """
    database = Database(url)
    try:
        if create:
            _migrate(database)
        else:
            _require_current(database)
    except BaseException:
        database.close()
        raise
    return SqlLedger(database)


def migrate(url: str) -> tuple[str | None, str]:
    """Bring the tables up to date; returns the revisions before (None: there were no tables) and after."""
    database = Database(url)
    try:
        return _migrate(database)
    finally:
        database.close()


def _migrate(database: Database) -> tuple[str | None, str]:
    database.make_room()
    with as_file(files("dicom_node.ledger") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        head = _head(config)
        # One process migrates, the others wait here and then find it done.
        with database.writing() as connection:
            if connection.dialect.name == "postgresql":
                for limit in ("lock_timeout", "idle_in_transaction_session_timeout"):
                    connection.execute(select(func.set_config(limit, "0", True)))
                connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            before = _revision(connection, config)
            if before != head:
                config.attributes.update(connection=connection, version_table=VERSION_TABLE)
                command.upgrade(config, "head")
            _require_our_columns(connection)
    return before, head


def _require_current(database: Database) -> None:
    if database.file is not None and not database.file.exists():
        raise LedgerError("There is no ledger yet: start the node once, or run `dicom-node migrate`.")
    with as_file(files("dicom_node.ledger") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        with database.reading() as connection:
            if _revision(connection, config) != _head(config):
                raise LedgerError("The ledger's tables are missing or from an older version: run `dicom-node migrate`.")
            _require_our_columns(connection)


def _require_our_columns(connection: Connection) -> None:
    """Raise WrongLedgerError for tables of a state between two versions, which no migration helps."""
    reflected = inspect(connection).get_multi_columns()
    found = {name: {column["name"] for column in columns} for (_, name), columns in reflected.items()}
    if any(found.get(table.name) != set(table.columns.keys()) for table in metadata.tables.values()):
        raise WrongLedgerError(
            "The ledger's tables are not those of this version, though their revision is: a development version made "
            "them. Install that one again, or remove this ledger and let the node make a new one."
        )


def _head(config: Config) -> str:
    head = ScriptDirectory.from_config(config).get_current_head()
    assert head is not None, "the package holds at least one migration"
    return head


def _revision(connection: Connection, config: Config) -> str | None:
    """The revision of the tables, None for an empty database. Raises WrongLedgerError: it is not for us."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    revision = context.get_current_revision()
    if revision is None and inspect(connection).get_table_names():
        raise WrongLedgerError(
            "This database holds other tables and no ledger: set [ledger] url to an empty database of its own."
        )
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise WrongLedgerError(
            f"The ledger's tables (revision {revision}) are from a newer version of this software: install that one."
        )
    return revision
