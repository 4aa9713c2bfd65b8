"""The whole way on the command line: manifest in, a model that the node opens out."""

import json

import numpy as np
import pytest

from dicom_node.model.session import Model
from tests.unit.training.small import SIZE, bar, write_manifest
from training.cli import main

RECIPE = f"""
name = "drawn"
version = "3"
[data]
size = {SIZE}
held_out = 0.4
[pretrain]
method = "METHOD"
samples = 480
batch = 24
[pretrain.augment]
any_rotation = 0
rotation = 0
mirror = 0
scale = [1, 1]
shear = 0
translation = 0
crop_area = [1, 1]
aspect = [1, 1]
collimation = 0
gauges = 0
[probe]
views = 1
epochs = 20
"""


def training(*arguments):
    """The exit status of the command line."""
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in arguments])
    return ended.value.code or 0


@pytest.mark.slow
@pytest.mark.parametrize("method", ["supervised", "supcon"])
def test_from_manifest_to_a_model_that_the_node_opens(tmp_path, method):
    """prepare, pretrain, probe, calibrate, export and evaluate, each on what the last one left."""
    manifest = write_manifest(tmp_path / "raw")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.replace("METHOD", method))
    data, common = tmp_path / "prepared", ["--recipe", recipe, "--seed", 3]
    steps = [
        ["prepare", "--data", manifest, "--recipe", recipe, "--out", data],
        ["pretrain", "--data", data, *common, "--out", tmp_path / "pretrain"],
        ["probe", "--data", data, *common, "--from", tmp_path / "pretrain", "--out", tmp_path / "probe"],
        ["calibrate", "--data", data, "--from", tmp_path / "probe", "--out", tmp_path / "calibrate"],
        ["export", "--from", tmp_path / "calibrate", "--out", tmp_path / "export"],
        [
            "evaluate",
            "--data",
            data,
            "--from",
            tmp_path / "export" / "model.onnx",
            "--use",
            "tune",
            "--out",
            tmp_path / "e",
        ],
    ]
    for step in steps:
        assert training(*step) == 0, step[0]
    for name in ("probe", "calibrate"):
        metrics = json.loads((tmp_path / name / "metrics.json").read_text())
        assert {"top1", "top2", "balanced", "per_region", "ece", "n"} <= set(metrics)
    model = Model.open(tmp_path / "export" / "model.onnx")
    assert (model.card.name, model.card.version, model.card.input_size) == ("drawn", "3", SIZE)
    assert model.card.training["seed"] == 0
    assert {each["source"] for each in model.card.training["sources"]} == {"drawn"}
    assert len(model.predict(np.stack([bar(0, 1), bar(5, 2)]).astype(np.float32) / 255)) == 2
    cells = json.loads((tmp_path / "e" / "metrics.json").read_text())["cells"]
    assert sum(cell["n"] for cell in cells) == 30
    told = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("export", "e")]
    assert [each["command"] for each in told] == ["export", "evaluate"]
    assert {each["model"] for each in told} == {model.model_id}
    assert told[1]["asked"]["use"] == ["tune"]
    for step in (["export", "--from", tmp_path / "calibrate"], steps[-1][:-2]):
        assert training(*step, "--out", tmp_path / "pretrain") == 2
    assert json.loads((tmp_path / "pretrain" / "run.json").read_text())["command"] == "pretrain"
    assert training(*steps[-1][:-2], "--out", tmp_path / "export") == 2
    assert training(*steps[-1]) == 0


def test_an_ensembles_member_looks_at_the_views_that_its_run_was_calibrated_on(tmp_path):
    """A run with four turns gives an ensemble that does not mind quarter turns, like its own file."""
    manifest, recipe, run = write_manifest(tmp_path / "raw"), tmp_path / "recipe.toml", tmp_path / "calibrate"
    recipe.write_text(RECIPE.replace("METHOD", "supervised") + "\n[calibrate]\nturns = 4\n")
    data, common = tmp_path / "prepared", ["--recipe", recipe]
    for step in (
        ["prepare", "--data", manifest, *common, "--out", data],
        ["pretrain", "--data", data, *common, "--out", tmp_path / "pretrain"],
        ["calibrate", "--data", data, *common, "--from", tmp_path / "pretrain", "--out", run],
        ["calibrate", "--data", data, *common, "--seed", 1, "--from", tmp_path / "pretrain", "--out", tmp_path / "2"],
        ["ensemble", "--from", run, tmp_path / "2", "--data", data, "--out", tmp_path / "e"],
    ):
        assert training(*step) == 0, step[0]
    image = bar(1, seed=7)[:SIZE, :SIZE].astype(np.float32) / 255.0
    one, other = Model.open(tmp_path / "e" / "model.onnx").predict(np.stack([image, np.rot90(image)]))
    assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)


def test_several_manifests_may_follow_one_option(tmp_path, capsys):
    """`--data A B` is what a shell's wildcard gives."""
    first, second = write_manifest(tmp_path / "a", 1), write_manifest(tmp_path / "b", 1)
    assert training("prepare", "--data", first, second, "--out", tmp_path / "out", "--workers", 1) == 0
    assert "30 of 30 pictures, 128 px" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["prepare", "--data", "absent.csv", "--out", "OUT"], "absent.csv cannot be read"),
        (["export", "--from", "OUT", "--out", "OUT"], "not the folder of a finished run"),
        (["evaluate", "--data", "absent.csv", "--from", "absent.onnx", "--out", "OUT"], "absent.onnx cannot be read"),
        (["export", "--from", "OUT", "--out", "/proc/x"], "/proc/x: No such file or directory"),
        (["prepare", "--data", "OUT", "--out", "RUN"], "There is no file to prepare in"),
        (["prepare", "--data", "OUT", "--out", "/proc/x"], "/proc/x: No such file or directory"),
    ],
)
def test_what_the_user_can_mend_ends_in_one_sentence_and_status_two(tmp_path, capsys, arguments, sentence):
    """No traceback."""
    folders = {"OUT": tmp_path, "RUN": tmp_path / "run"}
    assert training(*(folders.get(each, each) for each in arguments)) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert "Traceback" not in told
