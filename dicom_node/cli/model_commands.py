"""`model info`: what the model file says of itself."""

import json
from dataclasses import asdict

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dicom_node.cli.options import ConfigOption, JsonOption, read_config

app = typer.Typer(no_args_is_help=True, help="The model.")


@app.callback()
def _group() -> None:
    """Keeps `info` a command of its own."""


@app.command()
def info(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Regions, input, thresholds, rejection and origin of the model that this node would run; --json: all of it."""
    from dicom_node.model.short import short
    from dicom_node.node import open_model

    model = open_model(read_config(config))
    if as_json:
        typer.echo(json.dumps({"model": model.model_id, **asdict(model.card)}))
        return
    table = Table(show_header=False)
    for what, value in short(model.card, model.model_id):
        table.add_row(what, escape(value))
    Console().print(table)
