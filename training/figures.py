"""Figures for the pages, by matplotlib without a display."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from sklearn.manifold import TSNE

from training.metrics import Bools, Floats, Ints


def confusion(truth: Ints, predicted: Ints, k: int) -> Ints:
    """(K, K) counts; rows: truth, columns: predicted. Rows with a truth below 0 are left out."""
    table = np.zeros((k, k), np.int64)
    known = truth >= 0
    np.add.at(table, (truth[known], predicted[known]), 1)
    return table


def matrix_figure(table: Ints, names: Sequence[str], *, difference: bool = False) -> Figure:
    """A confusion matrix with its counts; a difference in red (more) and blue (fewer)."""
    side = 1.6 + 0.36 * len(names)
    figure = Figure(figsize=(side, side))
    axes = figure.add_subplot()
    shown = table.astype(float)
    if difference:
        most = max(1.0, float(np.abs(shown).max()))
        axes.imshow(shown, cmap="RdBu_r", norm=TwoSlopeNorm(0.0, -most, most))
    else:
        # The diagonal would drown everything: colours are for the mistakes.
        off = np.where(np.eye(len(names), dtype=bool), 0.0, shown)
        axes.imshow(off, cmap="Oranges", vmin=0.0, vmax=max(1.0, off.max()))
    for row, column in zip(*table.nonzero(), strict=True):
        text = f"{table[row, column]:+d}" if difference else str(table[row, column])
        weight = "bold" if row == column else "normal"
        axes.text(column, row, text, ha="center", va="center", fontsize=7, fontweight=weight)
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_xlabel("predicted", fontsize=8)
    axes.set_ylabel("label", fontsize=8)
    axes.spines[:].set_visible(False)
    return figure


def projected(embeddings: Floats, *, seed: int) -> Floats:
    """(N, 512) -> (N, 2) by t-SNE (van der Maaten and Hinton 2008)."""
    perplexity = min(30.0, max(2.0, (len(embeddings) - 1) / 4))
    made = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1).fit_transform(embeddings)
    return np.asarray(made, np.float64)


def points_figure(points: Floats, given: Ints, suspected: Bools, names: Sequence[str]) -> Figure:
    """Points coloured by their label, its name at the middle of each; suspected errors are stars."""
    figure = Figure(figsize=(9.5, 7.0))
    axes = figure.add_subplot()
    colours: Any = _colours()
    size = float(np.clip(12_000 / len(points), 6.0, 30.0))
    for index in np.unique(given):
        colour = colours[index % len(colours)]
        calm, wrong = (given == index) & ~suspected, (given == index) & suspected
        axes.scatter(
            points[calm, 0], points[calm, 1], s=size, color=colour, alpha=0.6, linewidths=0, label=names[index]
        )
        starred = axes.scatter(points[wrong, 0], points[wrong, 1], s=90, color=colour, marker="*", zorder=3)
        starred.set(edgecolor="black", linewidth=0.7)
        middle = np.median(points[given == index], axis=0)
        box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.0}
        axes.text(middle[0], middle[1], names[index], fontsize=8, ha="center", va="center", bbox=box, zorder=4)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#d9dee4")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False, markerscale=2.5)
    return figure


def _colours() -> Sequence[Any]:
    from matplotlib import colormaps

    return [*colormaps["tab20"].colors[::2], *colormaps["tab20"].colors[1::2]]  # type: ignore[attr-defined]
