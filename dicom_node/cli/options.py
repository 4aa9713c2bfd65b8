"""What every command shares: the configuration option, and opening what a configuration names.

Heavy parts (database, model, pydicom) are imported by the functions that need them, so that the other commands start
at once.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_node.cli.paths import named_path
from dicom_node.config import Config, find_config_file, load_config
from dicom_node.config.names import ae_title, host_name
from dicom_node.errors import ConfigError, LedgerError
from dicom_node.logs import configure_logging
from dicom_node.ports import Ledger

if TYPE_CHECKING:
    from dicom_node.eye import Eye
    from dicom_node.spool import Spool

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        parser=named_path,
        help="The configuration file; ./node.toml where it exists.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def checked_ae_title(text: str | None) -> str | None:
    """Callback of options that take an AE title, as the configuration does."""
    return None if text is None else _checked(ae_title, text)


def checked_host(text: str) -> str:
    """Callback of arguments that take a host, as the configuration does."""
    return _checked(host_name, text)


def _checked(read: Callable[[str], str], text: str) -> str:
    try:
        return read(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def read_config(path: Path | None) -> Config:
    """The configuration of file and environment; logging is set up by it. Raises ConfigError."""
    config = load_config(find_config_file(path), os.environ)
    configure_logging(form=config.log.format, level=config.log.level)
    return config


@contextmanager
def opened_ledger(config: Config, *, create: bool) -> Iterator[Ledger]:
    """The configuration's ledger, closed afterwards. Raises LedgerError.

    With `create` it is made and brought up to date, and a new file is named; without, it has to be there already, for
    commands that only look at it or that would find nothing to do.
    """
    from dicom_node.ledger import open_ledger

    new = is_new_file(config) and create  # asked first: it names a file that cannot be reached
    try:
        ledger = open_ledger(config.ledger_url, create=create)
    except LedgerError as error:
        if create:
            raise
        raise _not_there(config, error) from error
    if new:
        same = "the same configuration and working directory" if _is_relative(config) else "the same configuration"
        typer.echo(f"there was no ledger yet: made {_file_of(config)}; a node with {same} works on it", err=True)
    try:
        yield ledger
    finally:
        ledger.close()


def refuse_stray_ledger(config: Config, file: Path | None) -> None:
    """Raise ConfigError where no ledger is there yet, and one that is made would most likely not be the node's: its
    path is relative to the working directory, which is not the folder of the configuration's file. Raises LedgerError.
    """
    ledger = _file_of(config)
    if ledger is None or file is None or not _is_relative(config) or _is_there(ledger):
        return
    if file.resolve().parent != Path.cwd():
        raise ConfigError(
            f"there is no ledger {ledger}, and a node that is started beside {file} would not look for it there: its "
            "path is relative to the working directory; give this command in the node's, or write the whole path into "
            "the configuration"
        )


def spool_to_read(config: Config, ledger: Ledger) -> "Spool":
    """The spool, for commands that look at its files. Raises WrongLedgerError where the ledger has another one, and
    OutOfResourcesError where it is not there.
    """
    from dicom_node.spool import Spool

    spool = Spool(config.spool_dir, config.node.disk_reserve)
    belongs = ledger.repairs.spool()
    if belongs is not None:
        spool.check_is(belongs)
    return spool


def is_new_file(config: Config) -> bool:
    """Whether the ledger is a file that has to be made first. Raises LedgerError."""
    file = _file_of(config)
    return file is not None and not _is_there(file)


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError as error:
        raise LedgerError(
            f"the ledger {file} cannot be reached ({error.strerror}): give this command as the node's user"
        ) from error


def _not_there(config: Config, error: LedgerError) -> LedgerError:
    """Says which ledger it was: most often the command was given in the wrong folder."""
    from dicom_node.cli.ledger_url import shown_url
    from dicom_node.ledger.engine import read_url

    file = _file_of(config)
    if file is None:
        return LedgerError(f"{error} The ledger is {shown_url(read_url(config.ledger_url))}.")
    if _is_there(file):
        return LedgerError(f"{error} The ledger is {file}.")
    if _is_relative(config):
        advice = "its path is relative to the working directory; give this command in the node's, or start the node"
    else:
        advice = "start the node first, or name another configuration with --config"
    return LedgerError(f"there is no ledger {file}: {advice}")


def _file_of(config: Config) -> Path | None:
    """The file of an SQLite ledger; None: it is on PostgreSQL. Raises LedgerError for a URL that is neither."""
    from dicom_node.ledger.engine import read_url

    url = read_url(config.ledger_url)
    return Path(url.database or "").resolve() if url.get_backend_name() == "sqlite" else None


def _is_relative(config: Config) -> bool:
    """Whether the file of an SQLite ledger is another one in each working directory."""
    from dicom_node.ledger.engine import read_url

    url = read_url(config.ledger_url)
    return url.get_backend_name() == "sqlite" and not Path(url.database or "").is_absolute()


@contextmanager
def opened_eye(config: Config) -> Iterator["Eye"]:
    """An eye with the configuration's model. Raises ModelError."""
    from dicom_node.node import open_eye

    with open_eye(config) as eye:
        yield eye
