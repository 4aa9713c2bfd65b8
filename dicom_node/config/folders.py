"""Whether the folders that a configuration names can be written, before the node trips over them."""

import os
from pathlib import Path
from tempfile import TemporaryFile

from dicom_node.config.sections import Config
from dicom_node.errors import ConfigError, StartError, is_of_the_path
from dicom_node.owner import account_of

# How each database begins; one that nothing was written into yet is an empty file.
# https://www.sqlite.org/fileformat2.html section 1.3
SQLITE = b"SQLite format 3\0"


def check_data_dir(config: Config) -> None:
    """Raise ConfigError or, where it may pass, StartError unless spool and ledger can be written or made."""
    check_folder("node.data_dir", config.node.data_dir)
    check_folder("node.data_dir", config.spool_dir)


def refuse_for_another(config: Config) -> None:
    """Raise ConfigError where root would leave files in the spool of another account, which could not read them."""
    spool = config.spool_dir
    if os.geteuid() != 0:
        return
    try:
        with TemporaryFile(dir=spool) as file:
            # What is made, and not who makes it: some shares give all files to one account.
            made, theirs = os.fstat(file.fileno()).st_uid, spool.stat().st_uid
    except OSError:  # there is none yet, or what opens it tells what is wrong
        return
    if made != theirs:
        account = account_of(spool)
        raise ConfigError(
            f"{spool} belongs to {account}, and the node could not read what root puts there: give this command as "
            f"that account (sudo -u '{account}' dicom-node ...)"
        )


def check_audit_file(config: Config) -> None:
    """Raise ConfigError or, where it may pass, StartError unless the audit trail's file can be written or made."""
    file = config.audit.file
    if file is None:
        return
    check_folder("audit.file", file.parent)
    try:
        if file.exists():
            file.open("ab").close()
    except OSError as error:
        raise _unwritable("audit.file", file, error) from error


def check_ledger_file(file: Path) -> None:
    """Raise ConfigError or, where it may pass, StartError unless there is an SQLite database, or can be one.

    Not for a process that has opened it already: closing any descriptor of a file gives up all the locks that the
    process has on it (POSIX), SQLite's as well.
    """
    check_folder("ledger.url", file.parent)
    try:
        if not file.exists():
            return
        if not file.is_file():
            raise ConfigError(f"ledger.url: {file} is no file: name one, such as ledger.sqlite in a folder")
        with file.open("r+b") as opened:
            start = opened.read(len(SQLITE))
    except OSError as error:
        raise _unwritable("ledger.url", file, error) from error
    if start not in (b"", SQLITE):
        raise ConfigError(f"ledger.url: {file} is no SQLite database: name another file, or one that is not there yet")


def check_folder(key: str, folder: Path) -> None:
    """Raise ConfigError or, where it may pass, StartError, naming key and folder, unless it can be written or made.

    Of a folder that is not there yet, the nearest one above it that is; what is tried leaves nothing behind.
    """
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise _unwritable(key, folder, error) from error


def _unwritable(key: str, path: Path, error: OSError) -> ConfigError | StartError:
    kind = ConfigError if is_of_the_path(error) else StartError
    return kind(
        f"{key}: {path} cannot be written ({error.strerror}): name another place, or let the node's user write there"
    )
