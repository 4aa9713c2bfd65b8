"""What is measured of a model file, row by row."""

from dataclasses import replace

import pytest

from dicom_node.model.session import Model
from tests.unit.training.networks import SIZE, write_file
from tests.unit.training.small import small_set
from tests.unit.training.test_cli import training
from training.errors import TrainingError
from training.evaluate import evaluate
from training.images import write_set
from training.progress import evaluation_table
from training.steadiness import steadiness


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.onnx"
    write_file(path)
    return Model.open(path)


def test_rows_without_a_label_are_neither_right_nor_wrong(model):
    """They and those out of domain are counted, with the share that was tagged; top 1 is not 0.0 but not there."""
    data = small_set(per_region=2)
    rows = tuple(replace(row, region="") if row.region == "knee" else row for row in data.rows)
    measured = evaluate(model, replace(data, rows=rows))
    cells = {cell["region"]: cell for cell in measured["cells"]}
    for region in ("", "ood:noise"):
        assert set(cells[region]) == {"source", "region", "n", "groups", "tagged"}
        assert cells[region]["n"] == 2
    assert "top1" in cells["hand"]
    assert evaluation_table(measured["cells"]).row_count == 15


@pytest.mark.parametrize("command", ["evaluate", "audit", "explain"])
def test_a_misspelt_use_is_refused(tmp_path, capsys, command):
    """Not measured on nothing, with success."""
    given = ["--data", tmp_path, "--from", tmp_path / "m.onnx", "--use", "evalute", "--out", tmp_path / "o"]
    assert training(command, *given) == 2
    assert "the uses are train, calibrate, tune, evaluate" in " ".join(capsys.readouterr().err.split())


def test_rows_that_are_not_there_are_said(tmp_path, model):
    """The use is one, but no row has it; and there is nothing to change, or to judge a smaller file by."""
    data = small_set(per_region=1)
    rows = [replace(row, use="evaluate") for row in data.rows]
    write_set(zip(rows, data.images, strict=True), tmp_path / "data", size=SIZE)
    path = tmp_path / "m.onnx"
    write_file(path)
    common = ["--data", tmp_path / "data", "--from", path, "--out", tmp_path / "o"]
    assert training("evaluate", *common, "--use", "tune") == 2
    assert training("export", *common) == 2
    with pytest.raises(TrainingError, match="no picture to change"):
        steadiness(model, [])
