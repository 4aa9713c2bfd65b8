"""A model file opened again computes, trains and changes its head as what it was exported from."""

import copy

import numpy as np
import pytest
import torch

from dicom_node.model.session import Model
from tests.unit.training.networks import SIZE, random_classifier, write_file
from training.ensemble import ensemble_model
from training.errors import TrainingError
from training.export import folded_head, run, trial_images
from training.graph import Head, with_head
from training.heads import embed
from training.rejection import Rejection
from training.reopen import backbone_of_file, features_of_file, head_of_file, open_file, settle_batch_norms
from training.smaller import as_float16, as_int8


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "m.onnx"
    return path, write_file(path)


@pytest.fixture
def images():
    return torch.from_numpy(trial_images(SIZE))


def test_head_and_backbone_come_back(file, images):
    """The torch backbone with the file's weights gives the embeddings of the one that was exported."""
    path, classifier = file
    model, _ = open_file(path)
    head, expected = head_of_file(model), folded_head(classifier)
    assert np.array_equal(head.weight, expected.weight)
    assert np.array_equal(head.bias, expected.bias)
    got = embed(backbone_of_file(model), images, torch.device("cpu"))
    assert torch.allclose(got, embed(classifier.backbone, images, torch.device("cpu")), atol=1e-4)


def test_weights_stored_as_float16_come_back(file, images):
    path, classifier = file
    head = head_of_file(as_float16(open_file(path)[0]))
    assert np.abs(head.weight - folded_head(classifier).weight).max() < 1e-3
    got = embed(backbone_of_file(as_float16(open_file(path)[0])), images, torch.device("cpu"))
    expected = embed(classifier.backbone, images, torch.device("cpu"))
    assert (got - expected).abs().max() < 0.01 * expected.abs().max()


def test_settled_batch_norms_compute_the_same_and_train_like_it(file):
    """In evaluation nothing changes; in training the same images now give nearly the same as in evaluation."""
    backbone = backbone_of_file(open_file(file[0])[0])
    images = torch.rand(64, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = backbone.eval()(images)
        unsettled = copy.deepcopy(backbone).train()(images)
        settle_batch_norms(backbone, images)
        after = backbone.eval()(images)
        training = backbone.train()(images)
    scale = before.abs().max()
    assert (after - before).abs().max() < 1e-3 * scale
    assert (training - before).abs().max() < 1e-2 * scale
    assert (unsettled - before).abs().max() > 0.1 * scale


def test_another_head_changes_the_answers_and_nothing_below(file, images):
    """Probabilities and map follow the new head; embedding and reject score are the old ones to the bit, twice."""
    path, _ = file
    model, card = open_file(path)
    old = run(path.read_bytes(), images.numpy())
    for seed in (1, 2):
        random = np.random.default_rng(seed)
        head = Head(
            weight=random.normal(0, 0.1, (14, 512)).astype(np.float32), bias=random.normal(0, 1, 14).astype(np.float32)
        )
        model = with_head(model, features_of_file(model), head, card)
        got = run(model.SerializeToString(), images.numpy())
        logits = old["embedding"] @ head.weight.T + head.bias
        assert got["probabilities"].argmax(1).tolist() == logits.argmax(1).tolist()
        assert np.abs(got["activation_map"].mean((2, 3)) + head.bias - logits).max() < 1e-3
        assert np.array_equal(got["embedding"], old["embedding"])
        assert np.array_equal(got["reject_score"], old["reject_score"])
    assert np.array_equal(head_of_file(model).weight, head.weight)


def test_a_new_rejection_reads_the_new_head(file, images):
    path, _ = file
    model, card = open_file(path)
    head = Head(weight=np.eye(14, 512, dtype=np.float32), bias=np.zeros(14, np.float32))
    made = with_head(model, features_of_file(model), head, card, Rejection(statistic="energy"))
    got = run(made.SerializeToString(), images.numpy())
    logits = got["embedding"][:, :14].astype(np.float64)
    assert got["reject_score"] == pytest.approx(-np.log(np.exp(logits).sum(1)), rel=1e-4)


def test_int8_answers_much_the_same_in_a_third_of_the_size(file):
    """The trunk is quantised, the head is not; the node opens it."""
    path, _ = file
    model, _ = open_file(path)
    random = np.random.default_rng(0)
    pictures = random.integers(0, 255, (48, SIZE, SIZE)).astype(np.uint8)
    small = as_int8(model, SIZE, pictures[:32])
    asked = pictures[32:, None].astype(np.float32) / 255
    full, got = run(path.read_bytes(), asked), run(small.SerializeToString(), asked)
    assert len(small.SerializeToString()) < path.stat().st_size / 3
    assert np.abs(full["probabilities"] - got["probabilities"]).max() < 0.05
    spread = np.abs(full["embedding"] - got["embedding"]).mean() / np.abs(full["embedding"]).mean()
    assert spread < 0.1
    target = path.parent / "small.onnx"
    target.write_bytes(small.SerializeToString())
    assert Model.open(target).predict(asked[:, 0])
    with pytest.raises(TrainingError, match="quantised"):
        backbone_of_file(small)


def test_an_ensemble_sums_the_softmax(tmp_path, images):
    """Three members in one graph against their own files; the node opens it, and it cannot be adapted."""
    files = [tmp_path / f"{seed}.onnx" for seed in range(3)]
    for seed, path in enumerate(files):
        write_file(path, seed)
    models = [open_file(path) for path in files]
    made = ensemble_model([model for model, _ in models], models[0][1], temperature=1.0)
    got = run(made.SerializeToString(), images.numpy())
    alone = [run(path.read_bytes(), images.numpy()) for path in files]
    expected = np.mean([each["probabilities"] for each in alone], axis=0)
    assert np.abs(got["probabilities"] - expected).max() < 1e-6
    assert got["embedding"].shape == (len(images), 3 * 512)
    assert np.linalg.norm(got["embedding"], axis=1) == pytest.approx(np.sqrt(3), rel=1e-5)
    assert np.abs(got["reject_score"] - np.mean([each["reject_score"] for each in alone], axis=0)).max() < 1e-5
    assert np.abs(got["activation_map"] - np.mean([e["activation_map"] for e in alone], axis=0)).max() < 1e-4
    sharper = run(
        ensemble_model([m for m, _ in models], models[0][1], temperature=0.5).SerializeToString(), images.numpy()
    )["probabilities"]
    squared = expected**2 / (expected**2).sum(axis=1, keepdims=True)
    assert np.abs(sharper - squared).max() < 1e-5
    path = tmp_path / "ensemble.onnx"
    path.write_bytes(made.SerializeToString())
    assert len(Model.open(path).predict(images[:2, 0].numpy())) == 2
    with pytest.raises(TrainingError, match="ensemble"):
        head_of_file(made)


def test_a_file_that_is_no_model_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "x.onnx").write_text("no model")
    with pytest.raises(TrainingError, match="cannot be read"):
        open_file(tmp_path / "x.onnx")


def test_random_classifiers_differ():
    """Or the ensemble's test would sum the same thing three times."""
    assert not torch.equal(random_classifier(0).weight, random_classifier(1).weight)
