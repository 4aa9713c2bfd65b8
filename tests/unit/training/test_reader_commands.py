"""audit, cluster, explain and report on what a run left: their files, and pages that need nothing else."""

import csv
import json
import re
from datetime import UTC, datetime

import numpy as np
import pytest
import torch

from tests.unit.training.networks import write_file
from tests.unit.training.small import SIZE, small_set
from tests.unit.training.test_cli import training
from training.encoder import Backbone
from training.images import load, write_set
from training.recipe import recipe_from
from training.runs import save_weights, write_json, write_run

RECIPE = {"data": {"size": SIZE}, "audit": {"folds": 3, "strength": 1.0}, "cluster": {"least": 3}}
TOML = f"[data]\nsize = {SIZE}\n[audit]\nfolds = 3\nstrength = 1.0\n[cluster]\nleast = 3\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A prepared set of bars, and a run folder with an untrained backbone: random features tell bars apart."""
    folder = tmp_path_factory.mktemp("readers")
    data = small_set(per_region=6, regions=4)
    write_set(list(zip(data.rows, data.images, strict=True)), folder / "data", size=SIZE)
    torch.manual_seed(1)
    (folder / "run").mkdir()
    save_weights(folder / "run", {"backbone": Backbone().state_dict()})
    write_json(folder / "run" / "metrics.json", {"loss": 1.0})
    now = datetime(2026, 1, 1, tzinfo=UTC)
    write_run(folder / "run", command="pretrain", recipe=recipe_from(RECIPE), seed=0, data=data, now=now)
    (folder / "recipe.toml").write_text(TOML)
    return folder


def run(made, command, out, *more):
    options = ["--data", made / "data", "--recipe", made / "recipe.toml", "--out", out, *more]
    return training(command, *options)


def self_contained(page):
    """No script, and nothing that a browser would fetch."""
    text = page.read_text()
    fetched = [each for each in re.findall(r"(?:src|href)=\"([^\"]*)\"", text) if not each.startswith("data:")]
    return fetched == [] and "<script" not in text and "@import" not in text


@pytest.mark.slow
def test_the_audit_leaves_candidates_and_a_page(made, tmp_path):
    """One hand label among them is wrong on purpose: it is in the list, and the file is found from there."""
    data = load(made / "data")
    lines = (made / "data" / "manifest.csv").read_text()
    spoilt = lines.replace("0-0.png,clavicle", "0-0.png,rib")
    (made / "data" / "manifest.csv").write_text(spoilt)
    try:
        assert run(made, "audit", tmp_path / "a", "--from", made / "run") == 0
    finally:
        (made / "data" / "manifest.csv").write_text(lines)
    with (tmp_path / "a" / "candidates.csv").open() as stream:
        found = list(csv.DictReader(stream))
    assert list(found[0]) == ["file", "given", "proposed", "probability", "score"]
    wrong = [line for line in found if (line["given"], line["proposed"]) == ("rib", "clavicle")]
    assert (tmp_path / "a" / wrong[0]["file"]).resolve() == data.rows[0].file.resolve()
    scores = [float(line["score"]) for line in found]
    assert scores == sorted(scores, reverse=True)
    assert self_contained(tmp_path / "a" / "index.html")
    metrics = json.loads((tmp_path / "a" / "metrics.json").read_text())
    assert metrics["candidates"] == len(found)
    assert not metrics["backbone_saw_labels"] or metrics["method"] in ("supervised", "supcon")


@pytest.mark.slow
def test_clusters_named_by_a_person_become_a_data_set(made, tmp_path):
    """Whose size is the first call's, not the default one."""
    out = tmp_path / "c"
    assert run(made, "cluster", out, "--from", made / "run", "--name-from-labels") == 0
    assert self_contained(out / "index.html")
    metrics = json.loads((out / "metrics.json").read_text())
    assert 0 < metrics["nmi"] <= metrics["nmi_at_most"] + 1e-9
    assert training("cluster", "--data", made / "data", "--out", out, "--names", out / "names.csv") == 0
    named = load(out / "labelled")
    truth = {row.file.name: row.region for row in load(made / "data").rows}
    assert 0 < len(named.rows) <= len(truth)
    assert np.mean([truth[row.file.name] == row.region for row in named.rows]) > 0.5


@pytest.mark.slow
def test_the_explanation_and_the_report_need_nothing_but_themselves(made, tmp_path, capsys):
    """The report takes what the others left."""
    assert run(made, "explain", tmp_path / "e", "--from", made / "run") == 0
    assert self_contained(tmp_path / "e" / "index.html")
    assert run(made, "audit", tmp_path / "p", "--from", made / "run", "--plant", 2) == 0
    assert "random" in capsys.readouterr().out
    assert training("report", "--from", tmp_path / "e", tmp_path / "p", "--out", tmp_path / "r") == 0
    page = tmp_path / "r" / "index.html"
    assert self_contained(page)
    text = page.read_text()
    assert "97.7 %" in text
    assert "planted errors" in text


@pytest.mark.parametrize("command", ["audit", "cluster", "explain"])
def test_a_model_file_of_another_size_is_said_before_anything_is_computed(made, tmp_path, capsys, command):
    """It ended in a traceback, with --compare after all else had been computed."""
    path = tmp_path / "m.onnx"
    write_file(path)
    (tmp_path / "larger.toml").write_text(TOML.replace(f"size = {SIZE}", f"size = {SIZE + 16}"))
    more = ("--from", made / "run", "--compare", path) if command == "explain" else ("--from", path)
    given = ("--data", made / "data", "--recipe", tmp_path / "larger.toml", "--out", tmp_path / "o")
    assert training(command, *given, *more) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"takes images of {SIZE} px, and these are to be of {SIZE + 16} px" in said


def test_a_folder_without_metrics_is_said(tmp_path, capsys):
    assert training("report", "--from", tmp_path, "--out", tmp_path / "r") == 2
    assert "is no finished run" in capsys.readouterr().err
