"""A model file opens only when it fits this node, and says what it sees."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dicom_node.errors import ConfigError, ModelError, WrongModelError
from dicom_node.model.card import METADATA_KEY, Thresholds
from dicom_node.model.session import Model
from dicom_node.model.starter import starter_model_path
from dicom_node.regions import Region
from tests.unit.model.tiny import SIZE, tiny_card, write_tiny_model

WHITE = np.ones((SIZE, SIZE), np.float32)
BLACK = np.zeros((SIZE, SIZE), np.float32)


def test_a_clear_image_is_tagged_with_its_region(tmp_path):
    """Probabilities, region, confidence, embedding and activation map all speak of the same image."""
    model = Model.open(write_tiny_model(tmp_path / "m.onnx"), threads=1)
    (prediction,) = model.predict(WHITE[None])
    assert prediction.outcome == "tagged"
    assert prediction.region is Region.SHOULDER
    assert prediction.confidence == prediction.probabilities[1] == pytest.approx(np.exp(10) / (np.exp(10) + 13))
    assert sum(prediction.probabilities) == pytest.approx(1.0, abs=1e-6)
    assert prediction.embedding.shape == (512,)
    assert prediction.activation_map.shape == (14, SIZE, SIZE)
    assert prediction.activation_map[1].mean() == pytest.approx(10.0, abs=1e-4)
    assert prediction.reject_score == pytest.approx(-np.log(np.exp(10) + 13), abs=1e-4)


def test_an_unclear_image_is_abstained_from_but_still_described(tmp_path):
    """Fourteen equal probabilities are below any useful threshold."""
    model = Model.open(write_tiny_model(tmp_path / "m.onnx"))
    (prediction,) = model.predict(BLACK[None])
    assert prediction.outcome == "abstained"
    assert prediction.confidence == pytest.approx(1 / 14)


def test_a_strange_image_is_abstained_from_however_confident(tmp_path):
    """The reject score decides on its own."""
    card = tiny_card(thresholds=Thresholds(min_confidence=0.0, reject_above=-20.0))
    model = Model.open(write_tiny_model(tmp_path / "m.onnx", {METADATA_KEY: card.to_json()}))
    (prediction,) = model.predict(WHITE[None])
    assert prediction.confidence > 0.99
    assert prediction.outcome == "abstained"


def test_the_site_can_tighten_the_threshold_but_not_loosen_it(tmp_path):
    """The card's threshold comes from calibration; a site may only ask for more."""
    path = write_tiny_model(tmp_path / "m.onnx")
    grey = (WHITE * 0.5)[None]  # confidence 0.92
    assert Model.open(path).predict(grey)[0].outcome == "tagged"
    assert Model.open(path, min_confidence=0.95).predict(grey)[0].outcome == "abstained"
    assert Model.open(path, min_confidence=0.01).predict(BLACK[None])[0].outcome == "abstained"


def test_rows_of_a_batch_do_not_influence_each_other(tmp_path):
    """The same image gets the same answer alone and in company."""
    model = Model.open(write_tiny_model(tmp_path / "m.onnx"))
    alone = model.predict(WHITE[None])[0]
    both = model.predict(np.stack([BLACK, WHITE]))
    assert [p.outcome for p in both] == ["abstained", "tagged"]
    assert both[1].probabilities == pytest.approx(alone.probabilities)


def test_an_empty_batch_gives_no_predictions(tmp_path):
    """Nothing in, nothing out."""
    assert Model.open(write_tiny_model(tmp_path / "m.onnx")).predict(np.zeros((0, SIZE, SIZE), np.float32)) == []


def test_another_size_or_a_value_that_is_not_finite_is_refused(tmp_path):
    """Both are mistakes of the caller; a NaN would otherwise come out as fourteen NaNs."""
    model = Model.open(write_tiny_model(tmp_path / "m.onnx"))
    with pytest.raises(ValueError, match=r"takes \(N, 8, 8\)"):
        model.predict(np.zeros((1, 9, 8), np.float32))
    with pytest.raises(ValueError, match="not finite"):
        model.predict(np.full((1, SIZE, SIZE), np.nan, np.float32))


