"""What options of all commands cannot mean is refused in one sentence, before anything is read."""

import json

import numpy as np
import pytest
import torch

from tests.unit.training.processes import write_data, write_recipe
from tests.unit.training.test_cli import training
from training.errors import TrainingError
from training.planting import plant
from training.recipe import AuditRecipe

SEEDED = ["audit", "calibrate", "cluster", "evaluate", "explain", "prepare", "pretrain", "probe", "simulate"]
MORE = {"simulate": ["--atlas", "x", "--count", 1], "cluster": [], "prepare": []}


@pytest.mark.parametrize("seed", [-1, 2**32, 20261122123456])
@pytest.mark.parametrize("command", SEEDED)
def test_seeds_that_not_every_generator_takes_are_refused(tmp_path, capsys, command, seed):
    """A date with its time is soon too large: NumPy, scikit-learn and torch each end with another traceback."""
    data = [] if command == "simulate" else ["--data", tmp_path]
    source = [] if command in MORE or command == "pretrain" else ["--from", tmp_path / "run"]
    given = [*data, *source, *MORE.get(command, []), "--out", tmp_path / "o"]
    assert training(command, *given, "--seed", seed) == 2
    assert "Invalid value for '--seed'" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_the_largest_seed_trains(tmp_path):
    """A step's own seed is a million times the run's."""
    torch.set_num_threads(1)
    data, recipe = write_data(tmp_path), write_recipe(tmp_path, "supervised", steps=1)
    given = ["--data", data, "--recipe", recipe, "--out", tmp_path / "run", "--seed", 2**32 - 1]
    assert training("pretrain", *given) == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["seed"] == 2**32 - 1


@pytest.mark.parametrize("command", ["evaluate", "probe", "calibrate", "pretrain", "ensemble", "export", "report"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_run_folder_where_a_file_lies_is_refused(tmp_path, capsys, command, inside):
    """And the file stays as it is."""
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    data = [] if command in {"export", "report"} else ["--data", tmp_path]
    source = [] if command == "pretrain" else ["--from", tmp_path / "m.onnx"]
    assert training(command, *data, *source, "--out", file / "run" if inside else file) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "notes.txt is a file; name a folder." in told
    assert file.read_text() == "mine"


def test_planting_errors_with_fewer_than_one_seed_is_refused():
    """`audit --plant -1` would write means of nothing."""
    with pytest.raises(TrainingError, match="with one seed or more"):
        plant(np.zeros((4, 2)), [], np.zeros(4, np.int64), AuditRecipe(), seeds=range(-1))
