"""Measure a model file on labelled images, exactly as the node would use it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dicom_node.model.card import LABELS
from dicom_node.model.session import Model, Prediction
from training.images import ImageSet
from training.metrics import interval, summary
from training.pool import Pool

BATCH = 32


def evaluate(
    model: Model, data: ImageSet | Pool, *, turn: int = 0, advance: Callable[[int], None] = lambda _n: None
) -> dict[str, Any]:
    """Metrics of all rows together and of each source and region, with bootstrap intervals over groups.

    Args:
        model: the model file, opened.
        data: prepared at the model's input size.
        turn: quarter turns to the left that every image is given first.
        advance: told how many images were done.

    Returns:
        What `metrics.summary` returns, and `cells`: one for each source and region, with `tagged` (share), and for the
        14 regions `top1`, `right_of_tagged` and their intervals, and what else the images were taken for.
    """
    predictions = predict(model, data, turn=turn, advance=advance)
    probabilities = np.array([p.probabilities for p in predictions])
    cells: dict[tuple[str, str], list[int]] = {}
    for index, row in enumerate(data.rows):
        cells.setdefault((row.source, row.region), []).append(index)
    return {
        **summary(probabilities, data.targets),
        "model": model.model_id,
        "turn": 90 * turn,
        "cells": [
            {"source": source, "region": region, **_cell(predictions, data, np.array(chosen))}
            for (source, region), chosen in sorted(cells.items())
        ],
    }


def predict(
    model: Model, data: ImageSet | Pool, *, turn: int = 0, advance: Callable[[int], None] = lambda _n: None
) -> list[Prediction]:
    """The model's predictions for all images, in order."""
    predictions: list[Prediction] = []
    for start in range(0, len(data.images), BATCH):
        part = np.rot90(data.images[start : start + BATCH], turn, axes=(1, 2))
        predictions += model.predict(np.ascontiguousarray(part, np.float32) / np.float32(255.0))
        advance(len(part))
    return predictions


def _cell(predictions: Sequence[Prediction], data: ImageSet | Pool, chosen: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Numbers of the rows `chosen`, which share one source and one region."""
    groups = np.array([data.rows[index].group for index in chosen])
    tagged = np.array([predictions[index].outcome == "tagged" for index in chosen])
    cell: dict[str, Any] = {"n": len(chosen), "groups": len(set(groups)), "tagged": float(tagged.mean())}
    target = data.rows[chosen[0]].target
    if target < 0:
        return cell
    named = np.array([LABELS.index(predictions[index].region) for index in chosen])
    right = (named == target).astype(float)
    cell["top1"], cell["top1_interval"] = float(right.mean()), interval(right, groups)
    if tagged.any():
        cell["right_of_tagged"] = float(right[tagged].mean())
        cell["right_of_tagged_interval"] = interval(right[tagged], groups[tagged])
    counts = np.bincount(named[named != target], minlength=len(LABELS))
    cell["taken_for"] = {LABELS[k]: int(counts[k]) for k in np.argsort(-counts) if counts[k] > 0}
    return cell
