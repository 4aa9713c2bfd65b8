"""Everything that may vary between two training runs, as one validated value read from a TOML file."""

import dataclasses
import difflib
import tomllib
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from training.errors import TrainingError
from training.limits import within_limits
from training.simulate.recipe import SimulateRecipe

Range = tuple[float, float]

_KINDS = {float: "number", int: "whole number", str: "text", Range: "pair of numbers", tuple[str, ...]: "list of texts"}


@dataclass(frozen=True, kw_only=True)
class DataRecipe:
    """Which rows are learned from, and how often each is seen.

    `source_power`: a source's share of its region grows with n ** source_power; 0 treats sources alike, 1 treats images
    alike. `ood_share`: the share of samples that shows something out of domain. `held_out`: the fraction of groups that
    is never learned from, chosen by `split_seed` and the group's name alone, so that every command sees the same split;
    with 0 a head is measured on the rows for tuning instead. `leave_out` names sources (or the beginning of their
    names) whose `train` rows are not learned from either, to measure on them. `sampling`: "balanced" draws with those
    shares, "shuffled" takes every row once an epoch, whatever it shows, as the papers do.
    """

    size: int = 128
    held_out: float = 0.1
    split_seed: int = 0
    sampling: Literal["balanced", "shuffled"] = "balanced"
    source_power: float = 0.5
    ood_share: float = 0.1
    leave_out: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AugmentRecipe:
    """Ranges of the augmentation; probabilities in [0, 1], angles in degrees, lengths as fractions of the image's side.

    Langer et al. 2024, supplement, table 1. Its pre-training column is in recipes/simclr.toml. The defaults
    differ from it where a small input or a short run asks for less (crop area, shear), and by what is
    ours: `any_rotation`, `mirror`, `gamma`, `invert`, `noise` and `collimation`. `scale` above 1 enlarges.
    `gauge_radius` times `gauge_scale` is the radius of a gauge.
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
    gauge_scale: Range = (0.8, 1.2)
    gauge_intensity: Range = (0.75, 1.0)
    collimation: float = 0.25


@dataclass(frozen=True, kw_only=True)
class PretrainRecipe:
    """The backbone's training, by one of the methods of `training.methods`.

    `epochs`, above 0, counts passes over the data and goes before `samples`, which counts images; views count for
    neither. `batch` is that of all processes together. `hidden` and `projection` are the widths of the projection
    head, `temperature` the contrastive losses', `momentum` BYOL's first one, `self_weight` the contrastive part of the
    mixed method. `label_smoothing` is the share of each target that is spread over all classes. `ema`: above 0, the
    weights that a run hands on are a moving average with this decay per step. `precision`: bf16 is autocast.
    """

    method: Literal["supervised", "supcon", "simclr", "byol", "mixed"] = "supervised"
    samples: int = 100_000
    epochs: int = 0
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup: float = 0.03
    temperature: float = 0.5
    hidden: int = 512
    projection: int = 128
    momentum: float = 0.9995
    self_weight: float = 1.0
    outlier_weight: float = 0.3
    label_smoothing: float = 0.0
    ema: float = 0.0
    precision: Literal["bf16", "fp32"] = "bf16"
    checkpoint_seconds: float = 120.0
    log_every: int = 20
    augment: AugmentRecipe = field(default_factory=AugmentRecipe)


# The head-training column of the same table, but for the crop area, which there goes to 1.1, and for `mirror`, which is
# ours and stays at 0.5. The paper's recipes name their own.
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
    `min_confidence` is a floor that is never undercut, however good the rows look. `reject` names the statistic by
    which images are rejected, or leaves the choice to the evidence (`training.rejection`). `turns`: views of each image
    that are averaged, here and in the exported file: 1, 4 (quarter turns) or 8 (mirrored as well); `votes`: all of them
    count alike, or by how upright each looks (`training.hang`).
    """

    turns: Literal[1, 4, 8] = 1
    votes: Literal["alike", "upright"] = "upright"
    target_accuracy: float = 0.97
    ood_tagged: float = 0.05
    min_confidence: float = 0.5
    reject: Literal["auto", "energy", "max_probability", "mahalanobis", "knn"] = "auto"


@dataclass(frozen=True, kw_only=True)
class FinetuneRecipe:
    """`probe --finetune`: the network itself on a few labelled images, mixed half and half with simulated ones.

    `samples`, `batch` and `learning_rate` replace those of the model's own recipe. `held_out` is the share of the
    labelled groups of a region with `least` or more that only set temperature and thresholds.
    """

    samples: int = 8_000
    batch: int = 64
    learning_rate: float = 2e-4
    held_out: float = 0.2
    least: int = 5


@dataclass(frozen=True, kw_only=True)
class AuditRecipe:
    """How label errors are looked for: `folds` of whole groups, and `strength`, the inverse of the heads' L2 penalty
    on standardised embeddings (small: smoother, and less taken in by wrong labels).
    """

    folds: int = 5
    strength: float = 0.01


@dataclass(frozen=True, kw_only=True)
class ClusterRecipe:
    """k-means on embeddings. `clusters` is SAM-X's 1000; with few images there are at most n / `least` of them."""

    clusters: int = 1000
    least: int = 20


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One whole recipe; `name` and `version` become the model's."""

    name: str = "unnamed"
    version: str = "0"
    data: DataRecipe = field(default_factory=DataRecipe)
    pretrain: PretrainRecipe = field(default_factory=PretrainRecipe)
    probe: ProbeRecipe = field(default_factory=ProbeRecipe)
    calibrate: CalibrateRecipe = field(default_factory=CalibrateRecipe)
    finetune: FinetuneRecipe = field(default_factory=FinetuneRecipe)
    audit: AuditRecipe = field(default_factory=AuditRecipe)
    cluster: ClusterRecipe = field(default_factory=ClusterRecipe)
    simulate: SimulateRecipe = field(default_factory=SimulateRecipe)


def read_recipe(path: Path | None) -> Recipe:
    """Read a recipe; the defaults when there is none.

    Raises:
        TrainingError: the file cannot be read, or has an unknown key or a value that cannot be meant.
    """
    if path is None:
        return Recipe()
    try:
        return recipe_from(tomllib.loads(path.read_text(encoding="utf-8")))
    except UnicodeDecodeError as error:
        raise TrainingError(f"The recipe {path} is not in UTF-8, as TOML is: save it so.") from error
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
            changes[name] = within_limits(where + name, _checked(value, hints[name], where + name))
    return dataclasses.replace(default, **changes)


def _checked(value: Any, kind: Any, name: str) -> Any:
    if get_origin(kind) is Literal:
        if any(value == each and type(value) is type(each) for each in get_args(kind)):
            return value
        choices = ", ".join(map(str, get_args(kind)))
        raise TrainingError(f"The recipe's '{name}' is {value!r}; it must be one of {choices}.")
    if dataclasses.is_dataclass(kind):
        raise TrainingError(f"The recipe's '{name}' is {value!r}; it is a section, with keys of its own: [{name}].")
    if kind == Range and isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value)):
        return float(value[0]), float(value[1])
    if kind == tuple[str, ...] and isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return tuple(value)
    if kind is float and _is_number(value):
        return float(value)
    if not isinstance(kind, types.GenericAlias) and isinstance(value, kind) and not isinstance(value, bool):
        return value
    raise TrainingError(f"The recipe's '{name}' is {value!r}, which is not a {_KINDS.get(kind, str(kind))}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
