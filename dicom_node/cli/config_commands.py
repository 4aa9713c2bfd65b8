"""`config check`: is the configuration usable?"""

import typer
from rich.console import Console
from rich.table import Table

from dicom_node.cli.options import ConfigOption, read_config

app = typer.Typer(no_args_is_help=True, help="The configuration.")


@app.callback()
def _group() -> None:
    """Keeps `check` a command of its own."""


@app.command()
def check(config: ConfigOption = None) -> None:
    """Validate the configuration, the model file and the ledger's address, and show what follows from them."""
    from dicom_node.ledger.engine import read_url
    from dicom_node.node import open_model

    settings = read_config(config)
    model = open_model(settings)
    ledger = read_url(settings.ledger_url).render_as_string(hide_password=True)
    table = Table(show_header=False)
    table.add_row("listens on", f"{settings.node.host}:{settings.node.port}, AE title {settings.node.ae_title}")
    table.add_row("web", f"http://{settings.web.host}:{settings.web.port}" if settings.web.enabled else "off")
    table.add_row("data", str(settings.node.data_dir))
    table.add_row("ledger", ledger)
    table.add_row("model", model.model_id)
    for destination in settings.destinations:
        way = f"{destination.ae_title}@{destination.host}:{destination.port}"
        table.add_row(f"destination {destination.name}", f"{way}, {destination.mode}, {destination.when}")
    for rule in settings.rules:
        table.add_row(f"rule {rule.name}", f"sends to {', '.join(rule.send_to)}")
    Console().print(table)
    typer.echo("the configuration is valid")
