"""What measures and calibrates a model is what no training before it learned from, whichever recipe is named."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime

import pytest
import torch

from tests.unit.training.networks import random_classifier, write_file
from tests.unit.training.small import SIZE, small_set
from tests.unit.training.test_cli import training
from training.images import write_set
from training.manifest import Row, is_held_out
from training.recipe import DataRecipe, Recipe
from training.runs import save_weights, write_run
from training.splits import data_recipe, may_calibrate, splits_of, stages_of, was_learned_from


def of(**data):
    """What a run or card says of itself that has this data section."""
    return {"recipe": asdict(Recipe(data=DataRecipe(**data)))}


def row(group, source="a", use="train"):
    return Row(file=None, region="hand", group=group, use=use, source=source)


ROWS = [row(f"g{number}") for number in range(200)]


@pytest.fixture
def data(tmp_path):
    """A prepared folder: twenty bars of each region, each of a patient of its own."""
    made = small_set(per_region=20)
    rows = [replace(each, group=f"g{number}") for number, each in enumerate(made.rows)]
    write_set(list(zip(rows, made.images, strict=True)), tmp_path / "data", size=SIZE)
    return tmp_path / "data", rows


def held_groups(rows, fraction, seed=0):
    return {each.group for each in rows if is_held_out(each, fraction=fraction, seed=seed)}


def test_the_splits_of_a_chain_are_all_that_anything_in_it_tells():
    """Runs before, the run that a fine-tuned file began with, and the members of an ensemble; each once."""
    chain = {**of(held_out=0.2), "earlier": {**of(held_out=0.1), "earlier": of(held_out=0.2)}}
    file = {"members": [{"model": "a", "training": chain}, {"model": "b", "training": {"run": of(held_out=0.4)}}]}
    assert [each.held_out for each in splits_of(file)] == [0.2, 0.1, 0.4]
    assert splits_of({"recipe": {"pretrain": {"method": "simclr"}}}) == ()


def test_an_older_cards_data_section_is_read_by_what_is_still_known():
    assert data_recipe({"data": {"held_out": 0.3, "gone": 1, "leave_out": ["a"]}}).leave_out == ("a",)


def test_a_row_that_an_earlier_stage_learned_from_calibrates_nothing():
    """First 0.1 held out, then 0.3: of the 0.3 only the 0.1 were never learned from."""
    before = [DataRecipe(held_out=0.3), DataRecipe(held_out=0.1)]
    usable = {each.group for each in ROWS if may_calibrate(each, before[:1], before)}
    assert usable == held_groups(ROWS, 0.1) < held_groups(ROWS, 0.3)
    assert not any(was_learned_from(each, before) for each in ROWS if each.group in usable)


def test_a_left_out_source_measures_and_does_not_calibrate():
    """But where only an earlier stage left it out, its held-out rows are as good as any."""
    far, plain = DataRecipe(leave_out=("Far",), held_out=0.3), DataRecipe(held_out=0.3)
    rows = [replace(each, source="Far East") for each in ROWS]
    assert not any(may_calibrate(each, [far], [far]) for each in rows)
    assert {each.group for each in rows if may_calibrate(each, [plain], [plain, far])} == held_groups(ROWS, 0.3)


def learned(held_out, *names):
    """What a training that held out this share says, of these sources."""
    return {**of(held_out=held_out), "sources": [{"source": name} for name in names]}


def test_a_row_of_another_source_than_those_of_the_training_was_not_learned_from():
    """Another hospital's `train` rows are new to a model file; so it is for each stage, and where none is named the
    split alone counts.
    """
    stages = stages_of({**learned(0.2, "a"), "earlier": learned(0.4, "b"), "run": learned(0.4, "b")})
    assert len(stages) == 2
    seen = {name: {row.group for row in (replace(each, source=name) for each in ROWS)
                   if any(stage.learned_from(row) for stage in stages)} for name in "abc"}  # fmt: skip
    everyone = {row.group for row in ROWS}
    assert seen == {"a": everyone - held_groups(ROWS, 0.2), "b": everyone - held_groups(ROWS, 0.4), "c": set()}
    assert [stage.learned_from(replace(ROWS[0], source="c")) for stage in stages_of(of(held_out=0.0))] == [True]


def test_a_fine_tuned_file_learned_from_its_labels_and_its_simulated_images():
    tuned = {"labels": [{"source": "mine"}], "simulated": [{"source": "simulated"}]}
    (stage,) = stages_of({**learned(0.2, "a"), "finetuned": tuned})
    assert stage.sources == {"a", "mine", "simulated"}


def test_evaluation_says_how_many_of_its_rows_the_model_learned_from(tmp_path, data, capsys):
    """On the screen and in metrics.json; nothing is said where there are none."""
    folder, rows = data
    path, out = tmp_path / "m.onnx", tmp_path / "o"
    write_file(path, training=learned(0.3, "a"))
    assert training("evaluate", "--data", folder, "--from", path, "--out", out) == 0
    number = sum(each.group not in held_groups(rows, 0.3) for each in rows)
    assert f"learned from {number} of these {len(rows)} rows" in capsys.readouterr().err
    assert json.loads((out / "metrics.json").read_text())["learned_from"] == number
    write_file(path, training=learned(0.3, "elsewhere"))
    assert training("evaluate", "--data", folder, "--from", path, "--out", out) == 0
    assert "learned from" not in capsys.readouterr().err
    write_file(path)
    assert training("evaluate", "--data", folder, "--from", path, "--out", out) == 0
    assert "does not tell which rows it learned from" in capsys.readouterr().err
    assert json.loads((out / "metrics.json").read_text())["learned_from"] is None


ADAPTED = {"adapted": [{"parent": "p", "labels": {"hand": 40, "ood:chest": 2}}]}
TUNED = {"finetuned": {"labels": [{"source": "labels", "n": 30}, {"source": "labels", "n": 12}]}}
TUNED_RUN = {"run": {"command": "probe --finetune", "labels": TUNED["finetuned"]["labels"]}}
MEMBERS = {"members": [{"training": ADAPTED}]}


@pytest.mark.parametrize("more", [ADAPTED, TUNED, TUNED_RUN, MEMBERS], ids=["adapted", "tuned", "run", "members"])
def test_evaluation_says_of_labels_that_no_row_can_be_told_by(tmp_path, data, capsys, more):
    """A hospital's adapted file, measured on the very images it was adapted to, had "learned from 0" of them."""
    path, out = tmp_path / "m.onnx", tmp_path / "o"
    write_file(path, training={**learned(0.3, "elsewhere"), **more})
    assert training("evaluate", "--data", data[0], "--from", path, "--out", out) == 0
    assert "also learned from 42 labelled images that its card does not name" in capsys.readouterr().err
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["learned_from"], metrics["learned_from_at_least"], metrics["unnamed_labels"]) == (None, 0, 42)


