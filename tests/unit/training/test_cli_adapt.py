"""The command line around a model file: adapt, sum, shrink, measure few labels; and what it says when it cannot."""

import csv
import json
import re
import shutil
from dataclasses import replace

import cv2
import numpy as np
import onnx
import pytest
import torch

from dicom_node.model.card import LABELS
from dicom_node.model.session import Model
from tests.unit.model.tiny import tiny_card
from tests.unit.training.networks import SIZE, write_file
from tests.unit.training.small import bar, small_set, write_manifest
from training.cli import main
from training.commands.export import _judges
from training.embeddings import open_encoder
from training.errors import TrainingError
from training.images import load, write_set
from training.manifest import is_learned_from
from training.reopen import head_of_file
from training.runs import load_weights
from training.splits import data_recipe

HALF_HELD_OUT = {"recipe": {"data": {"held_out": 0.5}}}
"""What a card tells of a training that kept half of the groups out."""


def training(*arguments):
    """The exit status of the command line."""
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in arguments])
    return ended.value.code or 0


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.onnx"
    write_file(path, name="little")
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A prepared folder: ten bars of each region and ten of noise, each of a patient of its own."""
    folder = tmp_path_factory.mktemp("data")
    made = small_set(per_region=10)
    rows = [replace(row, group=str(number)) for number, row in enumerate(made.rows)]
    write_set(list(zip(rows, made.images, strict=True)), folder, size=SIZE)
    return folder


def write_labels(folder, per_region=5, regions=3):
    path = folder / "labels.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "region"])
        for number in range(per_region):
            for index in range(regions):
                name = f"{number}-{index}.png"
                cv2.imwrite(str(folder / name), bar(index, seed=number * 100 + index))
                writer.writerow([name, LABELS[index]])
    return path


def test_a_model_file_is_adapted_to_a_few_labels(tmp_path, file):
    """The node opens the result; its card tells parent and counts; it knows the labelled images, untrained backbone or
    not; the rows of regions without an image are the parent's.
    """
    out = tmp_path / "out"
    assert training("probe", "--from-model", file, "--labels", write_labels(tmp_path), "--out", out) == 0
    model = Model.open(out / "model.onnx")
    history = model.card.training["adapted"]
    assert model.card.name == "little-adapted"
    assert history[0]["parent"] == Model.open(file).model_id
    assert history[0]["labels"] == {"clavicle": 5, "shoulder": 5, "skull": 5}
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["n"] == 15
    assert {"top1", "top2", "balanced", "per_region", "ece"} <= metrics.keys()


def test_an_adapted_file_is_adapted_again_from_what_it_was_before(tmp_path, file, capsys):
    """Its head knows the labels: of random ones it would be surer each time, on "images left out of the fit"."""
    labels, source, measured = write_labels(tmp_path), file, []
    for number in range(3):
        out = tmp_path / str(number)
        assert training("probe", "--from-model", source, "--labels", labels, "--out", out) == 0
        assert ("had been adapted before" in " ".join(capsys.readouterr().err.split())) == (number > 0)
        measured.append(json.loads((out / "metrics.json").read_text()))
        card, source = Model.open(out / "model.onnx").card, out / "model.onnx"
        assert card.name == "little-adapted"
        assert [each["parent"] for each in card.training["adapted"]] == [Model.open(file).model_id]
    assert measured[0] == measured[1] == measured[2]


def test_a_model_file_is_not_written_over_by_what_is_made_from_it(tmp_path, file, data, capsys):
    """Adapted, fine-tuned, exported or made smaller; nor by way of a link."""
    for name in ("model.onnx", "model-small.onnx"):
        shutil.copy(file, tmp_path / name)
    (tmp_path / "link.onnx").hardlink_to(tmp_path / "model.onnx")
    labels = ("--labels", write_labels(tmp_path))
    for command in (
        ("probe", "--from-model", tmp_path / "model.onnx", *labels),
        ("probe", "--from-model", tmp_path / "link.onnx", *labels),
        ("probe", "--from-model", tmp_path / "model.onnx", *labels, "--finetune", "--data", data),
        ("export", "--from", tmp_path / "model.onnx", "--float16"),
        ("export", "--from", tmp_path / "model-small.onnx", "--data", data),
    ):
        assert training(*command, "--out", tmp_path) == 2
        assert "from which it is made: name another --out" in " ".join(capsys.readouterr().err.split())
    for name in ("model.onnx", "model-small.onnx"):
        assert (tmp_path / name).read_bytes() == file.read_bytes()


def test_what_cannot_be_adapted_is_said_in_a_sentence(tmp_path, file, capsys):
    (tmp_path / "labels.csv").write_text("file,region\nnone.png,hand\n")
    assert training("probe", "--from-model", file, "--labels", tmp_path / "labels.csv", "--out", tmp_path / "o") == 2
    assert "line 2: there is no file" in capsys.readouterr().err
    assert training("probe", "--from-model", file, "--out", tmp_path / "o") == 2
    assert "--labels" in capsys.readouterr().err
    assert training("probe", "--out", tmp_path / "o") == 2
    assert "Give --from RUN and --data" in capsys.readouterr().err


@pytest.mark.slow
def test_the_network_is_trained_on_labels_and_simulated_images(tmp_path, file, data):
    """From the file's own weights; the result is calibrated on what was held out, opens, and does not mind turning; it
    tells by which recipe, and that labels shaped it.
    """
    recipe = tmp_path / "r.toml"
    plan = f"[data]\nsize = {SIZE}\nheld_out = 0.3\n[finetune]\nsamples = 96\nbatch = 24\n[calibrate]\nturns = 4\n"
    recipe.write_text(plan)
    common = ["--recipe", recipe, "--data", data, "--out", tmp_path / "out"]
    labels = write_labels(tmp_path)
    assert training("probe", "--from-model", file, "--labels", labels, "--finetune", *common) == 0
    model = Model.open(tmp_path / "out" / "model.onnx")
    card = model.card
    assert (card.name, card.training["turns"]) == ("little-finetuned", 4)
    assert card.training["recipe"]["pretrain"]["method"] == "supervised"
    assert (card.training["recipe"]["data"]["held_out"], card.training["recipe"]["pretrain"]["samples"]) == (0.3, 96)
    assert open_encoder(tmp_path / "out" / "model.onnx", torch.device("cpu")).saw_labels
    image = bar(1, seed=7)[:SIZE, :SIZE].astype(np.float32) / 255.0
    one, other = model.predict(np.stack([image, np.rot90(image)]))
    assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
    assert {each["region"]: each["n"] for each in card.training["finetuned"]["labels"]}["skull"] == 5
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["of_labels"]["n"] == 3


def test_training_begins_with_a_files_weights(tmp_path, file, data):
    """After one step at a rate of nothing the run has the file's head, and tells where it came from."""
    recipe, out = tmp_path / "r.toml", tmp_path / "out"
    recipe.write_text(
        f"[data]\nsize = {SIZE}\n[pretrain]\nsamples = 24\nbatch = 24\nlearning_rate = 0.0\nwarmup = 0.0\n"
    )
    assert training("pretrain", "--from", file, "--data", data, "--recipe", recipe, "--out", out) == 0
    expected = head_of_file(onnx.load(file))
    assert load_weights(out)["method"]["head.weight"].numpy() == pytest.approx(expected.weight)
    assert json.loads((out / "run.json").read_text())["earlier"]["model"] == Model.open(file).model_id


