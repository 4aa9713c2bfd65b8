"""What a node has taken in and settled, as files to learn from, and what people say that it shows."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from dicom_node.config import find_config_file, load_config
from dicom_node.errors import ConfigError, LedgerError
from dicom_node.ledger import open_ledger
from dicom_node.media import MediaFile
from dicom_node.ports import Records
from dicom_node.record import InstanceRecord
from training.errors import TrainingError

PAGE = 1000


def ledger_files(ledger: str, spool: Path | None) -> list[tuple[MediaFile, str, str]]:
    """The settled objects whose files are still in the spool, each with the AE title that it came from and with what a
    person says that it shows, empty where nobody did.

    Args:
        ledger: the ledger's URL, or the node's configuration file (*.toml), which names ledger and spool.
        spool: the spool's folder, where `ledger` is a URL.

    Raises:
        TrainingError: the ledger cannot be read, or there is no spool.
    """
    url, folder = _places(ledger)
    folder = spool or folder
    if folder is None:
        raise TrainingError("A ledger's URL does not say where the files are: name the folder with --spool.")
    with _opened(url) as records:
        return [
            (_media(folder / record.instance.path), record.instance.calling_ae, _said(record))
            for record in _settled(records)
            if record.instance.spooled
        ]


def ledger_labels(ledger: str) -> dict[str, str]:
    """What people say that the settled objects show, by SOP Instance UID, empty where nobody did; the objects whose
    files are gone too.

    Raises:
        TrainingError: the ledger cannot be read.
    """
    said: dict[str, str] = {}
    with _opened(_places(ledger)[0]) as records:
        for record in _settled(records):
            # Of two contents under one UID, the later one may have come after the label.
            uid = record.instance.sop_instance_uid
            said[uid] = _said(record) or said.get(uid, "")
    return said


def _places(ledger: str) -> tuple[str, Path | None]:
    """The ledger's URL, and the spool where a configuration says it."""
    if not ledger.endswith(".toml"):
        return ledger, None
    try:
        config = load_config(find_config_file(Path(ledger)), os.environ)
    except ConfigError as error:
        raise TrainingError(str(error)) from error
    return config.ledger_url, config.spool_dir


@contextmanager
def _opened(url: str) -> Iterator[Records]:
    """Says which file it was that cannot be read: most often another one was meant. Another URL may hold a password."""
    which = f" The ledger is {url}." if url.startswith("sqlite:") else ""
    try:
        with closing(open_ledger(url, create=False)) as opened:
            yield opened.records
    except LedgerError as error:
        raise TrainingError(f"{error}{which}") from error


def _media(path: Path) -> MediaFile:
    return MediaFile(label=str(path), suffix=".dcm", opened=partial(_in_place, path), named=True)


def _in_place(path: Path) -> AbstractContextManager[Path]:
    return nullcontext(path)


def _settled(records: Records) -> Iterator[InstanceRecord]:
    after = 0
    while page := records.settled(after_id=after, limit=PAGE):
        yield from page
        after = page[-1].instance.id


def _said(record: InstanceRecord) -> str:
    return record.label.region if record.label else ""
