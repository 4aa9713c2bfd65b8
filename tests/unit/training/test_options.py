"""What options of all commands cannot mean is refused in one sentence, before anything is read."""

import json
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
import typer

from tests.unit.training.processes import write_data, write_recipe
from tests.unit.training.test_cli import training
from training.cli import app
from training.errors import TrainingError
from training.logbook import Logbook
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


@pytest.mark.parametrize(
    ("given", "unused"),
    [
        (["probe", "--from-model", "m.onnx", "--labels", "l.csv", "--data", "d"], "--data"),
        (["probe", "--from-model", "m.onnx", "--labels", "l.csv", "--from", "r"], "--from"),
        (["probe", "--from-model", "m.onnx", "--labels", "l.csv", "--recipe", "r.toml"], "--recipe"),
        (["probe", "--from-model", "m.onnx", "--labels", "l.csv", "--seed", 77], "--seed"),
        (
            ["probe", "--from-model", "m.onnx", "--labels", "l.csv", "--finetune", "--data", "d", "--from", "r"],
            "--from",
        ),
        (["audit", "--data", "d", "--from", "r", "--plant", 5, "--shown", 9], "--shown"),
        (["cluster", "--data", "d", "--from", "r", "--key", "k"], "--key"),
        (["cluster", "--data", "d", "--names", "n.csv", "--from", "r"], "--from"),
        (["cluster", "--data", "d", "--ledger", "node.toml", "--name-from-labels"], "--name-from-labels"),
        (["low-label", "--data", "d", "--from-model", "m.onnx", "--share", 0.1], "--share"),
        (["low-label", "--data", "d", "--from-model", "m.onnx", "--samples", 9], "--samples"),
        (["low-label", "--data", "d", "--from", "r", "--per-region", 5], "--per-region"),
        (["prepare", "--data", "d", "--spool", "s"], "--spool"),
        (["prepare", "--ledger", "node.toml", "--source", "ours"], "--source"),
        (["prepare", "--data", "m.csv", "--key", "k"], "--key"),
        (["prepare", "--data", "m.csv", "--tune", 0.3], "--tune"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(tmp_path, capsys, monkeypatch, given, unused):
    """Somebody who forgot --finetune, say, would believe that the data and the recipe had been used."""
    monkeypatch.chdir(tmp_path)
    assert training(*given, "--out", "o") == 2
    assert f"{unused} would not be looked at" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def options_with_paths():
    """Of all commands, by their annotations."""
    commands = typer.main.get_command(app).commands
    for name, command in commands.items():
        hints = get_type_hints(command.callback)
        for parameter in command.params:
            hint = hints.get(parameter.name)
            if Path in (hint, *get_args(hint), *(part for each in get_args(hint) for part in get_args(each))):
                yield name, parameter.opts[0]


@pytest.mark.parametrize(("command", "option"), list(options_with_paths()))
def test_an_empty_path_is_not_the_current_folder(capsys, command, option):
    """`--out "$RUN"` with a variable that is not set would fill the folder that one happens to be in."""
    assert training(command, option, "") == 2
    assert "an empty path" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["prepare", "cluster"])
def test_an_empty_ledger_is_none(capsys, command):
    assert training(command, "--ledger", "") == 2
    assert "an empty path" in capsys.readouterr().err


@pytest.mark.parametrize(
    "given", [["simulate", "--workers", -3], ["prepare", "--workers", -3], ["audit", "--shown", -1]]
)
def test_fewer_than_none_is_refused(capsys, given):
    assert training(*given) == 2
    assert f"Invalid value for '{given[1]}'" in capsys.readouterr().err


def test_a_run_folder_that_tensorboard_cannot_write_in_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="not in UTF-8: name another --out"):
        Logbook(tmp_path / "R\udcf6", start=0)