def test_a_finished_run_that_is_repeated_keeps_its_loss(tmp_path, data):
    """It has nothing left to do, and so no loss of its own."""
    recipe, out = tmp_path / "r.toml", tmp_path / "out"
    recipe.write_text(f"[data]\nsize = {SIZE}\n[pretrain]\nsamples = 24\nbatch = 24\n")
    for _ in range(2):
        assert training("pretrain", "--data", data, "--recipe", recipe, "--out", out) == 0
        assert json.loads((out / "metrics.json").read_text())["loss"] > 0


def test_few_labels_of_a_plain_manifest_are_prepared_at_the_models_size(tmp_path, file):
    """Not at the default one."""
    manifest, out = write_manifest(tmp_path / "raw", per_region=4), tmp_path / "out"
    lines = [re.sub(",g[0-9],", f",p{number},", line) for number, line in enumerate(manifest.read_text().splitlines())]
    manifest.write_text("\n".join(lines) + "\n")
    arguments = ["--data", manifest, "--per-region", 1, "--seeds", 1, "--out", out]
    assert training("low-label", "--from-model", file, *arguments) == 0
    assert load(out / "prepared-0").size == SIZE


@pytest.mark.slow
def test_three_files_are_summed_and_measured(tmp_path, data):
    files = [tmp_path / f"{seed}.onnx" for seed in range(3)]
    for seed, path in enumerate(files):
        write_file(path, seed)
    recipe = tmp_path / "r.toml"
    recipe.write_text(f"[data]\nsize = {SIZE}\nheld_out = 0.5\n")
    out = tmp_path / "out"
    assert training("ensemble", "--from", *files, "--data", data, "--recipe", recipe, "--out", out) == 0
    card = Model.open(out / "model.onnx").card
    assert len(card.training["members"]) == 3
    assert len(json.loads((out / "metrics.json").read_text())["members"]) == 3
    assert (out / "reliability.svg").read_text().startswith("<?xml")


