"""Run folders: what a command leaves for the next one and for whoever wants to make the result again."""

import dataclasses
import json
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dicom_node.imaging import IMAGING_VERSION
from training.errors import TrainingError
from training.images import ImageSet
from training.pool import Pool
from training.recipe import Recipe, recipe_from
from training.whole_file import load_tensors, save_tensors, write_whole

RUN, METRICS, WEIGHTS = "run.json", "metrics.json", "weights.pt"


def write_run(
    out: Path, *, command: str, recipe: Recipe, seed: int, data: ImageSet | Pool, now: datetime, **more: Any
) -> None:
    """Write `run.json`: command, recipe, seed, versions, hardware and the data's sources."""
    write_use(
        out, command=command, now=now, seed=seed, recipe=dataclasses.asdict(recipe), sources=sources(data), **more
    )


def write_use(out: Path, *, command: str, now: datetime, **more: Any) -> None:
    """Write the `run.json` of a command that trains nothing by a recipe, so that no other can begin with its folder:
    the command, versions, hardware, and `more`.
    """
    about = {
        "command": command,
        "finished": now.isoformat(timespec="seconds"),
        "imaging_version": IMAGING_VERSION,
        "versions": {"torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()},
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, CUDA {torch.cuda.is_available()}",
    }
    write_json(out / RUN, {**about, **more})


def check_own_run(out: Path, command: str) -> None:
    """Refuse, before anything is computed, to tell of this command in the folder of a training, or of another command.

    Raises:
        TrainingError: it is one, or its `run.json` cannot be read.
    """
    if not (out / WEIGHTS).exists() and not (out / RUN).exists():
        return
    try:
        told = json.loads((out / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        told = None
    if (out / WEIGHTS).exists() or not isinstance(told, dict) or told.get("command") != command:
        raise TrainingError(f"{out} is the folder of another run, whose {RUN} would be written over: choose another.")


def sources(data: ImageSet | Pool) -> list[dict[str, Any]]:
    """Each source with its licence, and how many images and groups of each region it gave."""
    table: dict[tuple[str, str, str], set[str]] = {}
    counts: dict[tuple[str, str, str], int] = {}
    for row in data.rows:
        key = (row.source, row.licence, row.region)
        counts[key] = counts.get(key, 0) + 1
        table.setdefault(key, set()).add(row.group)
    return [
        {"source": source, "licence": licence, "region": region, "n": counts[key], "groups": len(table[key])}
        for key in sorted(counts)
        for source, licence, region in [key]
    ]


def read_run(folder: Path) -> dict[str, Any]:
    """What `write_run` wrote.

    Raises:
        TrainingError: the folder is not a finished run.
    """
    try:
        values = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{folder} is not the folder of a finished run: it has no readable {RUN}.") from error
    if not isinstance(values, dict) or "recipe" not in values:
        raise TrainingError(f"{folder} is not the folder of a finished run: its {RUN} names no recipe.")
    return values


def recipe_of(folder: Path) -> Recipe:
    """The recipe that a run was made with."""
    return recipe_from(read_run(folder)["recipe"])


def training_summary(folder: Path) -> dict[str, Any]:
    """What the model card tells of the run: sources, recipe, seed, versions, metrics on calibration rows, and what
    the runs before it said.

    Raises:
        TrainingError: the folder is not a finished run.
    """
    run = read_run(folder)
    kept = ("finished", "seed", "recipe", "versions", "machine", "sources", "calibrated_on", "earlier")
    try:
        metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{folder} is not the folder of a finished run: it has no readable {METRICS}.") from error
    told = {name: run[name] for name in kept if name in run}
    if run.get("command") == "probe --finetune":
        told["finetuned"] = {"labels": run.get("labels", [])}
    before = run.get("earlier") or {}
    if run.get("command") == "calibrate" and "sources" in before:
        # The data of a calibration need not be all that the weights before it learned from.
        told["sources"] = before["sources"]
    return {**told, "metrics": metrics}


def save_weights(out: Path, weights: Mapping[str, Any]) -> None:
    """Write the weights, replacing older ones only once the new file is whole on the disk."""
    save_tensors(out / WEIGHTS, weights)


def load_weights(folder: Path) -> dict[str, Any]:
    """Read the weights of a run.

    Raises:
        TrainingError: there are none, or they are damaged.
    """
    if not (folder / WEIGHTS).exists():
        raise TrainingError(f"{folder} has no {WEIGHTS}: name a finished run with --from.")
    return load_tensors(folder / WEIGHTS, instead="run again the command that made it")


def write_json(path: Path, values: Mapping[str, Any] | Sequence[Any]) -> None:
    """Readable JSON with a final newline, in place of an older file only once it is whole."""
    # A name that is not UTF-8 comes out as JSON's own escape of it.
    content = (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode(errors="backslashreplace")
    write_whole(path, lambda stream: stream.write(content))
