"""The Typer application: its commands, and how errors reach the person at the terminal."""

import os
import sys
from contextlib import suppress

import typer

from dicom_node import __version__
from dicom_node.cli import (
    config_commands,
    echo_command,
    file_commands,
    health_command,
    label_command,
    ledger_commands,
    let_go_command,
    list_command,
    model_commands,
    requeue_commands,
    rule_commands,
    serve_command,
)
from dicom_node.cli.output import print_any_name, sentence_of
from dicom_node.errors import ConfigError, NodeError

# What no file or folder that a command makes allows: the group to write, others anything.
MOST_OPEN = 0o027

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A DICOM node that knows which body region a radiograph shows.",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),  # noqa: ARG001 - its callback answers
) -> None:
    """Shown by --help; the commands do the work."""
    # Images and ledger are for the node's user, and its group to read; a umask that allows less is left as it is.
    os.umask(os.umask(MOST_OPEN) | MOST_OPEN)


app.command("serve")(serve_command.serve)
app.command("classify")(file_commands.classify)
app.command("import")(file_commands.import_)
app.command("send")(file_commands.send)
app.command("echo")(echo_command.echo)
app.command("health")(health_command.health)
app.command("status")(ledger_commands.status)
app.command("list")(list_command.list_images)
app.command("show")(ledger_commands.show)
app.command("label")(label_command.label)
app.command("requeue")(requeue_commands.requeue)
app.command("give-up")(requeue_commands.give_up)
app.command("let-go")(let_go_command.let_go)
app.command("migrate")(ledger_commands.migrate_schema)
app.add_typer(rule_commands.app, name="rules")
app.add_typer(config_commands.app, name="config")
app.add_typer(model_commands.app, name="model")


def main() -> None:
    """Run a command. Exit status: 0 done, 1 some paths could not be processed or the command failed, 2 wrong usage or
    configuration: trying again cannot help (RestartPreventExitStatus= of deploy/region-node.service).
    """
    print_any_name()
    try:
        app()
    except NodeError as error:
        _end(str(error), 2 if isinstance(error, ConfigError) else 1)
    except OSError as error:
        _end(sentence_of(error), 1)


def _end(sentence: str, status: int) -> None:
    with suppress(OSError):  # where nobody can be told
        typer.echo(f"error: {sentence}", err=True)
    sys.exit(status)
