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
from training.reopen import features_of_file, head_of_file
from training.spared import check_spared
from training.strangers import strangers_of
from training.unadapted import Unadapted, check_not_finetuned, open_unadapted, put_unadapted

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

    A parent that was adapted itself is taken as it was before: its head knows the earlier labels, and what it gave for
    them would not be out of sample (`training.unadapted`).

    Args:
        parent: a model file with one linear head (an ensemble has none).
        labelled: the images, prepared at the parent's input size.
        out: an existing folder.
        now: for the card.
        strength: the pull towards the parent's head.

    Returns:
        Metrics on images that were left out of the fit (`adapt.Adapted`), and the model that it started `from`.

    Raises:
        TrainingError: the parent is no file of this release, an ensemble, fine-tuned on labels, or where the result
            would go; or no image shows a region.
        ModelError: the node could not open it.
    """
    path = out / MODEL
    check_spared([path], [parent])
    before = open_unadapted(parent)
    check_not_finetuned(before.model.card.training, parent)
    graph, card = before.graph, before.model.card
    head = head_of_file(graph)
    embeddings, _, scores = seen_by(before.model, labelled)
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
            name=f"{card.name}-adapted",
            temperature=card.temperature * adapted.temperature,
            thresholds=adapted.thresholds,
            training={**card.training, "adapted": [_history(before, adapted, labelled, now, strength)]},
        ),
        Rejection(statistic="energy") if adapted.by_energy else None,
    )
    put_unadapted(made, graph)
    path.write_bytes(made.SerializeToString())
    Model.open(path)
    return {**adapted.metrics, "from": before.model_id}


def _history(before: Unadapted, adapted: Adapted, labelled: ImageSet, now: datetime, strength: float) -> dict[str, Any]:
    """What the card tells: the model that it started from, counts of labels, and how it measured on images left out.

    Earlier adaptations are not in it, since nothing of them is in the head.
    """
    counts = Counter(row.region for row in labelled.rows)
    kept = ("n", "top1", "balanced", "ece", "tagged", "right_of_tagged", "strangers")
    return {
        "parent": before.model_id,
        "finished": now.isoformat(timespec="seconds"),
        "labels": dict(sorted(counts.items())),
        "strength": strength,
        "out_of_fold": {name: adapted.metrics[name] for name in kept},
    }
