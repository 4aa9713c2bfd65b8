"""Paths that people and scripts name on the command line."""

import os
import stat
from pathlib import Path

import typer


def named_path(text: str) -> Path:
    """Any path. BadParameter for an empty one: Path would take it for the working directory, all of it."""
    if not text:
        raise typer.BadParameter("an empty path: a script's variable may be unset")
    return Path(text)


def path_to_read(text: str) -> Path:
    """A file or folder that is there and may be read; BadParameter for what is not."""
    path = named_path(text)
    try:
        path.stat()
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{text} is not there, or cannot be reached") from error
    if not os.access(path, os.R_OK):
        raise typer.BadParameter(f"{text} may not be read")
    return path


def file_to_read(text: str) -> Path:
    """The same, and no folder."""
    path = path_to_read(text)
    if stat.S_ISDIR(path.stat().st_mode):
        raise typer.BadParameter(f"{text} is a folder")
    return path
