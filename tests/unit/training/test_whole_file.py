"""Checkpoints and weights survive a power cut whole, and damage is told in a sentence that says what to do."""

import os

import pytest
import torch

from tests.unit.training.processes import write_data, write_recipe
from tests.unit.training.test_cli import training
from training.checkpoint import CHECKPOINT
from training.errors import TrainingError
from training.runs import WEIGHTS, load_weights, read_run, save_weights, training_summary, write_json

DAMAGES = {
    "empty": lambda content: b"",
    "cut short": lambda content: content[: len(content) // 2],
    "a few bytes alone": lambda content: content[:10],
    "something else": lambda content: b"e" + content[::-1],
    "wrong bytes": lambda content: content[: len(content) // 2] + b"\xff\x00\xff" + content[len(content) // 2 + 3 :],
}


@pytest.fixture
def weights(tmp_path):
    save_weights(tmp_path, {"backbone": {"a": torch.arange(1000.0)}})
    return tmp_path


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_are_told_in_a_sentence(weights, damage):
    """Whatever it is that torch makes of them."""
    path = weights / WEIGHTS
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(TrainingError, match=r"weights\.pt is damaged: run again the command that made it"):
        load_weights(weights)


def test_a_folder_without_weights_is_no_damage(tmp_path):
    with pytest.raises(TrainingError, match=r"has no weights\.pt: name a finished run"):
        load_weights(tmp_path)


def test_what_is_not_on_the_disk_replaces_nothing(weights, monkeypatch):
    """A rename may come to the disk before the content does: after a power cut the file would be there, and empty."""
    write_json(weights / "run.json", {"recipe": {}})

    def no_room(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    for write in (lambda: save_weights(weights, {"backbone": {}}), lambda: write_json(weights / "run.json", {})):
        with pytest.raises(OSError, match="No space"):
            write()
    assert len(load_weights(weights)["backbone"]["a"]) == 1000
    assert read_run(weights) == {"recipe": {}}


@pytest.mark.parametrize("content", ["", "[]", '{"command": "probe"}'])
def test_a_run_that_does_not_tell_its_recipe_is_told_in_a_sentence(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(TrainingError, match="is not the folder of a finished run"):
        read_run(tmp_path)


def test_damaged_metrics_are_told_in_a_sentence(tmp_path):
    (tmp_path / "run.json").write_text('{"recipe": {}}')
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(TrainingError, match=r"no readable metrics\.json"):
        training_summary(tmp_path)


def test_a_damaged_checkpoint_ends_in_one_sentence_and_without_it_the_run_begins_anew(tmp_path, capsys):
    data, recipe, out = write_data(tmp_path), write_recipe(tmp_path, "supervised", steps=1), tmp_path / "run"
    command = ["pretrain", "--data", data, "--recipe", recipe, "--out", out]
    assert training(*command) == 0
    path = out / CHECKPOINT
    content, first = path.read_bytes(), load_weights(out)
    for damage in DAMAGES.values():
        path.write_bytes(damage(content))
        assert training(*command) == 2
        told = " ".join(capsys.readouterr().err.split())
        assert "checkpoint.pt is damaged: remove it to begin anew, or choose another --out." in told
        assert "Traceback" not in told
    path.unlink()
    assert training(*command) == 0
    again = load_weights(out)
    assert all(torch.equal(value, again["backbone"][name]) for name, value in first["backbone"].items())


def test_a_checkpoint_of_other_networks_is_told_in_a_sentence(tmp_path, capsys):
    data, recipe, out = write_data(tmp_path), write_recipe(tmp_path, "supervised", steps=1), tmp_path / "run"
    command = ["pretrain", "--data", data, "--recipe", recipe, "--out", out]
    assert training(*command) == 0
    saved = torch.load(out / CHECKPOINT, weights_only=True)
    torch.save({**saved, "weights": {}}, out / CHECKPOINT)
    assert training(*command) == 2
    assert "does not fit the networks of this version: remove it" in " ".join(capsys.readouterr().err.split())