@pytest.mark.slow
def test_the_smaller_file_is_measured_and_opens(tmp_path, data):
    file, out = tmp_path / "m.onnx", tmp_path / "out"
    write_file(file, training=HALF_HELD_OUT)
    assert training("export", "--from", file, "--data", data, "--out", out) == 0
    facts = json.loads((out / "metrics.json").read_text())
    assert facts["small"] in {"int8", "float16"}
    assert facts["files"]["int8"]["bytes"] < facts["files"]["float16"]["bytes"] < facts["files"]["float32"]["bytes"]
    assert Model.open(out / "model-small.onnx").card.training["precision"] == facts["small"]


def test_a_smaller_file_is_judged_on_rows_that_the_model_did_not_learn_from(data):
    """Else int8 is chosen, and its top 1 told, by what the weights know by heart."""
    split, rows = data_recipe(HALF_HELD_OUT["recipe"]), load(data).rows
    judges = _judges([data], tiny_card(input_size=SIZE, training=HALF_HELD_OUT)).rows
    assert 0 < len(judges) < len(rows)
    assert {row.file for row in judges} == {row.file for row in rows if not is_learned_from(row, split)}
    with pytest.raises(TrainingError, match="0 rows that are not for evaluation and that the model did not learn from"):
        _judges([data], tiny_card(input_size=SIZE))


def test_a_smaller_file_of_an_adapted_one_says_by_what_not_to_judge_it(data, capsys):
    """Whose labels they were no row tells."""
    told = {**HALF_HELD_OUT, "adapted": [{"labels": {"hand": 40, "ood:chest": 2}}]}
    for training, number in ((told, 42), (HALF_HELD_OUT, 0)):
        _judges([data], tiny_card(input_size=SIZE, training=training))
        said = "learned from 42 labelled images that its card does not name" in capsys.readouterr().err
        assert said == bool(number)