def test_the_model_id_names_the_very_bytes(tmp_path):
    """Name, version and the first twelve digits of the file's SHA-256."""
    path = write_tiny_model(tmp_path / "m.onnx")
    assert Model.open(path).model_id == "tiny-1.0-" + hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def test_a_file_that_hashes_to_something_else_is_refused_before_it_is_parsed(tmp_path):
    """Whoever can write the model file can decide what the node says; the configuration may name the one it trusts."""
    path = write_tiny_model(tmp_path / "m.onnx")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert Model.open(path, sha256=digest.upper()).sha256 == digest
    path.write_bytes(b"not even ONNX")
    with pytest.raises(WrongModelError, match="not the one that model"):
        Model.open(path, sha256=digest)


def test_what_is_no_model_is_refused_in_one_sentence(tmp_path):
    """Missing, damaged, without a card, or with a graph that does not fit its card."""
    with pytest.raises(WrongModelError, match="cannot be read: No such file"):
        Model.open(tmp_path / "absent.onnx")
    (tmp_path / "damaged.onnx").write_bytes(b"not a model")
    with pytest.raises(WrongModelError, match="not a usable ONNX file"):
        Model.open(tmp_path / "damaged.onnx")
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(WrongModelError, match="not a usable ONNX file"):
        Model.open(tmp_path / "empty.onnx")
    with pytest.raises(WrongModelError, match="cannot be read: Is a directory"):
        Model.open(tmp_path)
    with pytest.raises(WrongModelError, match="metadata"):
        Model.open(write_tiny_model(tmp_path / "bare.onnx", {}))
    other_size = {METADATA_KEY: tiny_card(input_size=16).to_json()}
    with pytest.raises(WrongModelError, match="its card says 1 x 16 x 16"):
        Model.open(write_tiny_model(tmp_path / "size.onnx", other_size))


def test_what_a_service_manager_need_not_try_again_is_told_from_what_may_pass(tmp_path):
    """A wrong file is the configuration's fault (exit status 2); a disk in trouble is not."""
    assert issubclass(WrongModelError, ConfigError)
    with pytest.raises(ModelError) as caught:
        Model.open("/proc/self/mem")
    assert not isinstance(caught.value, ConfigError)


def test_a_model_for_other_pixels_does_not_open(tmp_path):
    """The node must never run a model on pixels that it was not trained on."""
    with pytest.raises(WrongModelError, match="this node has 99"):
        Model.open(write_tiny_model(tmp_path / "m.onnx"), imaging_version=99)


@pytest.mark.skipif(not starter_model_path().exists(), reason="the starter model is not in this tree")
def test_the_starter_model_opens_and_predicts_in_this_node():
    """The packaged file fits the packaged code, and a blank image is not tagged."""
    model = Model.open(starter_model_path(), threads=1)
    size = model.card.input_size
    (prediction,) = model.predict(np.zeros((1, size, size), np.float32))
    assert prediction.embedding.shape == (512,)
    assert prediction.activation_map.shape[0] == 14
    assert prediction.outcome == "abstained"


def test_nothing_is_told_to_the_maker_of_the_runtime(tmp_path):
    """onnxruntime keeps a queue of reports under the home folder as soon as it is imported, unless told not to."""
    code = "from dicom_node.model import Model; import sys; Model.open(sys.argv[1])"
    command = [sys.executable, "-c", code, str(write_tiny_model(tmp_path / "tiny.onnx"))]
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    root = Path(__file__).parents[3]
    subprocess.run(command, check=True, timeout=100, cwd=root, env=environment | {"HOME": str(home)})
    assert list(home.rglob("*")) == []
