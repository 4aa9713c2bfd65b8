"""Which rows a model learned from, and every model that it began with, by what runs and model files tell."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.errors import TrainingError
from training.manifest import Row, is_calibrated_on, is_learned_from
from training.recipe import DataRecipe


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One training: its split, and the sources that it names; None where it names none."""

    split: DataRecipe
    sources: frozenset[str] | None

    def learned_from(self, row: Row) -> bool:
        """Whether the training may have changed a weight by the row: another hospital's `train` rows did not."""
        return is_learned_from(row, self.split) and (self.sources is None or row.source in self.sources)


def stages_of(told: Mapping[str, Any]) -> tuple[Stage, ...]:
    """The trainings of a run, or of a model file's card, and of all that it came from; the own one first.

    Empty where nothing is told.
    """
    return tuple(dict.fromkeys(_stages(told)))


def splits_of(told: Mapping[str, Any]) -> tuple[DataRecipe, ...]:
    """The data sections of a run, or of a model file's card, and of all that it came from; the own one first.

    Empty where nothing is told.
    """
    return tuple(dict.fromkeys(each.split for each in _stages(told)))


def unnamed_labels(told: Mapping[str, Any]) -> int:
    """On how many labelled images heads were re-fitted or weights fine-tuned, as runs and cards tell: numbers alone,
    so that no row can be known to be one of them. What taught two members of an ensemble counts twice.
    """
    number = sum(sum(each.get("labels", {}).values()) for each in told.get("adapted", []))
    tuned = told.get("finetuned") or (told if told.get("command") == "probe --finetune" else {})
    number += sum(each["n"] for each in tuned.get("labels", []))
    return int(number) + sum(unnamed_labels(each) for each in _before(told))


def own_split(told: Mapping[str, Any]) -> DataRecipe | None:
    """The split of the run or the model file itself; None where it does not tell."""
    data = told.get("recipe", {}).get("data", {})
    return data_recipe(told["recipe"]) if "held_out" in data else None


def data_recipe(recipe: Mapping[str, Any]) -> DataRecipe:
    """The data section of a recipe, also of an older release's: keys that are gone do not matter here."""
    known = {each.name for each in dataclasses.fields(DataRecipe)}
    values = {name: value for name, value in recipe.get("data", {}).items() if name in known}
    return DataRecipe(**{**values, "leave_out": tuple(values.get("leave_out", ()))})


def check_same_split(recipe: DataRecipe, told: Mapping[str, Any], where: str) -> None:
    """Refuse a recipe that would measure on rows which the model learned from, or learn from those kept to measure.

    Raises:
        TrainingError: its split differs from that of the run or model file, as far as that tells.
    """
    own = own_split(told)
    if own is None or _key(own) == _key(recipe):
        return
    raise TrainingError(
        f"The recipe splits the data in another way than {where} did (held_out {recipe.held_out:g} and "
        f"{own.held_out:g}, split_seed {recipe.split_seed} and {own.split_seed}, leave_out {list(recipe.leave_out)} "
        f"and {list(own.leave_out)}): give the recipe the same [data], or leave --recipe out."
    )


def was_learned_from(row: Row, splits: Sequence[DataRecipe]) -> bool:
    """Whether any training with one of these splits may have changed a weight by the row."""
    return any(is_learned_from(row, each) for each in splits)


def may_calibrate(row: Row, own: Sequence[DataRecipe], before: Sequence[DataRecipe]) -> bool:
    """Whether the row may set thresholds by each split of `own`, and no training before learned from it."""
    return all(is_calibrated_on(row, each) for each in own) and not was_learned_from(row, before)


def may_measure(row: Row, own: DataRecipe, before: Sequence[DataRecipe]) -> bool:
    """Whether a head that was fitted by the split `own` is measured on the row: a `train` row of a group that it held
    out; or where it holds nothing out, as in the papers, a `tune` row. No training before learned from either.
    """
    return row.use == ("train" if own.held_out > 0 else "tune") and may_calibrate(row, [own], before)


def _key(recipe: DataRecipe) -> tuple[float, int, frozenset[str]]:
    return recipe.held_out, recipe.split_seed, frozenset(recipe.leave_out)


def _stages(told: Mapping[str, Any]) -> Iterator[Stage]:
    own = own_split(told)
    if own is not None:
        yield Stage(split=own, sources=_sources(told))
    for before in _before(told):
        yield from _stages(before)


def _before(told: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What the models that it began with, or is made of, tell."""
    members = [each.get("training") for each in told.get("members", []) if isinstance(each, Mapping)]
    return [each for each in (told.get("earlier"), told.get("run"), *members) if each]


def _sources(told: Mapping[str, Any]) -> frozenset[str] | None:
    """The sources learned from, those of a fine-tune among them."""
    tuned = told.get("finetuned") or {}
    lists = (told.get("sources"), told.get("labels"), tuned.get("labels"), tuned.get("simulated"))
    named = [each["source"] for some in lists for each in some or () if "source" in each]
    return frozenset(named) or None
