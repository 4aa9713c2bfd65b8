"""The recipes of Langer et al. 2024 hold the paper's settings; its numbers are written here a second time."""

from pathlib import Path

import pytest

from training.recipe import read_recipe

RECIPES = Path(__file__).parents[3] / "recipes"

PRETRAINING = {
    "gauges": 2,
    "gauge_scale": (0.8, 1.2),
    "gauge_intensity": (0.75, 1.0),
    "brightness": (0.5, 1.5),
    "contrast": (0.25, 1.75),
    "rotation": 15.0,
    "translation": 0.1,
    "scale": (0.8, 1.5),
    "shear": 30.0,
    "crop_area": (0.08, 1.0),
    "aspect": (pytest.approx(3 / 4), pytest.approx(4 / 3)),
}
HEAD = {
    "gauges": 2,
    "gauge_scale": (0.8, 1.2),
    "gauge_intensity": (0.75, 1.0),
    "brightness": (0.9, 1.1),
    "contrast": (0.8, 1.2),
    "rotation": 5.0,
    "translation": 0.02,
    "scale": (0.95, 1.1),
    "shear": 10.0,
    "crop_area": (0.95, 1.1),
    "aspect": (0.9, 1.1),
}
OURS_AND_OFF = {
    "any_rotation": 0.0, "mirror": 0.0, "gamma": (1.0, 1.0), "noise": 0.0, "invert": 0.0, "collimation": 0.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("simclr", {"batch": 1024, "temperature": 0.5}),
        ("byol", {"batch": 896, "momentum": 0.9995}),
        ("supcon", {"batch": 1024, "temperature": 0.5}),
    ],
)
def test_a_pretraining_recipe_is_the_papers(name, own):
    """Section 3.3: Adam with 3e-4, weight decay 1e-4, 1000 epochs; supplement, table 1, left column."""
    plan = read_recipe(RECIPES / f"{name}.toml").pretrain
    common = {"method": name, "epochs": 1000, "learning_rate": 3e-4, "weight_decay": 1e-4, "warmup": 0.0}
    for key, value in {**common, **own}.items():
        assert getattr(plan, key) == value, key
    for key, value in {**PRETRAINING, **OURS_AND_OFF}.items():
        assert getattr(plan.augment, key) == value, key


@pytest.mark.parametrize("name", ["simclr", "byol", "supcon", "supervised"])
def test_a_papers_recipe_learns_from_every_patient_for_training(name):
    """64 % of the patients train, 16 % validate, 20 % test; nothing is held out of the first."""
    assert read_recipe(RECIPES / f"{name}.toml").data.held_out == 0.0


def test_the_supervised_baseline_is_augmented_like_the_head():
    """Supplement, table 1, right column."""
    plan = read_recipe(RECIPES / "supervised.toml").pretrain
    assert plan.method == "supervised"
    for key, value in {**HEAD, **OURS_AND_OFF}.items():
        assert getattr(plan.augment, key) == value, key


@pytest.mark.parametrize("name", ["simclr", "byol", "supcon"])
def test_linear_evaluation_is_the_papers(name):
    """Section 3.3: Adam with 5e-2 and without weight decay; supplement, table 1, right column."""
    probe = read_recipe(RECIPES / f"{name}.toml").probe
    assert (probe.learning_rate, probe.weight_decay, probe.head) == (5e-2, 0.0, "fit")
    for key, value in {**HEAD, **OURS_AND_OFF}.items():
        assert getattr(probe.augment, key) == value, key
