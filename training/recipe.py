"""Everything that may vary between two training runs, as one validated value read from a TOML file."""

import dataclasses
import difflib
import tomllib
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from training.errors import TrainingError

Range = tuple[float, float]

_KINDS = {float: "number", int: "whole number", str: "text", Range: "pair of numbers", tuple[str, ...]: "list of texts"}


@dataclass(frozen=True, kw_only=True)
class DataRecipe:
    """Which rows are learned from, and how often each is seen.

    `source_power`: a source's share of its region grows with n ** source_power; 0 treats sources alike, 1 treats
    images alike. `ood_share`: the share of samples that shows something out of domain. `held_out`: the fraction of
    groups that is never learned from, chosen by `split_seed` and the group's name alone, so that every command sees
    the same split. `leave_out` names sources (or the beginning of their names) whose `train` rows are not learned
    from either, to measure on them.
    """

    size: int = 128
    held_out: float = 0.1
    split_seed: int = 0
    source_power: float = 0.5
    ood_share: float = 0.1
    leave_out: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AugmentRecipe:
    """Ranges of the augmentation; probabilities in [0, 1], angles in degrees, lengths as fractions of the image's side.

    The defaults are the pre-training column of Langer et al. 2024 (supplement, table 1) but for the crop area, whose
    lower end of 0.08 shows too little of a bone at our input size, and for `any_rotation`, `gamma`, `invert`,
    `noise` and `collimation`, which are ours.
    """

    rotation: float = 15.0
    any_rotation: float = 0.2
    mirror: float = 0.5
    scale: Range = (0.8, 1.5)
    shear: float = 15.0
    translation: float = 0.1
    crop_area: Range = (0.4, 1.0)
    aspect: Range = (0.75, 1.333)
    brightness: Range = (0.5, 1.5)
    contrast: Range = (0.25, 1.75)
    gamma: Range = (0.6, 1.6)
    noise: float = 0.04
    invert: float = 0.1
    gauges: int = 2
    gauge_radius: Range = (0.02, 0.09)
    gauge_intensity: Range = (0.75, 1.0)
    collimation: float = 0.25


@dataclass(frozen=True, kw_only=True)
class PretrainRecipe:
    """The backbone's training. `samples` counts images, not views; `temperature` and `projection` are SupCon's."""

    method: Literal["supervised", "supcon"] = "supervised"
    samples: int = 100_000
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup: float = 0.03
    temperature: float = 0.5
    projection: int = 128
    outlier_weight: float = 0.3
    checkpoint_seconds: float = 120.0
    augment: AugmentRecipe = field(default_factory=AugmentRecipe)


# The head-training column of the same table, as far as it differs from no augmentation at all.
HEAD_AUGMENT = AugmentRecipe(
    rotation=5.0,
    any_rotation=0.0,
    scale=(0.95, 1.1),
    shear=10.0,
    translation=0.02,
    crop_area=(0.95, 1.0),
    aspect=(0.9, 1.1),
    brightness=(0.9, 1.1),
    contrast=(0.8, 1.2),
    gamma=(1.0, 1.0),
    noise=0.0,
    invert=0.0,
    collimation=0.0,
)


@dataclass(frozen=True, kw_only=True)
class ProbeRecipe:
    """The linear head. `head = "keep"` takes the head that a supervised run brings; `views` are cached per image."""

    head: Literal["fit", "keep"] = "fit"
    views: int = 4
    epochs: int = 200
    learning_rate: float = 5e-2
    weight_decay: float = 0.0
    outlier_weight: float = 0.3
    augment: AugmentRecipe = HEAD_AUGMENT


@dataclass(frozen=True, kw_only=True)
class CalibrateRecipe:
    """What the thresholds must reach on the calibration rows; see `training.calibrate`.

    `target_accuracy`: among the tagged. `ood_tagged`: at most this share of the out-of-domain rows may be tagged.
    `min_confidence` is a floor that is never undercut, however good the rows look.
    """

    target_accuracy: float = 0.97
    ood_tagged: float = 0.05
    min_confidence: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One whole recipe; `name` and `version` become the model's."""

    name: str = "unnamed"
    version: str = "0"
    data: DataRecipe = field(default_factory=DataRecipe)
    pretrain: PretrainRecipe = field(default_factory=PretrainRecipe)
    probe: ProbeRecipe = field(default_factory=ProbeRecipe)
    calibrate: CalibrateRecipe = field(default_factory=CalibrateRecipe)


def read_recipe(path: Path | None) -> Recipe:
    """Read a recipe; the defaults when there is none.

    Raises:
        TrainingError: the file cannot be read, or has an unknown key or a value of the wrong kind.
    """
    if path is None:
        return Recipe()
    try:
        return recipe_from(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise TrainingError(f"The recipe {path} cannot be read: {error}.") from error


def recipe_from(values: dict[str, Any]) -> Recipe:
    """Build a recipe from nested dictionaries, as TOML or JSON gives them."""
    recipe = _build(Recipe(), values, "")
    assert isinstance(recipe, Recipe)
    return recipe


def _build(default: Any, values: dict[str, Any], where: str) -> Any:
    """`default` with the named values replaced; sections are merged, unknown names refused with the nearest one."""
    hints = get_type_hints(type(default))
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name not in hints:
            near = difflib.get_close_matches(name, hints, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise TrainingError(f"The recipe has an unknown key '{where}{name}'{hint}")
        current = getattr(default, name)
        if dataclasses.is_dataclass(current) and isinstance(value, dict):
            changes[name] = _build(current, value, f"{where}{name}.")
        else:
            changes[name] = _checked(value, hints[name], where + name)
    return dataclasses.replace(default, **changes)


def _checked(value: Any, kind: Any, name: str) -> Any:
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
        raise TrainingError(f"The recipe's '{name}' is {value!r}; it must be one of {', '.join(get_args(kind))}.")
    if kind == Range and isinstance(value, list | tuple) and len(value) == 2:
        return float(value[0]), float(value[1])
    if kind == tuple[str, ...] and isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return tuple(value)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(kind, types.GenericAlias) and isinstance(value, kind) and not isinstance(value, bool):
        return value
    raise TrainingError(f"The recipe's '{name}' is {value!r}, which is not a {_KINDS.get(kind, str(kind))}.")
