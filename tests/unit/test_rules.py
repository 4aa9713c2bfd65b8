"""Rules say which destinations get an image, and why."""

import pytest

from dicom_node.regions import Region
from dicom_node.rules import Facts, Rule, explain, route
from dicom_node.verdict import Agreement, Outcome

HAND = Facts(
    outcome=Outcome.TAGGED,
    region=Region.HAND,
    confidence=0.93,
    agreement=Agreement.DISAGREES,
    calling_ae="CR_ROOM1",
    called_ae="REGION",
    header={"Modality": ("CR",), "StationName": ("ROOM1",), "ImageType": ("ORIGINAL", "PRIMARY")},
)
DESTINATIONS = ("PACS", "BONEAGE", "ARCHIVE")


def rule(name="r", send_to=("BONEAGE",), *, min_confidence=None, final=False, **when):
    """A rule; a condition may be one pattern or several."""
    patterns = {key: (value,) if isinstance(value, str) else tuple(value) for key, value in when.items()}
    return Rule(name=name, when=patterns, send_to=send_to, min_confidence=min_confidence, final=final)


def test_without_rules_every_destination_gets_every_image():
    """In the order of the configuration."""
    assert route([], DESTINATIONS, HAND).destinations == DESTINATIONS


def test_a_destination_that_rules_name_gets_only_what_matches():
    """The others still get everything."""
    assert route([rule(region="hand")], DESTINATIONS, HAND).destinations == ("PACS", "BONEAGE", "ARCHIVE")
    assert route([rule(region="knee")], DESTINATIONS, HAND).destinations == ("PACS", "ARCHIVE")


def test_any_rule_that_names_a_destination_can_let_an_image_through():
    """One rule that does not match takes nothing away from one that does."""
    rules = [rule("a", region="knee"), rule("b", region="hand"), rule("c", region="foot")]
    assert "BONEAGE" in route(rules, DESTINATIONS, HAND).destinations


def test_a_final_rule_that_matches_ends_the_reading():
    """Later rules are neither applied nor explained."""
    rules = [rule("a", ("BONEAGE",), region="hand", final=True), rule("b", ("ARCHIVE",), region="hand")]
    routing = route(rules, DESTINATIONS, HAND)
    assert routing.destinations == ("PACS", "BONEAGE")
    assert [each.rule for each in routing.explanations] == ["a"]


def test_a_final_rule_that_does_not_match_ends_nothing():
    """The next one is read."""
    rules = [rule("a", ("BONEAGE",), region="knee", final=True), rule("b", ("ARCHIVE",), region="hand")]
    assert route(rules, DESTINATIONS, HAND).destinations == ("PACS", "ARCHIVE")


@pytest.mark.parametrize(
    ("when", "matched"),
    [
        ({"region": ("hand", "wrist")}, True),
        ({"region": "HAND"}, True),
        ({"agreement": "disagrees"}, True),
        ({"agreement": ("agrees", "header_empty")}, False),
        ({"outcome": "tagged"}, True),
        ({"modality": ("CR", "DX")}, True),
        ({"modality": "DX"}, False),
        ({"calling_ae": "CR_*"}, True),
        ({"called_ae": "OTHER"}, False),
        ({"StationName": "room?"}, True),
        ({"ImageType": "PRIMARY"}, True),
        ({"ImageType": "DERIVED"}, False),
        ({"InstitutionName": "*"}, True),
        ({"InstitutionName": "?*"}, False),
        ({"region": "hand", "modality": "DX"}, False),
        ({}, True),
    ],
)
def test_all_conditions_must_hold_and_one_pattern_of_each(when, matched):
    """Case is ignored, wildcards are the shell's, and one value of a multi-valued element is enough."""
    assert explain(rule(**when), HAND).matched is matched


@pytest.mark.parametrize(("least", "matched"), [(0.93, True), (0.92, True), (0.94, False)])
def test_min_confidence_is_a_lower_bound(least, matched):
    """Equality is enough."""
    assert explain(rule(min_confidence=least, region="hand"), HAND).matched is matched


@pytest.mark.parametrize("least", [0.5, 0.0])
def test_what_the_model_abstained_on_meets_no_min_confidence(least):
    """Its best guess may be worth 0.6, but it is no region that the node stands for."""
    answer = explain(rule(min_confidence=least), Facts(outcome=Outcome.ABSTAINED, confidence=0.6))
    assert (answer.matched, answer.because) == (False, ("no region to be confident of",))


def test_an_image_that_is_not_tagged_matches_no_region():
    """Routing follows the verified region alone."""
    abstained = Facts(outcome=Outcome.ABSTAINED, confidence=0.4)
    assert not explain(rule(region="?*"), abstained).matched
    assert explain(rule(outcome="abstained"), abstained).matched


def test_the_explanation_says_for_each_condition_whether_it_held():
    """`rules test` prints these."""
    answer = explain(rule(region=("knee", "foot"), ImageType="ORIGINAL", min_confidence=0.5), HAND)
    assert answer.because == (
        "region is hand, none of knee, foot",
        "ImageType is ORIGINAL\\PRIMARY, one of ORIGINAL",
        "confidence 0.93 >= 0.50",
    )


def test_an_empty_pattern_is_met_by_what_is_empty_and_explained_so():
    """It routes what the model abstained on."""
    answer = explain(rule(region=""), Facts(outcome=Outcome.ABSTAINED))
    assert answer.matched
    assert answer.because == ("region is empty, one of empty",)


def test_a_rule_without_conditions_says_so():
    """It matches every image."""
    assert explain(rule(), HAND).because == ("no conditions",)