def test_few_labels_are_not_measured_on_what_the_file_learned_from(tmp_path, data, capsys):
    """Nor are they labels; where nothing else is left it is said."""
    folder, rows = data
    path, out = tmp_path / "m.onnx", tmp_path / "o"
    write_file(path, training=learned(0.3, "a"))
    given = ["--data", folder, "--from-model", path, "--per-region", 1, "--seeds", 1, "--out", out]
    assert training("low-label", *given) == 0
    told = json.loads((out / "run.json").read_text())
    assert sum(each["n"] for each in told["sources"]) == len(held_groups(rows, 0.3))
    assert f"learned from {len(rows) - len(held_groups(rows, 0.3))} of the rows" in capsys.readouterr().err
    write_file(path, training=learned(0.0, "a"))
    assert training("low-label", *given) == 2
    assert "has not learned from" in capsys.readouterr().err


def calibrated_groups(out):
    return sum(each["groups"] for each in json.loads((out / "run.json").read_text())["calibrated_on"])


def test_an_ensemble_calibrates_on_what_neither_file_learned_from(tmp_path, data):
    """Without --recipe; the files held out 0.3 and 0.2 by other seeds."""
    folder, rows = data
    splits = {"held_out": 0.3}, {"held_out": 0.2, "split_seed": 5}
    files = [tmp_path / "0.onnx", tmp_path / "1.onnx"]
    for number, path in enumerate(files):
        write_file(path, number, training=of(**splits[number]))
    assert training("ensemble", "--from", *files, "--data", folder, "--out", tmp_path / "o") == 0
    from dicom_node.model.session import Model

    told = Model.open(tmp_path / "o" / "model.onnx").card.training["calibrated_on"]
    assert sum(each["groups"] for each in told) == len(held_groups(rows, 0.3) & held_groups(rows, 0.2, 5))


def test_an_ensemble_of_files_that_do_not_tell_asks_for_their_recipe(tmp_path, data, capsys):
    """The default split would be a guess."""
    files = [tmp_path / "0.onnx", tmp_path / "1.onnx"]
    for number, path in enumerate(files):
        write_file(path, number)
    assert training("ensemble", "--from", *files, "--data", data[0], "--out", tmp_path / "o") == 2
    assert "does not tell which rows it learned from" in " ".join(capsys.readouterr().err.split())


