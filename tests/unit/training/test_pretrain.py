"""The one loop learns, and a killed run continues as if nothing had happened."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.unit.training.small import SIZE, small_set
from training.errors import TrainingError
from training.images import write_set
from training.pool import Pool, open_pool
from training.pretrain import pretrain
from training.recipe import recipe_from

CPU = torch.device("cpu")


def recipe(method="supervised", steps=6, **plan):
    values = {"method": method, "samples": steps * 8, "batch": 8, "learning_rate": 1e-3, "warmup": 0.2, **plan}
    return recipe_from({"data": {"size": SIZE}, "pretrain": values})


def flat(trained):
    weights = trained.weights
    return {f"{part}.{name}": value for part in ("backbone", "method") for name, value in weights[part].items()}


@pytest.mark.parametrize("method", ["supervised", "supcon", "simclr", "byol", "mixed"])
def test_a_stopped_run_continues_exactly(tmp_path, method):
    """Stopped after two of four steps and started again: bit for bit the weights of the run that was not stopped."""
    data, plan = small_set(), recipe(method, ema=0.9, steps=4, momentum=0.9)
    whole = pretrain(data, plan, seed=5, out=_new(tmp_path / "whole"), device=CPU)
    parts = _new(tmp_path / "parts")
    halfway = pretrain(data, plan, seed=5, out=parts, device=CPU, stop_after=2)
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
    with pytest.raises(TrainingError, match="other data"):
        pretrain(small_set(per_region=1), recipe(steps=1), seed=1, out=out, device=CPU)
    with pytest.raises(TrainingError, match="another recipe"):
        pretrain(data, recipe("supcon", steps=2), seed=1, out=out, device=CPU)


def test_a_run_can_begin_with_the_weights_of_another(tmp_path):
    """The backbone always; the method's own weights where they are of the same kind."""
    data = small_set()
    first = pretrain(data, recipe(steps=2), seed=1, out=_new(tmp_path / "a"), device=CPU)
    frozen = recipe(steps=1, learning_rate=0.0)
    same = pretrain(data, frozen, seed=9, out=_new(tmp_path / "b"), device=CPU, first=first.weights)
    assert torch.equal(flat(same)["method.head.weight"], flat(first)["method.head.weight"])
    other = pretrain(
        data,
        recipe("supcon", steps=1, learning_rate=0.0),
        seed=9,
        out=_new(tmp_path / "c"),
        device=CPU,
        first=first.weights,
    )
    assert torch.equal(flat(other)["backbone.stem.0.weight"], flat(first)["backbone.stem.0.weight"])


def test_byols_target_begins_as_the_backbone_that_the_run_begins_with(tmp_path):
    """A random target would first pull the backbone away from what it had learned."""
    data = small_set(per_region=1)
    first = pretrain(data, recipe(steps=1), seed=1, out=_new(tmp_path / "a"), device=CPU)
    byol = pretrain(
        data, recipe("byol"), seed=9, out=_new(tmp_path / "b"), device=CPU, first=first.weights, stop_after=0
    )
    for name, value in first.weights["backbone"].items():
        assert torch.equal(flat(byol)[f"method.target_backbone.{name}"], value), name


def test_a_run_that_began_with_other_weights_is_not_continued(tmp_path):
    """Otherwise a finished run from A would be handed on as one from B."""
    data, plan = small_set(per_region=1), recipe(steps=1)
    a, b = (pretrain(data, plan, seed=seed, out=_new(tmp_path / str(seed)), device=CPU).weights for seed in (1, 2))
    out = _new(tmp_path / "from")
    pretrain(data, plan, seed=9, out=out, device=CPU, first=a)
    assert pretrain(data, plan, seed=9, out=out, device=CPU, first=a).step == 1
    for other in (b, None):
        with pytest.raises(TrainingError, match="began with other weights"):
            pretrain(data, plan, seed=9, out=out, device=CPU, first=other)


def test_a_checkpoint_of_a_release_that_did_not_tell_its_first_weights_is_continued(tmp_path):
    """Runs that are under way go on."""
    data, out = small_set(per_region=1), _new(tmp_path / "run")
    done = pretrain(data, recipe(steps=1), seed=1, out=out, device=CPU)
    saved = torch.load(out / "checkpoint.pt", weights_only=True)
    torch.save({name: value for name, value in saved.items() if name != "first"}, out / "checkpoint.pt")
    assert pretrain(data, recipe(steps=1), seed=1, out=out, device=CPU, first=done.weights).step == 1


