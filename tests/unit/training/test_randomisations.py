"""The benchmark of the simulator's randomisations leaves runs that other commands can trust."""

import json

from benchmarks.randomisations import _measured
from tests.unit.training.small import SIZE, small_set
from training.manifest import is_held_out
from training.pool import Pool
from training.recipe import recipe_from


def test_a_benchmarks_run_learns_from_no_group_that_it_says_was_held_out(tmp_path):
    """`calibrate` believes its run.json, and takes the held-out groups for rows that no weight was learned from."""
    data = small_set(per_region=6, regions=3)
    recipe = recipe_from({"data": {"size": SIZE, "held_out": 0.5}, "pretrain": {"samples": 8, "batch": 8}})
    _measured(Pool.of(data), data, recipe, tmp_path / "run", 0)
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    kept = [row for row in data.rows if not is_held_out(row, fraction=0.5, seed=0)]
    assert told["recipe"]["data"]["held_out"] == 0.5
    assert sum(each["n"] for each in told["sources"]) == len(kept) < len(data.rows)
