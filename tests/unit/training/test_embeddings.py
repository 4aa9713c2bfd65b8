"""What a backbone says of its own making, through all the runs that it came by."""

from datetime import UTC, datetime

import pytest
import torch

from tests.unit.training.networks import write_file
from tests.unit.training.small import SIZE, small_set
from tests.unit.training.test_cli import training
from training.embeddings import open_encoder, shaped_by_labels
from training.encoder import Backbone
from training.errors import TrainingError
from training.images import write_set
from training.recipe import recipe_from
from training.runs import save_weights, write_run

CPU = torch.device("cpu")


def of(method, **more):
    return {"recipe": {"pretrain": {"method": method}}, **more}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, False),
        (of("simclr", earlier=None), False),
        (of("supcon"), True),
        (of("simclr", earlier=of("byol", earlier=of("supervised"))), True),
        (of("simclr", earlier=of("byol")), False),
        (of("simclr", finetuned={}), True),
        (of("simclr", command="probe --finetune"), True),
        ({"parent": "mine", "run": of("mixed")}, True),
    ],
)
def test_labels_shaped_a_backbone_also_where_only_an_earlier_one_saw_them(told, expected):
    assert shaped_by_labels(told) is expected


@pytest.mark.slow
def test_every_command_hands_on_that_labels_shaped_the_first_run(tmp_path):
    """A supervised run, SimCLR from its weights, a probe, its calibration, and the model file."""
    data, recipe, first = small_set(per_region=4), tmp_path / "r.toml", tmp_path / "first"
    write_set(list(zip(data.rows, data.images, strict=True)), tmp_path / "data", size=SIZE)
    recipe.write_text(
        f'[data]\nsize = {SIZE}\nheld_out = 0.5\n[pretrain]\nmethod = "simclr"\nsamples = 16\nbatch = 16\n'
        "[probe]\nviews = 1\nepochs = 2\n"
    )
    first.mkdir()
    save_weights(first, {"backbone": Backbone().state_dict()})
    plan, now = recipe_from({"data": {"size": SIZE}}), datetime(2026, 1, 1, tzinfo=UTC)
    write_run(first, command="pretrain", recipe=plan, seed=0, data=data, now=now)
    for command, before in (("pretrain", "first"), ("probe", "pretrain"), ("calibrate", "probe")):
        given = ["--data", tmp_path / "data", "--recipe", recipe, "--from", tmp_path / before]
        assert training(command, *given, "--out", tmp_path / command) == 0, command
        assert open_encoder(tmp_path / command, CPU).saw_labels, command
    assert training("export", "--from", tmp_path / "calibrate", "--out", tmp_path / "export") == 0
    encoder = open_encoder(tmp_path / "export" / "model.onnx", CPU)
    assert encoder.saw_labels
    assert encoder.method == "simclr"


def test_an_ensemble_is_refused_with_what_to_name_instead(tmp_path):
    """Its embeddings are its members' side by side, and it learned from the rows of each of them."""
    path = tmp_path / "m.onnx"
    write_file(path, training={"members": [{"model": "a-1", "training": {}}, {"model": "b-1", "training": {}}]})
    with pytest.raises(TrainingError, match="name one of its members"):
        open_encoder(path, CPU)
