"""The one loop learns, and a killed run continues as if nothing had happened."""

import pytest
import torch

from tests.unit.training.small import SIZE, small_set
from training.errors import TrainingError
from training.pretrain import pretrain
from training.recipe import recipe_from

CPU = torch.device("cpu")


def recipe(method="supervised", steps=6, **plan):
    values = {"method": method, "samples": steps * 8, "batch": 8, "learning_rate": 1e-3, "warmup": 0.2, **plan}
    return recipe_from({"data": {"size": SIZE}, "pretrain": values})


def flat(weights):
    return {f"{part}.{name}": value for part in ("backbone", "method") for name, value in weights[part].items()}


@pytest.mark.parametrize("method", ["supervised", "supcon"])
def test_a_killed_run_continues_exactly(tmp_path, method):
    """Stopped after three of six steps and started again: bit for bit the weights of the run that was not stopped."""
    data, plan = small_set(), recipe(method)
    whole = pretrain(data, plan, seed=5, out=_new(tmp_path / "whole"), device=CPU)
    parts = _new(tmp_path / "parts")
    halfway = pretrain(data, plan, seed=5, out=parts, device=CPU, stop_after=3)
    continued = pretrain(data, plan, seed=5, out=parts, device=CPU)
    assert not torch.equal(flat(halfway)["backbone.stem.0.weight"], flat(whole)["backbone.stem.0.weight"])
    for name, value in flat(whole).items():
        assert torch.equal(value, flat(continued)[name]), name


def test_another_seed_gives_other_weights_and_does_not_continue_a_foreign_run(tmp_path):
    """The seed is part of what a run is; so is the recipe."""
    data = small_set()
    out = _new(tmp_path / "a")
    first = pretrain(data, recipe(steps=1), seed=1, out=out, device=CPU)
    second = pretrain(data, recipe(steps=1), seed=2, out=_new(tmp_path / "b"), device=CPU)
    assert not torch.equal(flat(first)["backbone.stem.0.weight"], flat(second)["backbone.stem.0.weight"])
    with pytest.raises(TrainingError, match="belongs to seed 1"):
        pretrain(data, recipe(steps=2), seed=2, out=out, device=CPU)
    with pytest.raises(TrainingError, match="another recipe"):
        pretrain(data, recipe("supcon", steps=2), seed=1, out=out, device=CPU)


def test_a_run_can_begin_with_the_weights_of_another(tmp_path):
    """The backbone always; the method's own weights where they are of the same kind."""
    data = small_set()
    first = pretrain(data, recipe(steps=2), seed=1, out=_new(tmp_path / "a"), device=CPU)
    frozen = recipe(steps=1, learning_rate=0.0)
    same = pretrain(data, frozen, seed=9, out=_new(tmp_path / "b"), device=CPU, first=first)
    assert torch.equal(same["method"]["head.weight"], first["method"]["head.weight"])
    other = pretrain(
        data, recipe("supcon", steps=1, learning_rate=0.0), seed=9, out=_new(tmp_path / "c"), device=CPU, first=first
    )
    assert torch.equal(other["backbone"]["stem.0.weight"], first["backbone"]["stem.0.weight"])


@pytest.mark.parametrize("method", ["supervised", "supcon"])
def test_the_loss_falls_on_pictures_that_are_easy(tmp_path, method):
    """Three regions and noise, told apart by the place of a bar, without augmentation."""
    still = {
        "rotation": 0, "any_rotation": 0, "mirror": 0, "scale": [1, 1], "shear": 0, "translation": 0,
        "crop_area": [1, 1], "aspect": [1, 1], "gauges": 0, "collimation": 0, "invert": 0,
    }  # fmt: skip
    losses = []
    plan = recipe(method, batch=16, samples=480, augment=still)
    pretrain(
        small_set(regions=3),
        plan,
        seed=0,
        out=_new(tmp_path / "run"),
        device=CPU,
        advance=lambda _, loss: losses.append(loss),
    )
    steps = losses[1:]  # the first call tells how much was already done
    assert sum(steps[-5:]) / 5 < 0.9 * sum(steps[:5]) / 5


def _new(folder):
    folder.mkdir()
    return folder
