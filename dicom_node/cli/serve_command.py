"""`dicom-node serve`: the node as a process."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from dicom_node.cli.options import ConfigOption, read_config
from dicom_node.cli.output import print_if_possible


def serve(
    adopt: Annotated[
        bool,
        typer.Option(
            "--adopt", help="Although the ledger is empty, take in all images of the spool, and send them again."
        ),
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Run the node until SIGTERM or Ctrl-C; it then finishes what is in hand and exits with 0."""
    from dicom_node.ending import Ending

    ending = Ending(signal.SIGTERM, signal.SIGINT)  # first of all: what follows takes seconds on a busy machine
    from dicom_node.background import switch_often
    from dicom_node.config.folders import check_data_dir, check_ledger_file
    from dicom_node.ledger.engine import read_url
    from dicom_node.node import Node

    settings = read_config(config)
    check_data_dir(settings)
    ledger = read_url(settings.ledger_url)
    if ledger.get_backend_name() == "sqlite":
        check_ledger_file(Path(ledger.database or ""))
    switch_often()
    with Node.running(settings, adopt=adopt) as node:
        print_if_possible(node.greeting())
        ending.wait()
