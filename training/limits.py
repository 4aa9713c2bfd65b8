"""What the numbers of a recipe may be; a value outside would end in a traceback, or in a run that learns nothing."""

import math
from dataclasses import fields
from typing import Any

from training.errors import TrainingError
from training.simulate.recipe import HeaderRecipe, SurroundingsRecipe, ToneRecipe

Limits = tuple[float, float]

SHARE: Limits = (0.0, 1.0)
COUNT: Limits = (1, math.inf)
SEVERAL: Limits = (2, math.inf)
"""Of one image batch norm has no spread, and a contrastive loss nothing to tell it from."""
SIZE: Limits = (16, math.inf)
"""Half of what ResNet18 halves five times; nothing is told of a bone below."""
NOT_NEGATIVE: Limits = (0.0, math.inf)
POSITIVE: Limits = (math.ulp(0.0), math.inf)

LIMITS: dict[str, Limits] = {
    "data.size": SIZE,
    "data.held_out": SHARE,
    "data.source_power": NOT_NEGATIVE,
    "data.ood_share": SHARE,
    "pretrain.samples": COUNT,
    "pretrain.epochs": NOT_NEGATIVE,
    "pretrain.batch": SEVERAL,
    "pretrain.learning_rate": NOT_NEGATIVE,
    "pretrain.weight_decay": NOT_NEGATIVE,
    "pretrain.warmup": SHARE,
    "pretrain.temperature": POSITIVE,
    "pretrain.hidden": COUNT,
    "pretrain.projection": COUNT,
    "pretrain.momentum": SHARE,
    "pretrain.self_weight": NOT_NEGATIVE,
    "pretrain.outlier_weight": NOT_NEGATIVE,
    "pretrain.label_smoothing": SHARE,
    "pretrain.ema": SHARE,
    "pretrain.checkpoint_seconds": NOT_NEGATIVE,
    "pretrain.log_every": COUNT,
    "probe.views": COUNT,
    "probe.epochs": COUNT,
    "probe.learning_rate": NOT_NEGATIVE,
    "probe.weight_decay": NOT_NEGATIVE,
    "probe.outlier_weight": NOT_NEGATIVE,
    "calibrate.target_accuracy": SHARE,
    "calibrate.ood_tagged": SHARE,
    "calibrate.min_confidence": SHARE,
    "finetune.samples": COUNT,
    "finetune.batch": SEVERAL,
    "finetune.learning_rate": NOT_NEGATIVE,
    "finetune.held_out": SHARE,
    "finetune.least": COUNT,
    "audit.folds": (2, math.inf),
    "audit.strength": POSITIVE,
    "cluster.clusters": COUNT,
    "cluster.least": COUNT,
    "augment.rotation": NOT_NEGATIVE,
    "augment.any_rotation": SHARE,
    "augment.mirror": SHARE,
    "augment.scale": POSITIVE,
    "augment.shear": (0.0, 89.0),
    "augment.translation": NOT_NEGATIVE,
    "augment.crop_area": POSITIVE,
    "augment.aspect": POSITIVE,
    "augment.brightness": NOT_NEGATIVE,
    "augment.contrast": NOT_NEGATIVE,
    "augment.gamma": POSITIVE,
    "augment.noise": NOT_NEGATIVE,
    "augment.invert": SHARE,
    "augment.gauges": NOT_NEGATIVE,
    "augment.gauge_radius": NOT_NEGATIVE,
    "augment.gauge_scale": NOT_NEGATIVE,
    "augment.gauge_intensity": NOT_NEGATIVE,
    "augment.collimation": SHARE,
    "simulate.size": (16, math.inf),
    "simulate.out_of_domain": SHARE,
    "simulate.pose": SHARE,
    "simulate.to_the_part": SHARE,
    "simulate.children": SHARE,
    "simulate.fractures": SHARE,
    "simulate.hardware": SHARE,
    "detector.scatter": NOT_NEGATIVE,
    "detector.grid": SHARE,
    "detector.photons": POSITIVE,
    "detector.blur": NOT_NEGATIVE,
    "detector.texture": NOT_NEGATIVE,
    "detector.unevenness": NOT_NEGATIVE,
    **{
        f"{section}.{each.name}": SHARE
        for section, kind in (("tone", ToneRecipe), ("surroundings", SurroundingsRecipe), ("headers", HeaderRecipe))
        for each in fields(kind)
    },
}
"""The least and the largest value, by the last two parts of a key's name; both ends of a range lie between them."""


def within_limits(name: str, value: Any) -> Any:
    """The value of the key with this dotted name, once it is sure that it can be meant.

    Raises:
        TrainingError: it lies outside its limits, is no number, or is a range whose ends are the wrong way round.
    """
    ends = value if isinstance(value, tuple) else (value,)
    if len(ends) == 2 and all(isinstance(each, float) for each in ends) and not ends[0] <= ends[1]:
        raise TrainingError(f"The recipe's '{name}' is {list(ends)}: the smaller number comes first.")
    if any(isinstance(each, float) and math.isinf(each) for each in ends):
        raise TrainingError(f"The recipe's '{name}' is {value}; it must be finite.")
    low, high = LIMITS.get(".".join(name.split(".")[-2:]), (-math.inf, math.inf))
    if any(isinstance(each, int | float) and not low <= each <= high for each in ends):
        raise TrainingError(f"The recipe's '{name}' is {value}; it must {_said(low, high)}.")
    return value


def _said(low: float, high: float) -> str:
    if low == POSITIVE[0]:
        return "be above 0"
    if high == math.inf:
        return f"be {low:g} or more"
    return f"lie between {low:g} and {high:g}"
