"""The exported file says in onnxruntime what torch says, and explains itself exactly."""

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
from training.heads import Classifier, embed

SIZE = 64
ROUNDING = 5e-3  # what half precision may cost; export itself compares with the rounded weights


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


@pytest.mark.parametrize(("float16", "allowed", "megabytes"), [(False, PARITY, 45), (True, ROUNDING, 23)])
def test_onnxruntime_reproduces_torch(tmp_path, classifier, images, float16, allowed, megabytes):
    """All four outputs, from the unrounded torch weights by another way than the exporter's, at the temperature."""
    path = tmp_path / "m.onnx"
    card = tiny_card(input_size=SIZE, temperature=1.7)
    assert export(classifier, card, path, float16=float16) <= PARITY
    assert path.stat().st_size < megabytes * 1e6
    got = dict(zip(OUTPUTS, onnxruntime.InferenceSession(path).run(OUTPUTS, {INPUT: images.numpy()}), strict=True))
    embedding = embed(classifier.backbone, images, torch.device("cpu"))
    logits = classifier.logits(embedding)
    assert np.abs(got["probabilities"] - logits.softmax(1).numpy()).max() <= allowed
    assert np.abs(got["embedding"] - embedding.numpy()).max() <= allowed * embedding.abs().max()
    assert np.abs(got["reject_score"] + logits.logsumexp(1).numpy()).max() <= allowed * logits.abs().max()


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


def test_half_precision_is_only_for_storage(tmp_path, classifier):
    """Large weights are stored in float16, every computation is in float32."""
    export(classifier, tiny_card(input_size=SIZE), tmp_path / "m.onnx", float16=True)
    graph = onnx.load(tmp_path / "m.onnx").graph
    halves = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16}
    assert halves
    users = {node.op_type for node in graph.node if halves & set(node.input)}
    assert users == {"Cast"}
