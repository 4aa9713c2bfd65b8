"""The options that commands share, and how an option is refused that the command would not look at."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from training.errors import TrainingError


def a_path(text: str) -> Path:
    """The path that somebody named. An empty one, of a variable that is not set, say, would be the current folder.

    Raises:
        typer.BadParameter: it is empty.
    """
    if not text:
        raise typer.BadParameter("an empty path")
    return Path(text)


def a_ledger(text: str) -> str:
    """The ledger's URL or the node's configuration, as somebody named it.

    Raises:
        typer.BadParameter: it is empty.
    """
    a_path(text)
    return text


def a_name(text: str) -> str:
    """The name that somebody gives; it goes into tables and model files, which are in UTF-8.

    Raises:
        typer.BadParameter: it is empty, or not UTF-8.
    """
    if not text.strip():
        raise typer.BadParameter("an empty name")
    if any("\udc80" <= letter <= "\udcff" for letter in text):
        raise typer.BadParameter("it is not in UTF-8")
    return text


path_option = partial(typer.Option, parser=a_path, metavar="PATH")
"""Of every option that names a file or a folder."""
ledger_option = partial(typer.Option, parser=a_ledger, metavar="TEXT")
name_option = partial(typer.Option, parser=a_name, metavar="TEXT")


def _folder(path: Path) -> Path:
    """Refuse, before anything is read, a run folder that cannot be made where a file lies."""
    for each in (path, *path.parents):
        if each.exists() and not each.is_dir():
            raise TrainingError(f"--out {path}: {each} is a file; name a folder.")
    return path


RecipeOption = Annotated[Path | None, path_option("--recipe", help="TOML file; the defaults when absent.")]
DataOption = Annotated[list[Path], path_option("--data", help="Manifests or prepared folders, one or more.")]
OutOption = Annotated[Path, path_option("--out", help="The run folder.", callback=_folder)]
FromOption = Annotated[Path, path_option("--from", help="The earlier run's folder, or a model file.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1)]
"""As far as NumPy's and scikit-learn's seeds go; torch's then hold a million times as much, for a step's own."""


def refuse_unused(context: typer.Context, names: Iterable[str], why: str) -> None:
    """Refuse options that somebody gave and that would change nothing: most often another form was meant.

    Args:
        context: of the command.
        names: of its parameters, that are not looked at in this form.
        why: how it comes, as the rest of a sentence behind the options' names.

    Raises:
        TrainingError: one of them was given.
    """
    unused = set(names)
    given = [each.opts[0] for each in context.command.params if each.name in unused and _is_given(context, each.name)]
    if given:
        raise TrainingError(f"{' and '.join(given)} would not be looked at: {why}.")


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