def test_few_labels_are_measured_with_seeds_and_spread(tmp_path, file, data):
    """On groups that gave no label, the same for every number of labels; more are more, and the table is there."""
    arguments = ["--data", data, "--per-region", 1, 4, "--seeds", 2, "--out", tmp_path / "out"]
    assert training("low-label", "--from-model", file, *arguments) == 0
    curve = json.loads((tmp_path / "out" / "metrics.json").read_text())["curve"]
    assert [each["per_region"] for each in curve] == [0, 1, 4]
    assert [each["labels"]["mean"] for each in curve] == [0, 14, 56]
    assert len(curve[1]["balanced"]["values"]) == 2
    assert [each["n"]["mean"] for each in curve] == [84, 84, 84]
    assert (tmp_path / "out" / "table.md").read_text().count("\n") == 5
    said = json.loads((tmp_path / "out" / "run.json").read_text())
    assert said["command"] == "low-label"
    assert {each["source"] for each in said["measured_on"]} == {"a"}
    assert "ood:noise" not in {each["region"] for each in said["measured_on"]}


def test_few_labels_of_an_adapted_file_are_measured_on_what_it_was_before(tmp_path, file, data):
    """Its head was fitted on images that are measured, so that one label would seem to be worth as much as many."""
    labels = write_labels(tmp_path)
    assert training("probe", "--from-model", file, "--labels", labels, "--out", tmp_path / "adapted") == 0
    curves = []
    for source in (file, tmp_path / "adapted" / "model.onnx"):
        arguments = ["--data", data, "--per-region", 1, "--seeds", 1, "--out", tmp_path / "out"]
        assert training("low-label", "--from-model", source, *arguments) == 0
        curves.append(json.loads((tmp_path / "out" / "metrics.json").read_text())["curve"])
    assert curves[0] == curves[1]


@pytest.mark.slow
def test_shares_of_the_labels_are_measured_beside_a_network_from_scratch(tmp_path, data, capsys):
    """A frozen backbone's probe and the baseline, on the same labels, each with its spread over two draws; the table
    says in how many steps, and it is said that these are few.
    """
    recipe, run, out = tmp_path / "r.toml", tmp_path / "run", tmp_path / "out"
    recipe.write_text(f"[data]\nsize = {SIZE}\nheld_out = 0.3\n[pretrain]\nsamples = 48\nbatch = 24\n")
    common = ["--data", data, "--recipe", recipe]
    assert training("pretrain", *common, "--out", run) == 0
    asked = ["--share", 0.5, "--share", 1.0, "--seeds", 2, "--samples", 48]
    assert training("low-label", "--from", run, *common, *asked, "--out", out) == 0
    curve = json.loads((out / "metrics.json").read_text())["curve"]
    assert [each["share"] for each in curve] == [0.5, 1.0]
    assert curve[0]["labels"]["mean"] < curve[1]["labels"]["mean"]
    assert all(0.0 <= each[way]["mean"] <= 1.0 for each in curve for way in ("probe", "supervised"))
    assert {each["source"] for each in json.loads((out / "run.json").read_text())["measured_on"]} == {"a"}
    head = "| share | labels | n | linear probe | supervised from scratch | steps from scratch |"
    assert (out / "table.md").read_text().startswith(head)
    assert [each["steps"]["values"] for each in curve] == [[2.0, 2.0]] * 2
    assert "take 2 steps of 24 images: too few" in " ".join(capsys.readouterr().err.split())


def test_no_group_is_labelled_and_measured(data):
    """The heart of every few-label figure; and few labels are a part of more."""
    from training.low_label import few_per_region, share_of_labels

    random = np.random.default_rng(0)
    targets, groups = random.integers(-1, 14, 600), random.integers(0, 90, 600).astype(str)
    for seed in range(5):
        chosen, free = few_per_region(targets, groups, 5, seed=seed)
        assert not set(groups[chosen]) & set(groups[free])
        assert (np.bincount(targets[chosen], minlength=14) <= 5).all()
        fewer, left = few_per_region(targets, groups, 2, seed=seed, most=5)
        assert set(fewer) < set(chosen)
        assert (left == free).all()
        some = share_of_labels(targets, groups, 0.1, seed=seed)
        assert not set(groups[some]) & set(np.delete(groups, some))
        assert set(targets[some]) >= set(range(14))