def a_run(folder, held_out):
    """A finished probe that held out this share."""
    folder.mkdir()
    save_weights(folder, random_classifier().weights())
    recipe, now = Recipe(data=DataRecipe(size=SIZE, held_out=held_out)), datetime(2026, 1, 1, tzinfo=UTC)
    write_run(folder, command="probe", recipe=recipe, seed=0, data=small_set(1), now=now)
    return folder


@pytest.mark.parametrize("command", [["calibrate"], ["probe"], ["low-label", "--share", 1.0]])
def test_a_recipe_that_splits_otherwise_than_the_run_is_refused(tmp_path, data, capsys, command):
    """It would measure on rows that the run learned from."""
    torch.set_num_threads(1)
    recipe, run = tmp_path / "r.toml", a_run(tmp_path / "run", 0.2)
    recipe.write_text(f"[data]\nsize = {SIZE}\nheld_out = 0.5\n")
    given = ["--data", data[0], "--from", run, "--recipe", recipe, "--out", tmp_path / "o"]
    assert training(*command, *given) == 2
    assert "held_out 0.5 and 0.2" in " ".join(capsys.readouterr().err.split())


def test_calibration_leaves_out_what_the_stage_before_learned_from(tmp_path, data):
    """A run that held out 0.5, from the weights of one that held out 0.2."""
    folder, rows = data
    run, out = a_run(tmp_path / "run", 0.5), tmp_path / "o"
    told = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**told, "earlier": of(held_out=0.2)}))
    assert training("calibrate", "--data", folder, "--from", run, "--out", out) == 0
    assert calibrated_groups(out) == len(held_groups(rows, 0.2)) < len(held_groups(rows, 0.5))


@pytest.mark.parametrize("command", [["probe"], ["low-label", "--share", 1.0]])
@pytest.mark.parametrize(
    ("held_out", "region", "sentence"),
    [
        (0.2, "", "no rows of a region to learn from"),
        (0.0, "rib", "no rows of a region to measure on"),
    ],
)
def test_a_head_needs_labels_to_learn_from_and_to_measure_on(tmp_path, capsys, command, held_out, region, sentence):
    """Said before the images are embedded, and without a traceback."""
    made = small_set(per_region=2)
    rows = [replace(each, region=region, group=f"g{number}") for number, each in enumerate(made.rows)]
    write_set(zip(rows, made.images, strict=True), tmp_path / "data", size=SIZE)
    run = a_run(tmp_path / "run", held_out)
    assert training(*command, "--data", tmp_path / "data", "--from", run, "--out", tmp_path / "o") == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_where_nothing_is_held_out_a_head_is_measured_on_the_rows_for_tuning(tmp_path):
    """As in the papers, which learn from every patient for training; and the run says on what it was measured."""
    made = small_set(per_region=4, regions=3)
    uses = {"g0": "tune", "g1": "evaluate"}
    rows = [replace(row, use=uses.get(row.group, "train"), source=row.group) for row in made.rows]
    write_set(zip(rows, made.images, strict=True), tmp_path / "data", size=SIZE)
    (tmp_path / "r.toml").write_text(f"[data]\nsize = {SIZE}\nheld_out = 0.0\n[probe]\nviews = 1\nepochs = 1\n")
    run = a_run(tmp_path / "run", 0.0)
    for command in (["probe"], ["low-label", "--share", 1.0, "--seeds", 1]):
        out = tmp_path / command[0]
        given = ["--data", tmp_path / "data", "--recipe", tmp_path / "r.toml", "--from", run, "--out", out]
        assert training(*command, *given) == 0
        told = json.loads((out / "run.json").read_text())
        assert {each["source"] for each in told["measured_on"]} == {"g0"}
        assert {each["source"] for each in told["sources"]} == {"g2", "g3"}


def test_other_views_than_the_thresholds_were_chosen_on_are_refused(tmp_path, capsys):
    """A file with four views and one view's thresholds would keep no promise."""
    run = a_run(tmp_path / "run", 0.2)
    told = json.loads((run / "run.json").read_text())
    thresholds = {"min_confidence": 0.5, "reject_statistic": "energy", "reject_above": 0.0}
    (run / "run.json").write_text(json.dumps({**told, "thresholds": thresholds}))
    (run / "metrics.json").write_text("{}")
    assert training("export", "--from", run, "--turns", 4, "--out", tmp_path / "o") == 2
    assert "calibrate it with turns = 4" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "o" / "model.onnx").exists()
    assert training("export", "--from", run, "--turns", 1, "--out", tmp_path / "o") == 0
