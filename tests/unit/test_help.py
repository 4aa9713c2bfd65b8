"""What `--help` says reaches the person at the terminal whole."""

import inspect
import re
from collections.abc import Iterator

import click
import pytest
import typer
from typer.testing import CliRunner

from dicom_node.cli import app


def commands(command: click.Command, *way: str) -> Iterator[tuple[str, ...]]:
    yield way
    for name, sub in getattr(command, "commands", {}).items():
        yield from commands(sub, *way, name)


@pytest.mark.parametrize("way", list(commands(typer.main.get_command(app))), ids=" ".join)
def test_nothing_in_brackets_is_taken_for_markup(way: tuple[str, ...]) -> None:
    """Rich swallows [tls], unless it is escaped."""
    command: click.Command = typer.main.get_command(app)
    for name in way:
        command = command.commands[name]
    written = [command.help or "", *(getattr(parameter, "help", None) or "" for parameter in command.params)]
    if command.callback is not None:
        written.append(inspect.getdoc(command.callback) or "")
    meant = {words for text in written for words in re.findall(r"\[+[a-z.]+\]+", text.replace("\\", ""))}
    shown = CliRunner().invoke(app, [*way, "--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}).stdout
    assert {words for words in meant if words not in shown} == set()
