"""Which smaller file to ship: int8 if it loses less than it may, else float16."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from training.drawn import subset
from training.graph import with_card
from training.images import ImageSet
from training.reopen import open_file
from training.smaller import Measured, answers, as_float16, as_int8, measure

SMALL_NAME = "model-small.onnx"
ALLOWED = 0.002
"""Share of images that the smaller file may get wrong, or tag wrongly, in addition: 0.2 points."""

ALLOWED_TAGGED = 0.01
"""By so much the share of images that it tags may differ: the limits that it inherits were chosen for float32."""

CALIBRATION = 300


def shrink(path: Path, to: Path, data: ImageSet) -> tuple[str, dict[str, Measured]]:
    """Write the smaller file; return its precision, and what was measured of float32, float16 and int8.

    A part of the images gives int8 its ranges; the comparison is on the others. Of the two files the smaller is written
    that gets at most 0.2 points more wrong, tags at most 0.2 points more wrongly, and tags as many but for a point; its
    precision is in the card. Float16 always may.

    Args:
        path: the float32 model file, with one trunk.
        to: where to write.
        data: images as real as can be had, at the model's input size, with their regions.
    """
    model, card = open_file(path)
    order = np.random.default_rng(0).permutation(len(data.images))
    ranges = min(CALIBRATION, len(order) // 3)
    judges = subset(data, order[ranges:])
    content = path.read_bytes()
    reference = answers(content, judges.images, card.thresholds)
    variants = {"float16": as_float16(model), "int8": as_int8(model, card.input_size, data.images[order[:ranges]])}
    for name, variant in variants.items():
        with_card(variant, replace(card, training={**card.training, "precision": name}))
    contents = {"float32": content, **{name: variant.SerializeToString() for name, variant in variants.items()}}
    measured = {
        name: measure(each, judges.images, judges.targets, card.thresholds, reference)
        for name, each in contents.items()
    }
    chosen = min(
        (name for name in variants if _loses_little(measured["float32"], measured[name]) or name == "float16"),
        key=lambda name: measured[name].bytes,
    )
    to.write_bytes(contents[chosen])
    return chosen, measured


def _loses_little(full: Measured, small: Measured) -> bool:
    if small.wrongly_tagged - full.wrongly_tagged > ALLOWED or abs(small.tagged - full.tagged) > ALLOWED_TAGGED:
        return False
    if full.top1 is None or small.top1 is None:
        return small.agrees >= 1.0 - ALLOWED
    return full.top1 - small.top1 <= ALLOWED