@pytest.mark.parametrize("method", ["supervised", "supcon", "simclr", "byol", "mixed"])
def test_the_loss_falls_on_pictures_that_are_easy(tmp_path, method):
    """Three regions and noise, told apart by the place of a bar, without augmentation."""
    still = {
        "rotation": 0, "any_rotation": 0, "mirror": 0, "scale": [1, 1], "shear": 0, "translation": 0,
        "crop_area": [1, 1], "aspect": [1, 1], "gauges": 0, "collimation": 0, "invert": 0,
    }  # fmt: skip
    losses = []
    plan = recipe(method, batch=16, samples=320, augment=still, momentum=0.9)
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


def test_a_run_out_of_minutes_goes_on_with_the_same_call(tmp_path):
    """It stops after a step with a checkpoint, says how far it came, and ends with the weights of one long run."""
    data, plan = small_set(), recipe(steps=3)
    out, parts = _new(tmp_path / "run"), []
    while not parts or parts[-1].step < parts[-1].steps:
        parts.append(pretrain(data, plan, seed=5, out=out, device=CPU, minutes=0.0))
    assert [part.step for part in parts] == [1, 2, 3]
    whole = pretrain(data, plan, seed=5, out=_new(tmp_path / "whole"), device=CPU)
    assert torch.equal(flat(parts[-1])["backbone.stem.0.weight"], flat(whole)["backbone.stem.0.weight"])


def test_the_average_is_handed_on_in_place_of_the_last_step(tmp_path):
    """With a decay of nearly 1 it lies between the first weights and the last ones."""
    data = small_set()
    last = flat(pretrain(data, recipe(), seed=5, out=_new(tmp_path / "a"), device=CPU))
    averaged = flat(pretrain(data, recipe(ema=0.9), seed=5, out=_new(tmp_path / "b"), device=CPU))
    first = flat(pretrain(data, recipe(), seed=5, out=_new(tmp_path / "c"), device=CPU, stop_after=0))
    name = "method.head.weight"
    assert 0 < (averaged[name] - first[name]).norm() < (last[name] - first[name]).norm()


def test_a_fingerprint_is_of_the_rows_the_size_and_the_pixels(tmp_path):
    """The same rows, prepared anew at another size or from other pixels, are other data; where they lie is not."""
    data = small_set(per_region=2)
    bright, wide = np.minimum(data.images, 200), np.repeat(np.repeat(data.images, 2, axis=1), 2, axis=2)
    moved = tuple(replace(row, file=tmp_path / row.file) for row in data.rows)
    same, *others = (Pool.of(each).fingerprint for each in (
        replace(data, rows=moved), replace(data, images=bright), replace(data, images=wide),
        replace(data, rows=data.rows[::-1]),
    ))  # fmt: skip
    assert same == Pool.of(data).fingerprint
    assert len({same, *others}) == 4


def test_a_checkpoint_of_an_older_release_goes_on_with_the_same_rows(tmp_path):
    """Its fingerprint says nothing of pixels."""
    data, out = small_set(), _new(tmp_path / "a")
    pretrain(data, recipe(steps=2), seed=1, out=out, device=CPU, stop_after=1)
    saved = torch.load(out / "checkpoint.pt", weights_only=True)
    torch.save({**saved, "data": saved["data"].partition("-")[0]}, out / "checkpoint.pt")
    assert pretrain(data, recipe(steps=2), seed=1, out=out, device=CPU).step == 2
    with pytest.raises(TrainingError, match="other data"):
        pretrain(small_set(3), recipe(steps=2), seed=1, out=out, device=CPU)


def test_a_pool_of_folders_gives_the_rows_of_each_and_larger_images_become_views_of_the_models_size(tmp_path):
    """Mapped, not read; rows are found in whatever folder they lie."""
    sets = [write_set(list(zip(each.rows, each.images, strict=True)), tmp_path / name, size=SIZE)
            for name, each in (("a", small_set(1)), ("b", small_set(2)))]  # fmt: skip
    pool = open_pool([tmp_path / "a", tmp_path / "b"], at_least=SIZE).where(lambda row: row.region != "knee")
    assert isinstance(pool.parts[0], np.memmap)
    whole = np.concatenate([each.images[[row.region != "knee" for row in each.rows]] for each in sets])
    chosen = torch.tensor([40, 0, 13, 14, 0])
    assert np.array_equal(pool.taker(CPU)(chosen).numpy(), whole[chosen.numpy()])
    smaller = recipe_from({"data": {"size": 24}, "pretrain": {"samples": 8, "batch": 8}})
    assert pretrain(pool, smaller, seed=0, out=_new(tmp_path / "run"), device=CPU).step == 1
    with pytest.raises(TrainingError, match="asks for 64 px"):
        open_pool([tmp_path / "a"], at_least=64)


def _new(folder):
    folder.mkdir()
    return folder
