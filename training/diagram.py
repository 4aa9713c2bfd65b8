"""Curves of calibration and rejection as SVG files (matplotlib, without a display)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.metrics import Bools, Floats


def reliability_diagram(bins: Sequence[Mapping[str, float]], ece: float, path: Path) -> None:
    """Share right over confidence, bin by bin (Guo et al. 2017, figure 1), with each bin's number of images."""
    figure, axes = _figure()
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--")
    middles = [(each["from"] + each["to"]) / 2 for each in bins]
    axes.bar(middles, [each["right"] for each in bins], width=0.95 / 15, color="#4878a8")
    axes.scatter([each["confidence"] for each in bins], [each["right"] for each in bins], color="black", s=8, zorder=3)
    for middle, each in zip(middles, bins, strict=True):
        axes.text(middle, 0.01, str(each["n"]), ha="center", fontsize=6, color="white")
    axes.set(xlabel="confidence", ylabel="share right", title=f"ECE {ece:.3f}", xlim=(0, 1), ylim=(0, 1))
    _save(figure, path)


def risk_diagram(orders: Mapping[str, Floats], right: Bools, path: Path) -> None:
    """Share wrong over coverage, when images are tagged from the least strange on; one curve per statistic."""
    figure, axes = _figure()
    coverage = np.arange(1, len(right) + 1) / max(1, len(right))
    for name, order in orders.items():
        wrong = ~right[np.argsort(order, kind="stable")]
        axes.plot(coverage, np.cumsum(wrong) / np.arange(1, len(wrong) + 1), label=name, linewidth=1)
    axes.set(xlabel="coverage", ylabel="share wrong of the tagged", xlim=(0, 1))
    axes.legend(fontsize=7)
    _save(figure, path)


def _figure() -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), layout="constrained")
    return figure, figure.add_subplot()


def _save(figure: Any, path: Path) -> None:
    """Without a date, and with names that are no chance, so that the same numbers make the same file."""
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": path.name}):
        figure.savefig(path, format="svg", metadata={"Date": None})
