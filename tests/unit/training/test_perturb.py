"""Changes of a picture, and how often the answer follows them: models whose answer depends on one known thing."""

import json

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dicom_node.imaging import fit, model_input
from dicom_node.model.card import METADATA_KEY, Thresholds
from dicom_node.model.session import Model
from tests.unit.model.tiny import tiny_card
from tests.unit.training.test_cli import training
from training.errors import TrainingError
from training.manifest import Row
from training.perturb import CHANGES, PLAIN, ROUND, mirrored, round_field, variants
from training.steadiness import steadiness

SIZE = 16
N = 12
LEFT = np.tile(np.arange(SIZE) < SIZE // 2, (SIZE, 1))
EVERYWHERE = np.ones((SIZE, SIZE), bool)


def write_model(path, *regions):
    """A model whose logits are weight * (mean of the image where the mask is) + bias: one (mask, weight, bias) for each
    of the first regions; the others' are 0. It names what has a probability of a half, and rejects nothing.
    """
    weight, bias = np.zeros((SIZE * SIZE, 14), np.float32), np.zeros(14, np.float32)
    for number, (mask, factor, offset) in enumerate(regions):
        weight[:, number], bias[number] = factor * mask.reshape(-1) / mask.sum(), offset
    nodes = [
        helper.make_node("Flatten", ["image"], ["pixels"]),
        helper.make_node("Gemm", ["pixels", "weight", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ReduceLogSumExp", ["logits", "last"], ["log_sum"], keepdims=0),
        helper.make_node("Neg", ["log_sum"], ["reject_score"]),
        helper.make_node("Tile", ["pixels", "twice"], ["embedding"]),
        helper.make_node("Tile", ["image", "regions"], ["activation_map"]),
    ]
    shapes = {
        "probabilities": ["n", 14],
        "embedding": ["n", 512],
        "activation_map": ["n", 14, SIZE, SIZE],
        "reject_score": ["n"],
    }
    constants = {
        "weight": weight,
        "bias": bias,
        "last": np.array([1], np.int64),
        "twice": np.array([1, 2], np.int64),
        "regions": np.array([1, 14, 1, 1], np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "reading",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, SIZE, SIZE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    card = tiny_card(input_size=SIZE, thresholds=Thresholds(min_confidence=0.5, reject_above=1e9))
    helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    onnx.save(model, path)
    return path


def picture(seed, shape=(150, 120)):
    """Grain, the left third bright."""
    random = np.random.default_rng(seed)
    grey = random.uniform(0.05, 0.2, shape).astype(np.float32)
    grey[:, : shape[1] // 3] += 0.45
    return grey


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """`N` such pictures of as many patients."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(N):
        cv2.imwrite(str(folder / f"{number}.png"), np.round(picture(number) * 255).astype(np.uint8))
    return [Row(file=folder / f"{n}.png", region="rib", group=f"g{n}", use="tune") for n in range(N)]


def measured(path, rows, seed=0):
    return {line["change"]: line for line in steadiness(Model.open(path), rows, seed=seed)}


def test_a_model_that_says_one_thing_whatever_it_sees_never_changes_its_answer(tmp_path, rows):
    """No share is above 0, for no change; all were named."""
    lines = measured(write_model(tmp_path / "m.onnx", (EVERYWHERE, 0.0, 9.0)), rows)
    assert set(lines) == set(CHANGES)
    for line in lines.values():
        assert (line["n"], line["groups"], line["named"]) == (N, N, N)
        assert line["top1_changes"] == line["named_otherwise"] == line["abstains"] == 0.0


def test_a_model_that_tells_left_from_right_changes_with_every_mirroring(tmp_path, rows):
    """And in about half of all turns, since half of all angles bring the bright side to the right."""
    lines = measured(write_model(tmp_path / "m.onnx", (LEFT, 40.0, 0.0), (~LEFT, 40.0, 0.0)), rows)
    assert lines["mirrored"]["top1_changes"] == lines["mirrored"]["named_otherwise"] == 1.0
    assert lines["mirrored"]["top1_changes_interval"] == (1.0, 1.0)
    assert 0.0 < lines["turned in a round field"]["top1_changes"] < 1.0
    low, high = lines["turned in a round field"]["top1_changes_interval"]
    assert low < lines["turned in a round field"]["top1_changes"] < high


def test_a_model_that_sees_only_how_bright_it_is_follows_the_polarity_alone(tmp_path, rows):
    """Mirroring and turning keep the mean; the borders are cleaned away before the model sees any."""
    dark, bright = (EVERYWHERE, 0.0, 32.0), (EVERYWHERE, 80.0, 0.0)
    lines = measured(write_model(tmp_path / "m.onnx", dark, bright), rows)
    for change in ("mirrored", "quarter turn", "white border", "black border"):
        assert lines[change]["top1_changes"] == 0.0, change
    assert lines["inverted"]["top1_changes"] == 1.0


def test_an_answer_that_is_lost_is_told_from_one_that_became_another(tmp_path, rows):
    """A dark left side leaves all other regions equally likely: another one is on top, and none is named."""
    lines = measured(write_model(tmp_path / "m.onnx", (LEFT, 40.0, -10.0)), rows)
    assert lines["mirrored"]["top1_changes"] == lines["mirrored"]["abstains"] == 1.0
    assert lines["mirrored"]["named_otherwise"] == 0.0


def test_where_nothing_was_named_there_is_no_share_of_it(tmp_path, rows):
    lines = measured(write_model(tmp_path / "m.onnx"), rows)
    for line in lines.values():
        assert line["named"] == 0
        assert "named_otherwise" not in line
        assert "abstains" not in line


def test_the_same_seed_changes_the_pictures_in_the_same_way(tmp_path, rows):
    """Other seeds in other ways; a picture's changes do not depend on those after it."""
    path = write_model(tmp_path / "m.onnx", (LEFT, 40.0, 0.0), (~LEFT, 40.0, 0.0))
    assert measured(path, rows) == measured(path, rows)
    assert any(measured(path, rows, seed=seed) != measured(path, rows) for seed in (1, 2, 3))


def test_pictures_that_are_no_longer_there_are_named(tmp_path):
    model = Model.open(write_model(tmp_path / "m.onnx"))
    with pytest.raises(TrainingError, match=r"gone\.png.*name the manifest of the originals"):
        steadiness(model, [Row(file=tmp_path / "gone.png", region="rib", group="g", use="tune")])


def test_every_change_leaves_a_picture_and_the_one_it_was_given():
    """float32 in [0, 1]; the given picture stays as it is, and each change does something."""
    grey = picture(0)
    before = grey.copy()
    made = variants(grey, np.random.default_rng(0))
    np.testing.assert_array_equal(grey, before)
    assert list(made) == [PLAIN, ROUND, *CHANGES]
    for name, each in made.items():
        assert each.dtype == np.float32, name
        assert each.min() >= 0.0, name
        assert each.max() <= 1.0, name
        if name in CHANGES:
            start = made[CHANGES[name][0]]
            assert each.shape != start.shape or not np.array_equal(each, start), name


@pytest.mark.parametrize("seed", range(8))
def test_turning_cuts_nothing_off(seed):
    """The sum of all pixels stays, on the black ground and inside the round field."""
    made = variants(picture(seed), np.random.default_rng(seed))
    assert made["turned"].sum() == pytest.approx(made[PLAIN].sum(), rel=0.02)
    assert made["turned in a round field"].sum() == pytest.approx(made[ROUND].sum(), rel=0.02)
    assert made["turned in a round field"].shape == made[ROUND].shape


@pytest.mark.parametrize("seed", range(8))
def test_the_node_undoes_the_borders(seed):
    """Of either colour, to less than a fiftieth of the grey scale; uncleaned they change more than a twentieth."""
    grey = picture(seed)
    made = variants(grey, np.random.default_rng(seed))
    plain = model_input(grey, 64)
    for name in ("white border", "black border"):
        assert np.abs(model_input(made[name], 64) - plain).mean() < 0.02, name
        assert np.abs(fit(made[name], 64) - plain).mean() > 0.05, name


def test_gauges_and_markers_leave_most_of_the_picture_alone():
    """Nine tenths of the pixels at least, with any seed; a marker is brighter than what it lies on."""
    grey = picture(0)
    for seed in range(20):
        made = variants(grey, np.random.default_rng(seed))
        for name in ("gauges", "side marker"):
            assert (made[name] != grey).mean() < 0.1, (name, seed)
            assert made[name].mean() > grey.mean()


def test_a_round_field_is_round_and_in_the_middle():
    """Black outside of the circle, untouched inside; it looks the same to the node however it is mirrored."""
    ring = round_field(np.ones((60, 90), np.float32))
    assert ring.shape == (60, 60)
    assert ring.mean() == pytest.approx(np.pi / 4, abs=0.01)
    np.testing.assert_array_equal(ring, mirrored(ring, np.random.default_rng(0)))
    np.testing.assert_array_equal(ring, ring.T)


def test_the_command_prints_and_writes_one_line_for_each_change(tmp_path, rows, capsys):
    """Rows out of domain are left out: they have no answer to keep."""
    model = write_model(tmp_path / "m.onnx", (LEFT, 40.0, 0.0), (~LEFT, 40.0, 0.0))
    lines = [f"{row.file},{row.region},{row.group},tune" for row in rows[:3]]
    lines.append(f"{rows[3].file},ood:chest,strange,tune")
    (tmp_path / "manifest.csv").write_text("\n".join(["file,region,group,use", *lines]))
    given = ("evaluate", "--data", tmp_path / "manifest.csv", "--from", model, "--out", tmp_path / "out")
    assert training(*given, "--perturb", "--seed", 4) == 0
    said = capsys.readouterr().out
    assert "mirrored" in said
    assert "1.000" in said
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())["perturbed"]
    assert [line["change"] for line in found] == list(CHANGES)
    assert {line["n"] for line in found} == {3}
    assert training(*given) == 0
    assert "perturbed" not in json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert training(*given, "--perturb", "--turn", 1) == 2
    assert "leave out --turn" in capsys.readouterr().err
