"""Out-of-domain embeddings that a model file carries along, so that a hospital without such images can adapt it.

A head that is re-fitted on images of regions alone forgets what is none of them, and no limit for rejection could be
checked. A few hundred embeddings (half a megabyte of metadata, from which no picture can be made again) mend both.
"""

import base64

import numpy as np
from onnx import ModelProto

from training.graph import Floats32
from training.metrics import Floats

KEY = "dicom_node.strangers"
PER_KIND = 150


def put_strangers(model: ModelProto, embeddings: Floats | Floats32) -> None:
    """Write embeddings (M, D) into a model's metadata, in half precision, over those that are there."""
    kept = [entry for entry in model.metadata_props if entry.key != KEY]
    copies = [(entry.key, entry.value) for entry in kept]
    del model.metadata_props[:]
    if len(embeddings):
        content = np.asarray(embeddings, "<f2").tobytes()
        copies.append((KEY, f"{embeddings.shape[1]}:{base64.b64encode(content).decode()}"))
    for key, value in copies:
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value


def strangers_of(model: ModelProto, dimensions: int) -> Floats:
    """The embeddings (M, D) that a model file carries; none where it carries none."""
    for entry in model.metadata_props:
        if entry.key == KEY:
            width, text = entry.value.split(":", 1)
            return np.frombuffer(base64.b64decode(text), "<f2").reshape(-1, int(width)).astype(np.float64)
    return np.zeros((0, dimensions))


def some_of_each(embeddings: Floats, kinds: list[str], *, seed: int = 0) -> Floats:
    """At most `PER_KIND` embeddings of each kind, by chance."""
    names, random = np.array(kinds), np.random.default_rng(seed)
    chosen = [random.permutation(np.flatnonzero(names == kind))[:PER_KIND] for kind in sorted(set(kinds))]
    return embeddings[np.concatenate(chosen)] if chosen else embeddings[:0]
