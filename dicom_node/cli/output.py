"""Standard output and standard error: names that are not text, and files that cannot be written."""

import io
import os
import sys
from contextlib import suppress

import typer


def print_any_name() -> None:
    """Print names of files that are not UTF-8 with their bytes as codes: Python would refuse them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_if_possible(line: str) -> None:
    """Print a line, or go on without it where the disk is full or nobody reads any more."""
    try:
        typer.echo(line)
    except OSError:
        print_no_more()


def print_no_more() -> None:
    """Whatever is still to be printed goes nowhere: Python would complain about it once more at the end."""
    with suppress(OSError, ValueError):  # where there is no such file at all
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def sentence_of(error: OSError) -> str:
    """What to tell of an error of the system that no command expects; nothing more is printed after one without a file,
    which nearly always is that of the output.
    """
    why = error.strerror or type(error).__name__
    if error.filename:
        return f"{error.filename}: {why}"
    print_no_more()
    return f"most likely the output cannot be written: {why}"
