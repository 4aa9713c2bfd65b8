"""A model file and a few labelled images -> a model file with a head of one's own. No torch: seconds on any machine."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from dicom_node.model.session import Model
from training.adapt import STRENGTH, Adapted, Seen, adapt
from training.graph import with_head
from training.images import ImageSet
from training.metrics import Floats
from training.rejection import Rejection
from training.reopen import features_of_file, head_of_file, open_file
from training.strangers import strangers_of

BATCH = 16
MODEL = "model.onnx"


def seen_by(
    model: Model, data: ImageSet, advance: Callable[[int], None] = lambda _n: None
) -> tuple[Floats, Floats, Floats]:
    """Embeddings (N, D), probabilities (N, 14) and reject scores (N,) of all images, as the node would compute them."""
    predictions = []
    for start in range(0, len(data.images), BATCH):
        part = data.images[start : start + BATCH].astype(np.float32) / np.float32(255.0)
        predictions += model.predict(part)
        advance(len(part))
    return (
        np.array([each.embedding for each in predictions], np.float64),
        np.array([each.probabilities for each in predictions]),
        np.array([each.reject_score for each in predictions]),
    )


def adapt_file(
    parent: Path, labelled: ImageSet, out: Path, *, now: datetime, strength: float = STRENGTH
) -> dict[str, Any]:
    """Write `out/model.onnx`: the parent with a re-fitted head, its thresholds, and where it came from in its card.

    Args:
        parent: a model file with one linear head (an ensemble has none).
        labelled: the images, prepared at the parent's input size.
        out: an existing folder.
        now: for the card.
        strength: the pull towards the parent's head.

    Returns:
        Metrics on images that were left out of the fit (`adapt.Adapted`).

    Raises:
        TrainingError: the parent is no file of this release or an ensemble, or no image shows a region.
        ModelError: the node could not open it.
    """
    opened = Model.open(parent)
    graph, card = open_file(parent)
    head = head_of_file(graph)
    embeddings, _, scores = seen_by(opened, labelled)
    seen = Seen(
        embeddings=embeddings,
        reject_scores=scores,
        targets=labelled.targets,
        groups=[row.group for row in labelled.rows],
    )
    strangers = strangers_of(graph, embeddings.shape[1])
    adapted = adapt(seen, strangers, parent=head, thresholds=card.thresholds, strength=strength)
    made = with_head(
        graph,
        features_of_file(graph),
        adapted.head,
        replace(
            card,
            name=card.name if card.name.endswith("-adapted") else f"{card.name}-adapted",
            temperature=card.temperature * adapted.temperature,
            thresholds=adapted.thresholds,
            training={**card.training, "adapted": _history(card.training, opened, adapted, labelled, now, strength)},
        ),
        Rejection(statistic="energy") if adapted.by_energy else None,
    )
    path = out / MODEL
    path.write_bytes(made.SerializeToString())
    Model.open(path)
    return adapted.metrics


def _history(
    training: Any, parent: Model, adapted: Adapted, labelled: ImageSet, now: datetime, strength: float
) -> list[dict[str, Any]]:
    """Earlier adaptations, and this one: parent, counts of labels, and how it measured on images left out."""
    counts = Counter(row.region for row in labelled.rows)
    kept = ("n", "top1", "balanced", "ece", "tagged", "right_of_tagged", "strangers")
    return [
        *training.get("adapted", []),
        {
            "parent": parent.model_id,
            "finished": now.isoformat(timespec="seconds"),
            "labels": dict(sorted(counts.items())),
            "strength": strength,
            "out_of_fold": {name: adapted.metrics[name] for name in kept},
        },
    ]
