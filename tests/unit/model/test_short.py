"""The short of a card tells what an operator asks first."""

from dicom_node.model.card import Thresholds
from dicom_node.model.short import short
from tests.unit.model.tiny import tiny_card


def test_thresholds_and_the_statistic_are_said_in_words():
    limits = Thresholds(min_confidence=0.82, reject_statistic="knn", reject_above=0.118)
    lines = dict(short(tiny_card(thresholds=limits), "tiny-1.0-abc"))
    assert lines["model"] == "tiny-1.0-abc"
    assert "0.82" in lines["tags"]
    assert lines["rejects"] == "when the distance to the nearest known embeddings is above 0.118 (knn)"


def test_an_adapted_model_names_its_parent_and_its_labels():
    history = {
        "parent": "starter-1",
        "finished": "2026-11-20T22:00:00+00:00",
        "labels": {"hand": 5, "foot": 4},
        "out_of_fold": {"n": 9, "top1": 0.889, "right_of_tagged": None},
    }
    lines = dict(short(tiny_card(training={"adapted": [history]}), "x"))
    assert "starter-1" in lines["adapted from"]
    assert lines["  to labels"] == "hand 5, foot 4"
    assert lines["  out of fold"] == "n 9, top1 0.889"


def test_sources_are_counted_with_their_licence():
    rows = [
        {"source": "a", "licence": "CC BY 4.0", "region": "hand", "n": 3},
        {"source": "a", "licence": "CC BY 4.0", "region": "foot", "n": 4},
        {"source": "b", "licence": "", "region": "foot", "n": 1},
    ]
    lines = dict(short(tiny_card(training={"sources": rows}), "x"))
    assert lines["learned from"] == "a: 7 images (CC BY 4.0)\nb: 1 images (no licence stated)"


def test_a_statistic_that_is_not_in_the_list_is_named_as_it_is():
    """As an ensemble's, or a later release's."""
    limits = Thresholds(min_confidence=0.5, reject_statistic="mean of energy", reject_above=0.0)
    assert "mean of energy" in dict(short(tiny_card(thresholds=limits), "x"))["rejects"]
