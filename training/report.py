"""What run folders measured, gathered for one page beside the papers' numbers.

Simulated and real images never go into one number: what was measured on both together is named, and not shown.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from training.errors import TrainingError
from training.runs import METRICS, RUN

SIMULATED, REAL, MIXED, UNKNOWN = "simulated", "real", "simulated and real together", "not stated"


def papers() -> dict[str, Any]:
    """The papers' numbers, with their sources."""
    values = json.loads(files("training.pages").joinpath("papers.json").read_text(encoding="utf-8"))
    assert isinstance(values, dict)
    return values


def read_result(folder: Path) -> dict[str, Any]:
    """A run folder's metrics as `metrics`, what its run.json says, where it has one, as `run`, the `kind` of data that
    it measured on, and whether its numbers may be `shown`: not those over simulated and real images together.

    Raises:
        TrainingError: there are no metrics.
    """
    try:
        metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        run = json.loads((folder / RUN).read_text(encoding="utf-8")) if (folder / RUN).exists() else {}
    except (OSError, ValueError) as error:
        raise TrainingError(f"{folder} is no finished run: it has no readable {METRICS}.") from error
    kind = kind_of(_source_names(metrics, run))
    return {"name": folder.name, "metrics": metrics, "run": run, "kind": kind, "shown": kind != MIXED}


def kind_of(names: Sequence[str]) -> str:
    """Whether data of these sources is simulated, real, or both; a source says so by beginning with "simulated"."""
    kinds = {SIMULATED if name.lower().startswith(SIMULATED) else REAL for name in names}
    if not kinds:
        return UNKNOWN
    return kinds.pop() if len(kinds) == 1 else MIXED


def accuracy_rows(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One line per run that measured top 1, and one per kind of data for `evaluate`."""
    lines = []
    for result in results:
        metrics, run = result["metrics"], result["run"]
        recipe = run.get("recipe", {})
        about = {
            "name": result["name"],
            "command": run.get("command", "evaluate" if "cells" in metrics else ""),
            "method": recipe.get("pretrain", {}).get("method", ""),
            "recipe": recipe.get("name", ""),
            "seed": run.get("seed", ""),
            "machine": run.get("machine", ""),
        }
        if "cells" in metrics:
            lines += [{**about, **line} for line in _by_kind(metrics["cells"])]
        elif metrics.get("top1") is not None:
            lines.append({**about, "kind": result["kind"], **_shown(metrics, result["kind"])})
    return lines


def region_rows(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Top 1 per region of the runs that measured it on one kind of data."""
    return [
        {
            "name": result["name"],
            "kind": result["kind"],
            "regions": {region: cell["top1"] for region, cell in result["metrics"]["per_region"].items()},
        }
        for result in results
        if isinstance(result["metrics"].get("per_region"), dict)
        and result["metrics"]["per_region"]
        and result["kind"] in (SIMULATED, REAL)
    ]


def of_kind(results: Sequence[Mapping[str, Any]], *names: str) -> list[Mapping[str, Any]]:
    """The results whose metrics have all of these entries."""
    return [result for result in results if all(name in result["metrics"] for name in names)]


def _shown(metrics: Mapping[str, Any], kind: str) -> dict[str, Any]:
    names = ("top1", "top2", "balanced", "ece")
    values = {name: metrics.get(name) if kind != MIXED else None for name in names}
    interval = metrics.get("top1_interval") if kind != MIXED else None
    return {**values, "top1_interval": interval, "n": metrics.get("n")}


def _by_kind(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    lines = []
    for kind in (SIMULATED, REAL):
        known = [cell for cell in cells if kind_of([cell["source"]]) == kind and cell.get("top1") is not None]
        n = sum(cell["n"] for cell in known)
        if n:
            regions: dict[str, list[Mapping[str, Any]]] = {}
            for cell in known:
                regions.setdefault(cell["region"], []).append(cell)
            each = [_mean(of_region) for of_region in regions.values()]
            balanced = sum(each) / len(each)
            lines.append({"kind": kind, "n": n, "top1": _mean(known), "balanced": balanced, "top2": None, "ece": None})
    return [{**line, "top1_interval": None} for line in lines]


def _mean(cells: Sequence[Mapping[str, Any]]) -> float:
    return float(sum(cell["n"] * cell["top1"] for cell in cells) / sum(cell["n"] for cell in cells))


def _source_names(metrics: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    """The sources that the numbers were measured on, as far as the run tells; else those that it learned from."""
    listed = run.get("measured_on") or run.get("calibrated_on") or run.get("sources") or metrics.get("cells") or []
    return [str(each.get("source", "")) for each in listed]
