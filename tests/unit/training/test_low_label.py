"""The curve over few labels compares with a network that could learn, and takes no number that cannot be meant."""

import json
from pathlib import Path

import pytest

from tests.unit.training.small import SIZE, small_set
from tests.unit.training.test_cli import training
from tests.unit.training.test_splits import a_run
from training.images import write_set
from training.low_label import FEW_STEPS, baseline
from training.order import steps_of
from training.recipe import read_recipe

RECIPES = Path(__file__).parents[3] / "recipes"


@pytest.mark.parametrize("name", ["simclr", "byol", "supcon", "small-simclr"])
def test_the_network_from_scratch_is_trained_as_one_with_labels_is(name):
    """Not in nineteen batches of a thousand strongly distorted images, as a contrastive recipe would have it."""
    recipe = read_recipe(RECIPES / f"{name}.toml")
    plan = baseline(recipe, 100_000).pretrain
    assert (plan.method, plan.batch, plan.epochs) == ("supervised", recipe.finetune.batch, 0)
    assert plan.augment == recipe.probe.augment != recipe.pretrain.augment
    assert plan.learning_rate == recipe.pretrain.learning_rate
    assert steps_of(plan, 0) > FEW_STEPS


def test_a_supervised_recipe_is_the_baseline_as_it_stands():
    """Whoever names one means its batch and its augmentation."""
    recipe = read_recipe(RECIPES / "supervised.toml")
    plan = baseline(recipe, 1000)
    assert (plan.pretrain.batch, plan.pretrain.augment) == (256, recipe.pretrain.augment)
    assert plan.data == recipe.data


def test_the_table_says_in_how_many_steps_the_network_from_scratch_learned(tmp_path, capsys):
    """And the screen, that two are few: being ahead of it would be no finding."""
    data = small_set(per_region=6, regions=3)
    write_set(zip(data.rows, data.images, strict=True), tmp_path / "data", size=SIZE)
    asked = ["--share", 1.0, "--seeds", 1, "--samples", 24, "--recipe", tmp_path / "r.toml"]
    plan = "[pretrain]\nmethod = 'simclr'\nbatch = 1024\n[finetune]\nbatch = 12\n[probe]\nviews = 1\nepochs = 1\n"
    (tmp_path / "r.toml").write_text(f"[data]\nsize = {SIZE}\nheld_out = 0.5\n{plan}")
    given = ["--from", a_run(tmp_path / "run", 0.5), "--data", tmp_path / "data", "--out", tmp_path / "o"]
    assert training("low-label", *given, *asked) == 0
    assert "take 2 steps of 12 images: too few" in " ".join(capsys.readouterr().err.split())
    heads, _, cells = (tmp_path / "o" / "table.md").read_text().splitlines()[:3]
    assert (heads.split(" | ")[-1], cells.split(" | ")[-1]) == ("steps from scratch |", "2 |")


@pytest.mark.parametrize(("method", "saw"), [("simclr", False), ("supcon", True), ("supervised", True)])
def test_a_backbone_that_learned_from_labels_is_said(tmp_path, capsys, method, saw):
    """1 % of the labels for the head is not 1 % of the labels where the backbone has had all."""
    data = small_set(per_region=6, regions=3)
    write_set(zip(data.rows, data.images, strict=True), tmp_path / "data", size=SIZE)
    run, out = a_run(tmp_path / "run", 0.5), tmp_path / "o"
    told = json.loads((run / "run.json").read_text())
    told["recipe"]["pretrain"]["method"] = method
    told["recipe"]["probe"] |= {"views": 1, "epochs": 1}
    (run / "run.json").write_text(json.dumps(told))
    given = ["--from", run, "--data", tmp_path / "data", "--share", 1.0, "--seeds", 1, "--out", out]
    assert training("low-label", *given) == 0
    assert json.loads((out / "metrics.json").read_text())["backbone_saw_labels"] is saw
    for said in (capsys.readouterr().out, (out / "table.md").read_text()):
        assert ("The backbone of run learned from labels itself" in said) == saw


@pytest.mark.parametrize(
    "wrong", [["--seeds", 0], ["--per-region", -2], ["--share", 1.5], ["--samples", -1]], ids=lambda each: each[0]
)
def test_numbers_that_cannot_be_meant_are_refused(tmp_path, capsys, wrong):
    given = ["--from", tmp_path / "run", "--data", tmp_path, "--out", tmp_path / "o"]
    assert training("low-label", *given, *wrong) == 2
    assert f"'{wrong[0]}'" in capsys.readouterr().err
