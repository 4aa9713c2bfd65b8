"""`python -m training`: one command per step, each reads its data and leaves a run folder."""

import contextlib
import functools
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import typer
from rich.console import Console

from dicom_node.errors import ModelError
from training.alone import alone_in
from training.commands.audit import audit
from training.commands.calibrate import calibrate
from training.commands.cluster import cluster
from training.commands.ensemble import ensemble
from training.commands.evaluate import evaluate
from training.commands.explain import explain
from training.commands.export import export
from training.commands.low_label import low_label
from training.commands.prepare import prepare
from training.commands.pretrain import pretrain
from training.commands.probe import probe
from training.commands.report import report
from training.commands.simulate import simulate
from training.errors import TrainingError


def _alone(command: Callable[..., None]) -> Callable[..., None]:
    """The same command, which does not begin while another one writes to its --out. Of several processes of one run,
    which torchrun numbers, the first one writes.
    """

    @functools.wraps(command)
    def run(*, out: Path, **options: object) -> None:
        writes = int(os.environ.get("RANK", "0")) == 0
        with alone_in(out) if writes else contextlib.nullcontext():
            command(out=out, **options)

    return run


app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
for _command in (
    simulate,
    prepare,
    pretrain,
    probe,
    calibrate,
    cluster,
    audit,
    explain,
    export,
    evaluate,
    ensemble,
    low_label,
    report,
):
    app.command()(_alone(_command))

SPREAD = ("--data", "--from", "--per-region", "--share")


def _spread(arguments: list[str]) -> list[str]:
    """Let `--data A B` stand for `--data A --data B`, as a shell's wildcard gives it."""
    spread: list[str] = []
    option, inside = "", False
    for argument in arguments:
        if argument.startswith("-"):
            option, inside = argument, argument in SPREAD
        elif inside and spread[-1] != option:
            spread.append(option)
        spread.append(argument)
    return spread


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; what the user can mend ends in one sentence and status 2. Always raises SystemExit."""
    _take_any_name(sys.stdout)
    try:
        app(args=_spread(sys.argv[1:] if arguments is None else arguments), prog_name="python -m training")
    except (TrainingError, ModelError) as error:
        _end(str(error))
    except OSError as error:
        if error.strerror is None:  # not of the system: a library that cannot be loaded, say
            raise
        _end(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)


def _end(sentence: str) -> NoReturn:
    Console(stderr=True).print(sentence, style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(2)


def _take_any_name(stream: object) -> None:
    """Let a file's name that is not UTF-8 be printed, with its bytes in hexadecimal, as standard error does."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
