"""A smaller file says what the float32 file says, and of as many images."""

from dataclasses import replace

import numpy as np
import pytest

from dicom_node.model.card import Thresholds
from dicom_node.model.session import Model
from tests.unit.training.networks import SIZE, write_file
from training.manifest import OOD, UNLABELLED
from training.shrink import _loses_little
from training.smaller import Answers, Measured, answers, measure

FULL = Measured(bytes=4, milliseconds=1.0, top1=0.95, agrees=1.0, tagged=0.7, wrongly_tagged=0.01)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"top1": 0.949, "agrees": 0.99, "tagged": 0.695, "wrongly_tagged": 0.011}, True),
        ({"top1": 0.947}, False),
        ({"tagged": 0.68}, False),
        ({"tagged": 0.72}, False),
        ({"wrongly_tagged": 0.013}, False),
    ],
)
def test_a_smaller_file_that_tags_others_is_not_taken_though_its_top_region_is_the_same(changes, expected):
    """It inherits limits of confidence and rejection that were chosen for other numbers."""
    assert _loses_little(FULL, replace(FULL, **changes)) is expected


def test_what_is_tagged_is_counted_as_the_node_counts_it(tmp_path):
    """Each image by itself; what nobody labelled is wrong where the float32 file says otherwise."""
    path, random = tmp_path / "m.onnx", np.random.default_rng(0)
    images = random.integers(0, 255, (12, SIZE, SIZE), np.uint8)
    write_file(path)
    scores = [each.reject_score for each in Model.open(path).predict(images.astype(np.float32) / np.float32(255))]
    thresholds = Thresholds(min_confidence=0.0, reject_above=float(np.median(scores)))
    write_file(path, thresholds=thresholds)
    said = Model.open(path).predict(images.astype(np.float32) / np.float32(255))
    got = answers(path.read_bytes(), images, thresholds)
    assert got.tagged.tolist() == [each.outcome == "tagged" for each in said]
    assert 0 < got.tagged.sum() < 12
    targets = np.where(np.arange(12) % 3 == 0, got.regions, np.where(np.arange(12) % 3 == 1, OOD, UNLABELLED))
    other = Answers(regions=got.regions, tagged=np.arange(12) < 6)
    measured = measure(path.read_bytes(), images, targets, thresholds, other)
    wrong = [bool(tagged) and (n % 3 == 1 or (n % 3 == 2 and n >= 6)) for n, tagged in enumerate(got.tagged)]
    assert measured.wrongly_tagged == pytest.approx(np.mean(wrong))
    assert (measured.tagged, measured.top1, measured.agrees) == (pytest.approx(got.tagged.mean()), 1.0, 1.0)
