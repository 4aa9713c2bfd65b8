"""An ensemble's folder tells what it was made of and measured on, and its making destroys no member."""

import json
from dataclasses import asdict, replace

import pytest

from tests.unit.training.networks import write_file
from tests.unit.training.small import SIZE, small_set
from tests.unit.training.test_cli import training
from training.images import write_set
from training.recipe import DataRecipe, Recipe
from training.report import MIXED, read_result


@pytest.fixture
def files(tmp_path):
    """Two model files that tell their split."""
    paths = [tmp_path / "0.onnx", tmp_path / "1.onnx"]
    for number, path in enumerate(paths):
        told = {"recipe": asdict(Recipe(data=DataRecipe(held_out=0.5)))}
        write_file(path, number, name=f"m{number}", training=told)
    return paths


@pytest.fixture
def data(tmp_path):
    """A prepared folder of simulated and real patients."""
    made = small_set(per_region=12, regions=2)
    rows = [replace(row, source=("simulated", "OAI")[int(row.group[1:]) % 2]) for row in made.rows]
    write_set(zip(rows, made.images, strict=True), tmp_path / "data", size=SIZE)
    return tmp_path / "data"


def test_an_ensembles_folder_tells_how_it_was_made_and_on_what_it_was_measured(tmp_path, files, data):
    """So that the report shows no number over simulated and real images together."""
    out = tmp_path / "o"
    assert training("ensemble", "--from", *files, "--data", data, "--out", out) == 0
    told = json.loads((out / "run.json").read_text())
    assert {"command", "recipe", "seed", "versions", "machine", "finished"} <= told.keys()
    assert [each["model"].split("-")[0] for each in told["members"]] == ["m0", "m1"]
    assert {each["source"] for each in told["calibrated_on"]} == {"simulated", "OAI"}
    result = read_result(out)
    assert (result["kind"], result["shown"]) == (MIXED, False)


def test_an_ensemble_is_no_member_of_another(tmp_path, files, data, capsys):
    assert training("ensemble", "--from", *files, "--data", data, "--out", tmp_path / "o") == 0
    assert training("ensemble", "--from", tmp_path / "o", files[0], "--data", data, "--out", tmp_path / "p") == 2
    assert "is an ensemble itself: name its members" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("what", ["adapted", "finetuned"])
def test_a_member_whose_labels_no_row_can_be_told_by_is_refused(tmp_path, files, data, capsys, what):
    """The rows that set the thresholds may be its labels; and the file that it was made from would do."""
    labels = {"adapted": [{"labels": {"hand": 40}}], "finetuned": {"labels": [{"source": "labels", "n": 40}]}}
    told = {"recipe": asdict(Recipe(data=DataRecipe(held_out=0.5))), what: labels[what]}
    write_file(tmp_path / "mine.onnx", 2, training=told)
    given = ["--from", files[0], tmp_path / "mine.onnx", "--data", data, "--out", tmp_path / "o"]
    assert training("ensemble", *given) == 2
    assert "mine.onnx learned from 40 labelled images that it does not name" in " ".join(
        capsys.readouterr().err.split()
    )
    assert not (tmp_path / "o").exists()


def test_the_same_file_twice_is_refused(tmp_path, files, capsys):
    """It would only count double; nor under another name."""
    other = tmp_path / "link.onnx"
    other.symlink_to(files[0])
    for second in (files[0], other):
        given = ["--from", files[0], second, "--data", tmp_path / "data", "--out", tmp_path / "o"]
        assert training("ensemble", *given) == 2
        assert "is given twice" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("name", ["model.onnx", "member1.onnx"])
def test_no_member_is_written_over(tmp_path, files, capsys, name):
    """Neither by the ensemble nor by the export of a run that is another member."""
    run, out = tmp_path / "run", tmp_path / "o"
    for folder in (run, out):
        folder.mkdir()
    (run / "run.json").write_text(json.dumps({"command": "calibrate"}))
    mine = files[0].rename(out / name)
    before = mine.read_bytes()
    assert training("ensemble", "--from", mine, run, "--data", tmp_path / "data", "--out", out) == 2
    assert "would be written over: choose another --out" in " ".join(capsys.readouterr().err.split())
    assert training("ensemble", "--from", files[1], run, "--data", tmp_path / "data", "--out", run) == 2
    assert "would be written over: choose another --out" in " ".join(capsys.readouterr().err.split())
    assert mine.read_bytes() == before
    assert json.loads((run / "run.json").read_text()) == {"command": "calibrate"}
