"""What is measured of a model file, row by row."""

from dataclasses import replace

import pytest

from dicom_node.model.session import Model
from tests.unit.training.networks import write_file
from tests.unit.training.small import small_set
from training.evaluate import evaluate
from training.progress import evaluation_table


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
