"""The model card travels inside the model file and refuses what this node cannot use."""

import json

import pytest

from dicom_node.errors import ModelError
from dicom_node.model.card import LABELS, METADATA_KEY, Thresholds, card_from_metadata
from dicom_node.regions import REGIONS
from tests.unit.model.tiny import tiny_card


def test_a_card_survives_the_way_through_the_metadata():
    """Everything written is read again, free training text included."""
    card = tiny_card(training={"sources": [{"name": "x", "n": 3}], "attribution": "Müller"}, temperature=1.7)
    assert card_from_metadata({METADATA_KEY: card.to_json()}) == card


def test_a_file_without_a_card_is_refused():
    """Without a card nothing is known of labels and thresholds."""
    with pytest.raises(ModelError, match=r"no 'dicom_node\.model_card' metadata"):
        card_from_metadata({"other": "1"})


def test_a_model_for_other_pixels_is_refused_with_both_versions():
    """The sentence names the model's imaging version and the node's."""
    text = tiny_card(imaging_version=41).to_json()
    with pytest.raises(ModelError, match="made for imaging version 41, this node has 42"):
        card_from_metadata({METADATA_KEY: text}, imaging_version=42)


@pytest.mark.parametrize(
    "labels", [LABELS[::-1], LABELS[:-1], (*LABELS, "toe"), ()], ids=["other order", "fewer", "more", "none"]
)
def test_other_labels_than_the_fourteen_in_contract_order_are_refused(labels):
    """Probabilities are read by position, so another order would tag every image wrongly."""
    raw = json.loads(tiny_card().to_json()) | {"labels": list(labels)}
    with pytest.raises(ModelError, match="in this order: clavicle, shoulder"):
        card_from_metadata({METADATA_KEY: json.dumps(raw)})


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"labels": 3}'])
def test_a_damaged_card_is_refused(text):
    """Whatever is wrong with the JSON comes out as a ModelError."""
    with pytest.raises(ModelError, match="cannot be read"):
        card_from_metadata({METADATA_KEY: text})


def test_a_card_of_a_later_format_is_refused():
    """A later format may mean something else by the same keys."""
    raw = json.loads(tiny_card().to_json()) | {"format_version": 2}
    with pytest.raises(ModelError, match="format 2"):
        card_from_metadata({METADATA_KEY: json.dumps(raw)})


def test_thresholds_refuse_what_is_no_probability():
    """A min_confidence above 1 would silently abstain always."""
    with pytest.raises(ModelError, match="not a probability"):
        Thresholds(min_confidence=1.5, reject_above=0.0)


def test_the_labels_are_the_regions():
    """One order everywhere."""
    assert tuple(region.value for region in REGIONS) == LABELS
