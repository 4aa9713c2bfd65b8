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
    """Validate the configuration, and show what follows from it."""
    settings = read_config(config)
    table = Table(show_header=False)
    table.add_row("listens on", f"{settings.node.host}:{settings.node.port}, AE title {settings.node.ae_title}")
    table.add_row("web", f"http://{settings.web.host}:{settings.web.port}" if settings.web.enabled else "off")
    table.add_row("data", str(settings.node.data_dir))
    table.add_row("model", str(settings.model.path or "the starter model"))
    for destination in settings.destinations:
        way = f"{destination.ae_title}@{destination.host}:{destination.port}"
        table.add_row(f"destination {destination.name}", f"{way}, {destination.mode}, {destination.when}")
    for rule in settings.rules:
        table.add_row(f"rule {rule.name}", f"sends to {', '.join(rule.send_to)}")
    Console().print(table)
    typer.echo("the configuration is valid")
