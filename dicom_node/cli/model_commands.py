"""`model info`: what the model file says of itself."""

import json
from dataclasses import asdict

import typer
from rich.console import Console
from rich.table import Table

from dicom_node.cli.options import ConfigOption, JsonOption, read_config

app = typer.Typer(no_args_is_help=True, help="The model.")


@app.callback()
def _group() -> None:
    """Keeps `info` a command of its own."""


@app.command()
def info(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Name, version, regions, input, thresholds and training of the model that this node would run."""
    from dicom_node.node import open_model

    model = open_model(read_config(config))
    facts = {"model": model.model_id, **asdict(model.card)}
    if as_json:
        typer.echo(json.dumps(facts))
        return
    table = Table(show_header=False)
    for key, value in facts.items():
        table.add_row(key, value if isinstance(value, str) else json.dumps(value, indent=2))
    Console().print(table)
