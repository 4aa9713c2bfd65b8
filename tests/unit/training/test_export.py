"""The exported file says in onnxruntime what torch says, and explains itself exactly."""

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from dicom_node.model.session import INPUT, OUTPUTS, Model
from tests.unit.model.tiny import tiny_card
from training.encoder import Backbone
from training.errors import TrainingError
from training.export import PARITY, export
from training.hang import weighed
from training.heads import Classifier, embed
from training.rejection import STATISTICS, fit_rejection
from training.strangers import strangers_of
from training.turns import turned

SIZE = 64


@pytest.fixture(scope="module")
def classifier():
    """Random weights with running statistics that are not the initial ones, as after training."""
    torch.manual_seed(0)
    backbone = Backbone().train()
    with torch.no_grad():
        for _ in range(3):
            backbone(torch.rand(8, 1, SIZE, SIZE))
    weight, bias = 0.05 * torch.randn(14, 512), torch.randn(14)
    return Classifier(backbone=backbone.eval(), weight=weight, bias=bias, temperature=1.7)


@pytest.fixture
def images():
    return torch.rand(5, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(4))


def answers(path, images):
    return dict(zip(OUTPUTS, onnxruntime.InferenceSession(path).run(OUTPUTS, {INPUT: images.numpy()}), strict=True))


def known_and_strange():
    """Embeddings like the backbone's to take a rejection's parameters from."""
    random = np.random.default_rng(0)
    return np.abs(random.normal(1.0, 0.5, (60, 512))), np.repeat([0, 5, 13], 20)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_onnxruntime_reproduces_torch(tmp_path, classifier, images, statistic):
    """All four outputs, from the unfolded torch weights by another way than the exporter's, at the temperature."""
    path = tmp_path / "m.onnx"
    chosen = replace(classifier, rejection=fit_rejection(statistic, *known_and_strange()))
    assert export(chosen, tiny_card(input_size=SIZE, temperature=1.7), path) <= PARITY
    got = answers(path, images)
    embedding = embed(chosen.backbone, images, torch.device("cpu"))
    logits = chosen.logits(embedding)
    score = chosen.rejection.score(embedding.double().numpy(), logits.double().numpy())
    assert np.abs(got["probabilities"] - logits.softmax(1).numpy()).max() <= PARITY
    assert np.abs(got["embedding"] - embedding.numpy()).max() <= PARITY * embedding.abs().max()
    assert got["reject_score"] == pytest.approx(score, rel=PARITY, abs=PARITY)


def a_hang():
    """Weights that tell the views of noise well apart."""
    return 40.0 * torch.randn(512, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("turns", "symmetries"), [(4, 4), (8, 8)])
def test_a_file_with_turns_does_not_notice_them(tmp_path, classifier, images, turns, symmetries):
    """Quarter turns, and with eight views mirroring too, change no probability; the map turns along."""
    path = tmp_path / "m.onnx"
    export(replace(classifier, hang=a_hang()), tiny_card(input_size=SIZE), path, turns=turns)
    usual = answers(path, images)
    for number in range(symmetries):
        view = torch.rot90(images, number % 4, (2, 3))
        view = torch.flip(view, (3,)) if number >= 4 else view
        got = answers(path, view)
        assert np.abs(got["probabilities"] - usual["probabilities"]).max() < 1e-5
        expected = np.rot90(usual["activation_map"], number % 4, (2, 3))
        expected = expected[..., ::-1] if number >= 4 else expected
        assert np.abs(got["activation_map"] - expected).max() < 1e-3


def test_turns_average_the_logits(tmp_path, classifier, images):
    """Against four runs of the plain backbone."""
    path = tmp_path / "m.onnx"
    export(classifier, tiny_card(input_size=SIZE), path, turns=4)
    views = [embed(classifier.backbone, torch.rot90(images, k, (2, 3)), torch.device("cpu")) for k in range(4)]
    logits = torch.stack([classifier.logits(view) for view in views]).mean(0)
    assert np.abs(answers(path, images)["probabilities"] - logits.softmax(1).numpy()).max() < 1e-5


@pytest.mark.parametrize("turns", [1, 4, 8])
def test_calibration_sees_the_views_that_the_file_averages(tmp_path, classifier, images, turns):
    """The weighed embeddings of `turned` are the exported file's, and not those of a plain mean."""
    path = tmp_path / "m.onnx"
    export(replace(classifier, hang=a_hang()), tiny_card(input_size=SIZE), path, turns=turns)
    views = torch.stack([embed(classifier.backbone, view, torch.device("cpu")) for view in turned(images, turns)])
    got = answers(path, images)["embedding"]
    assert np.abs(got - weighed(views, a_hang()).numpy()).max() < 1e-4
    assert turns == 1 or np.abs(got - views.mean(dim=0).numpy()).max() > 1e-2


def test_other_numbers_of_turns_are_refused(tmp_path, classifier):
    with pytest.raises(TrainingError, match="1, 4"):
        export(classifier, tiny_card(input_size=SIZE), tmp_path / "m.onnx", turns=3)


def test_the_strangers_travel_in_the_file(tmp_path, classifier):
    """Half a megabyte of metadata beside the card, in half precision."""
    strangers = torch.rand(30, 512)
    export(replace(classifier, strangers=strangers), tiny_card(input_size=SIZE), tmp_path / "m.onnx")
    assert strangers_of(onnx.load(tmp_path / "m.onnx"), 512) == pytest.approx(strangers.numpy(), abs=1e-3)
    assert Model.open(tmp_path / "m.onnx").card.name == "tiny"


def test_the_activation_map_is_exact(tmp_path, classifier, images):
    """Its spatial mean plus the head's bias is the logit, up to float32's rounding."""
    path = tmp_path / "m.onnx"
    export(classifier, tiny_card(input_size=SIZE), path)
    got = Model.open(path).predict(images[:, 0].numpy())
    logits = classifier.logits(embed(classifier.backbone, images, torch.device("cpu"))).numpy()
    for prediction, expected in zip(got, logits, strict=True):
        assert prediction.activation_map.shape == (14, SIZE // 32, SIZE // 32)
        means = prediction.activation_map.mean(axis=(1, 2)) + classifier.bias.numpy() / classifier.temperature
        assert np.abs(means - expected).max() < 1e-3


def test_the_file_carries_its_card(tmp_path, classifier):
    """The node reads from the file alone what it must know."""
    card = tiny_card(input_size=SIZE, name="carried", training={"sources": [{"source": "x", "licence": "CC BY 4.0"}]})
    export(classifier, card, tmp_path / "m.onnx")
    assert Model.open(tmp_path / "m.onnx").card == card


def test_a_file_that_differs_from_torch_is_not_kept(tmp_path, classifier, monkeypatch):
    """A tolerance of nothing refuses even rounding."""
    monkeypatch.setattr("training.export.PARITY", -1.0)
    with pytest.raises(TrainingError, match="differs from torch"):
        export(classifier, tiny_card(input_size=SIZE), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()
