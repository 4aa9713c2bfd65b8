"""What a node has taken in and settled, as files to learn from."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from pathlib import Path

from dicom_node.config import find_config_file, load_config
from dicom_node.errors import ConfigError, LedgerError
from dicom_node.ledger import open_ledger
from dicom_node.media import MediaFile
from dicom_node.ports import Records
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
    try:
        url, folder = _places(ledger, spool)
        with closing(open_ledger(url, create=False)) as opened:
            return [
                (MediaFile(label=str(path), suffix=".dcm", opened=partial(_in_place, path), named=True), source, region)
                for relative, source, region in _settled(opened.records)
                for path in [folder / relative]
            ]
    except (ConfigError, LedgerError) as error:
        raise TrainingError(str(error)) from error


def _places(ledger: str, spool: Path | None) -> tuple[str, Path]:
    if not ledger.endswith(".toml"):
        if spool is None:
            raise TrainingError("A ledger's URL does not say where the files are: name the folder with --spool.")
        return ledger, spool
    config = load_config(find_config_file(Path(ledger)), os.environ)
    return config.ledger_url, spool or config.spool_dir


def _in_place(path: Path) -> AbstractContextManager[Path]:
    return nullcontext(path)


def _settled(records: Records) -> Iterator[tuple[str, str, str]]:
    after = 0
    while page := records.settled(after_id=after, limit=PAGE):
        for record in page:
            if record.instance.spooled:
                region = record.label.region if record.label else ""
                yield record.instance.path, record.instance.calling_ae, region
        after = page[-1].instance.id
