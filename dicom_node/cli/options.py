"""What every command shares: the configuration option, and opening what a configuration names.

Heavy parts (database, model) are imported by the functions that need them, so that the other commands start at once.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_node.config import Config, find_config_file, load_config
from dicom_node.logs import configure_logging
from dicom_node.ports import Ledger

if TYPE_CHECKING:
    from dicom_node.eye import Eye

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="The configuration file; ./node.toml where it exists.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def read_config(path: Path | None) -> Config:
    """The configuration of file and environment; logging is set up by it. Raises ConfigError."""
    config = load_config(find_config_file(path), os.environ)
    configure_logging(form=config.log.format, level=config.log.level)
    return config


@contextmanager
def opened_ledger(config: Config) -> Iterator[Ledger]:
    """The configuration's ledger, brought up to date, closed afterwards. Raises LedgerError."""
    from dicom_node.ledger import open_ledger

    ledger = open_ledger(config.ledger_url)
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def opened_eye(config: Config) -> Iterator["Eye"]:
    """An eye with the configuration's model. Raises ModelError."""
    from dicom_node.node import open_eye

    with open_eye(config) as eye:
        yield eye
