"""Adapting an adapted file is adapting the file that it was made from."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import pytest

from dicom_node.model.card import LABELS
from dicom_node.model.session import Model
from tests.unit.model.tiny import tiny_card
from tests.unit.training.networks import SIZE, random_classifier, write_file
from training.adapting import MODEL, adapt_file
from training.errors import TrainingError
from training.export import export, run, trial_images
from training.finetuning import finetune_file
from training.images import ImageSet
from training.manifest import Row
from training.pool import Pool
from training.rejection import Rejection
from training.reopen import head_of_file, open_file
from training.smaller import as_float16
from training.start import starting_classifier
from training.unadapted import KEY, open_unadapted

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A file that rejects by k nearest neighbours, and carries no strangers."""
    path = tmp_path_factory.mktemp("original") / "original.onnx"
    bank = np.random.default_rng(1).normal(size=(20, 512))
    bank = (bank / np.linalg.norm(bank, axis=1, keepdims=True)).astype(np.float32)
    classifier = replace(random_classifier(), rejection=Rejection(statistic="knn", bank=bank, k=3))
    export(classifier, tiny_card(input_size=SIZE, name="little"), path)
    return path


def labelled(n=32, regions=4, strange=0, seed=0):
    """Noise under labels by chance, each of a patient of its own; and so much out of domain."""
    random = np.random.default_rng(seed)
    names = [LABELS[index] for index in random.integers(0, regions, n)] + ["ood:noise"] * strange
    rows = [
        Row(file=Path(f"{number}.png"), region=region, group=f"p{number}", use="train", source="labels")
        for number, region in enumerate(names)
    ]
    return ImageSet(images=random.integers(0, 255, (len(rows), SIZE, SIZE), np.uint8), rows=tuple(rows))


def adapted(source, labels, out):
    """The metrics, and the new file."""
    out.mkdir()
    return adapt_file(source, labels, out, now=NOW), out / MODEL


def test_labels_by_chance_stay_chance_however_often_the_file_is_adapted(tmp_path, original):
    """Each time from the last: balanced accuracy rose to 1, and the thresholds believed it."""
    source, labels, found = original, labelled(), []
    for number in range(3):
        metrics, source = adapted(source, labels, tmp_path / str(number))
        found.append(metrics)
    assert found[0] == found[1] == found[2]
    assert found[0]["balanced"] < 0.6


@pytest.mark.parametrize("strange", [0, 30])
def test_a_second_adaptation_is_the_first_one_of_the_original(tmp_path, original, strange):
    """To the bit, whatever the first one knew; also where that rejected by its own head, and the second cannot."""
    _, first = adapted(original, labelled(strange=30, seed=1), tmp_path / "first")
    assert Model.open(first).card.thresholds.reject_statistic == "energy"
    labels, images = labelled(strange=strange, seed=2), trial_images(SIZE)
    again, alone = (adapted(source, labels, tmp_path / f"of {source.parent.name}") for source in (first, original))
    assert again[0] == alone[0]
    assert Model.open(again[1]).card == Model.open(alone[1]).card
    one, other = (run(path.read_bytes(), images) for _, path in (again, alone))
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_smaller_copy_of_an_adapted_file_remembers_the_original_as_well(tmp_path, original):
    """Its trunk in half precision, under the head that was there first."""
    _, first = adapted(original, labelled(), tmp_path / "first")
    small = tmp_path / "small.onnx"
    small.write_bytes(as_float16(open_file(first)[0]).SerializeToString())
    head, expected = head_of_file(open_unadapted(small).graph), head_of_file(open_file(original)[0])
    assert np.array_equal(head.weight, expected.weight)


def test_training_begins_with_the_head_that_was_there_first(tmp_path, original):
    """`--finetune` measures the labels that the adapted head had learned from."""
    _, first = adapted(original, labelled(), tmp_path / "first")
    expected = head_of_file(open_file(original)[0]).weight
    assert not np.array_equal(head_of_file(open_file(first)[0]).weight, expected)
    started = starting_classifier(first, Pool.of(labelled()), SIZE)
    assert np.array_equal(started.weight.numpy(), expected)


def test_a_file_that_an_earlier_release_adapted_is_refused_with_what_to_adapt_instead(tmp_path, original):
    """It has nothing to go back to."""
    _, first = adapted(original, labelled(), tmp_path / "first")
    graph, _ = open_file(first)
    onnx.helper.set_model_props(graph, {each.key: each.value for each in graph.metadata_props if each.key != KEY})
    (tmp_path / "old.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(TrainingError, match=f"Begin with the original, {Model.open(original).model_id}, and give all"):
        adapted(tmp_path / "old.onnx", labelled(), tmp_path / "second")


def test_weights_that_learned_from_labels_are_not_measured_on_labels(tmp_path):
    """Neither those of a fine-tuned file, nor what was trained from them."""
    finetuned = {"finetuned": {"labels": []}}
    for number, told in enumerate((finetuned, {"earlier": finetuned}, {"run": {"command": "probe --finetune"}})):
        path = tmp_path / f"{number}.onnx"
        write_file(path, training=told)
        with pytest.raises(TrainingError, match="was fine-tuned on labels, and its weights cannot unlearn them"):
            adapted(path, labelled(), tmp_path / str(number))
        with pytest.raises(TrainingError, match="was fine-tuned on labels"):
            finetune_file(path, tmp_path / "l.csv", [], tmp_path / "out", recipe_path=None, seed=0, now=NOW)
