"""Files that are whole or as they were, also after a power cut: content is on the disk before it takes its place."""

import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from dicom_node.durable import sync_folder
from training.errors import TrainingError


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a file beside `path`, and put it there once it is whole, in place of an older one."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as stream:
        write(stream)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
    sync_folder(path.parent)


def save_tensors(path: Path, values: Mapping[str, Any]) -> None:
    """Write tensors and plain values, as `load_tensors` reads them."""
    write_whole(path, lambda stream: torch.save(dict(values), stream))


def load_tensors(path: Path, *, instead: str) -> dict[str, Any]:
    """What `save_tensors` wrote, on the CPU.

    Args:
        path: the file.
        instead: what the user can do where it is damaged, as the end of a sentence.

    Raises:
        TrainingError: it cannot be read, is cut short, or is damaged in another way.
    """
    try:
        _check_sums(path)
        values = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # of what damaged bytes end in, torch promises nothing: KeyError, EOFError and others
        raise TrainingError(f"{path} is damaged: {instead}.") from error
    if not isinstance(values, dict):
        raise TrainingError(f"{path} holds something else than this program writes: {instead}.")
    return values


def _check_sums(path: Path) -> None:
    """Compare each part of the archive with its sum, which torch writes and does not look at."""
    with zipfile.ZipFile(path) as archive:
        if archive.testzip() is not None:
            raise zipfile.BadZipFile
