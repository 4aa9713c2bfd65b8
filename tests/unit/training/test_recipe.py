"""A recipe is one validated value; a mistyped key never passes silently."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from training.errors import TrainingError
from training.limits import LIMITS
from training.recipe import Recipe, read_recipe, recipe_from

RECIPES = Path(__file__).parents[3] / "recipes"


def test_what_is_not_named_keeps_its_default():
    """Sections merge; ranges become pairs of numbers; whole numbers are taken where numbers are asked."""
    recipe = recipe_from({"pretrain": {"samples": 7, "augment": {"scale": [1, 2]}}, "data": {"ood_share": 0}})
    assert recipe.pretrain.samples == 7
    assert recipe.pretrain.augment.scale == (1.0, 2.0)
    assert recipe.pretrain.augment.shear == Recipe().pretrain.augment.shear
    assert recipe.data.ood_share == 0.0


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"pretrain": {"sample": 7}}, "unknown key 'pretrain.sample'; did you mean 'samples'"),
        ({"pretrain": {"method": "magic"}}, "must be one of supervised, supcon"),
        ({"pretrain": {"batch": "64"}}, "not a whole number"),
        ({"pretrain": {"batch": True}}, "not a whole number"),
        ({"pretrain": {"augment": {"scale": 3}}}, "not a pair of numbers"),
        ({"data": 3}, "'data' is 3"),
        ({"pretrain": {"batch": 0}}, "'pretrain.batch' is 0; it must be 2 or more"),
        ({"pretrain": {"batch": 1}}, "'pretrain.batch' is 1; it must be 2 or more"),
        ({"finetune": {"batch": 1}}, "'finetune.batch' is 1; it must be 2 or more"),
        ({"pretrain": {"augment": {"gamma": ["a", "b"]}}}, "not a pair of numbers"),
        ({"pretrain": {"augment": {"gamma": [0, 1]}}}, "must be above 0"),
        ({"probe": {"augment": {"scale": [1.5, 0.5]}}}, "the smaller number comes first"),
        ({"pretrain": {"temperature": float("nan")}}, "must be above 0"),
        ({"data": {"held_out": 1.5}}, "must lie between 0 and 1"),
        ({"audit": {"folds": 1}}, "must be 2 or more"),
        ({"data": {"size": 1}}, "'data.size' is 1; it must be 16 or more"),
        ({"probe": {"views": 0}}, "must be 1 or more"),
        ({"simulate": {"children": 1.2}}, "'simulate.children' is 1.2; it must lie between 0 and 1"),
        ({"simulate": {"tone": {"film": -0.1}}}, "must lie between 0 and 1"),
        ({"simulate": {"detector": {"photons": [1e6, 1e4]}}}, "the smaller number comes first"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(values, sentence):
    """The sentence names the key, and the nearest valid one where there is one."""
    with pytest.raises(TrainingError, match=sentence):
        recipe_from(values)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_recipe_in_another_encoding_is_refused_in_one_sentence(tmp_path, encoding):
    """Some editors save so."""
    path = tmp_path / "recipe.toml"
    path.write_text('name = "R\u00f6ntgen"\n', encoding=encoding)
    with pytest.raises(TrainingError, match="is not in UTF-8, as TOML is"):
        read_recipe(path)


def test_every_limit_is_of_a_key_that_there_is_and_lets_its_default_pass():
    """A key that was renamed would lose its limit without a word."""
    values = dataclasses.asdict(Recipe())
    values |= {"augment": values["pretrain"]["augment"], **values["simulate"]}
    for name, (low, high) in LIMITS.items():
        section, key = name.split(".")
        for each in np.atleast_1d(values[section][key]):
            assert low <= each <= high, name


def test_a_recipe_survives_the_run_folder():
    """`run.json` holds the whole recipe, from which later commands read it again."""
    recipe = recipe_from({"name": "x", "data": {"leave_out": ["a", "b"]}, "probe": {"head": "keep"}})
    assert recipe_from(json.loads(json.dumps(dataclasses.asdict(recipe)))) == recipe


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_that_we_ship_is_valid(path):
    """And names itself."""
    assert read_recipe(path).name != "unnamed"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"data": 3}, r"'data' is 3; it is a section, with keys of its own: \[data\]"),
        ({"calibrate": {"turns": True}}, "'calibrate.turns' is True; it must be one of 1, 4, 8"),
        ({"pretrain": {"learning_rate": float("inf")}}, "'pretrain.learning_rate' is inf; it must be finite"),
    ],
)
def test_values_that_only_look_like_others_are_refused(values, sentence):
    """`true` equals 1 in Python, and nothing is learned at an infinite rate."""
    with pytest.raises(TrainingError, match=sentence):
        recipe_from(values)
