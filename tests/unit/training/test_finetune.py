"""How long the network is trained on a few labels, on what share of them, and on which simulated images."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.training.small import small_set
from training.drawn import subset
from training.finetune import as_trained
from training.finetuning import _some
from training.manifest import Row
from training.order import Order, steps_of
from training.pool import Pool
from training.recipe import read_recipe

RECIPES = Path(__file__).parents[3] / "recipes"


@pytest.mark.parametrize("name", ["simclr", "byol", "supcon", "supervised", "starter"])
def test_the_samples_count_whatever_the_recipe_says_of_epochs(name):
    """1000 epochs of 20,000 simulated images would be 312,500 steps instead of 125."""
    recipe = as_trained(read_recipe(RECIPES / f"{name}.toml"))
    assert steps_of(recipe.pretrain, rows=20_000) == 8_000 // 64


def test_half_of_what_is_learned_from_is_labelled_also_with_a_shuffled_recipe():
    """14 labelled images among 140 simulated ones: by shuffling they would be a tenth."""
    recipe = as_trained(read_recipe(RECIPES / "simclr.toml"))
    simulated, mine = small_set(per_region=10), small_set(per_region=1)
    mine = mine.where(lambda row: row.target >= 0)
    rows = [Row(file=row.file, region=row.region, group=row.group, use="train", source="mine") for row in mine.rows]
    pool = Pool.of(simulated, type(mine)(images=mine.images, rows=tuple(rows)))
    order = Order(pool, recipe.data, batch=4000, seed=0)
    chosen = [pool.rows[index] for index in order.rows(0, torch.Generator().manual_seed(0)).tolist()]
    inside = [row for row in chosen if row.target >= 0]
    assert sum(row.source == "mine" for row in inside) / len(inside) == pytest.approx(0.5, abs=0.03)


def test_what_stands_for_all_simulated_images_is_drawn_from_all_of_them():
    """The first 300 of a data set that is sorted are one region, or one kind out of domain, of one source."""
    data = small_set(per_region=20)
    order = np.argsort([row.region for row in data.rows], kind="stable")
    data = subset(data, order)
    some = _some(data, lambda row: row.target >= 0, 60, seed=1)
    assert len({row.region for row in some.rows}) == 14
    assert len(some.rows) == len(some.images) == 60
    assert [row.file for row in some.rows] != [
        row.file for row in _some(data, lambda row: row.target >= 0, 60, seed=2).rows
    ]
    assert len(_some(data, lambda row: row.target < 0, 60, seed=1).rows) == 20
