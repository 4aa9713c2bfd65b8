"""The side that a sender states as a code or a word is not lost with the body part that was wrong."""

import pytest

from dicom_node.correct import corrected
from tests.corrected_objects import anatomy, as_read, code, correction, cr, dx, with_bytes

_SIDES = {
    "R": ("24028007", "Right"),
    "L": ("7771000", "Left"),
    "old R": ("G-A100", "Right", "SRT"),
    "both": ("51440002", "Right and left"),
}


def sided_knee(*sides):
    """The anatomic region of a knee with modifiers: R, L, in SNOMED CT or the older codes."""
    region = anatomy("KNEE")
    region[0].AnatomicRegionModifierSequence = [code(*_SIDES[side]) for side in sides]
    return region


@pytest.mark.parametrize(
    ("said", "side", "meaning"), [("R", "R", "Right"), ("L", "L", "Left"), ("old R", "R", "Right")]
)
@pytest.mark.parametrize("term", ["HAND", "HIP"])
def test_a_side_that_only_a_modifier_states_stays(said, side, meaning, term):
    """It is no less the side of this image where the knee was wrong; both attributes are empty, so one gets it."""
    ds = as_read(corrected(cr(AnatomicRegionSequence=sided_knee(said)), correction(term)))
    (item,) = ds.AnatomicRegionSequence
    assert item.AnatomicRegionModifierSequence[0].CodeMeaning == meaning
    assert (ds.Laterality, "ImageLaterality" in ds) == (side, False)


@pytest.mark.parametrize("sides", [("R", "L"), ("both",), ("R", "both"), ()])
def test_two_sides_or_none_in_the_modifiers_are_no_side(sides):
    ds = corrected(cr(AnatomicRegionSequence=sided_knee(*sides)), correction("HAND"))
    assert "AnatomicRegionModifierSequence" not in ds.AnatomicRegionSequence[0]
    assert ds["Laterality"].is_empty


def test_an_unpaired_part_gets_no_modifier_of_a_side():
    ds = corrected(cr(AnatomicRegionSequence=sided_knee("R")), correction("SKULL"))
    assert "AnatomicRegionModifierSequence" not in ds.AnatomicRegionSequence[0]
    assert "Laterality" not in ds


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("text", "term", "side"),
    [
        ("LT KNEE", "HIP", "L"),
        ("Hand rechts", "WRIST", "R"),
        ("L KNEE", "ANKLE", "L"),
        ("LEFT", "HIP", "L"),
        ("KNEE R L", "HIP", ""),
        ("BOTH KNEES", "ANKLE", ""),
        ("SPINE L", "RIB", ""),
        ("L", "RIB", ""),
        ("L SPINE", "RIB", ""),
        ("KNEE R/O FX", "ANKLE", ""),
    ],
)
def test_a_side_in_the_words_of_a_body_part_stays(text, term, side):
    """The word goes with the wrong part, and what it said of the side does not; an L may be lumbar, R/O is no right."""
    ds = corrected(with_bytes(cr(), "BodyPartExamined", text.encode()), correction(term))
    assert (ds.Laterality or "") == side


def test_modifier_and_word_of_different_sides_leave_the_side_open():
    ds = cr(BodyPartExamined="LT KNEE", AnatomicRegionSequence=sided_knee("R"))
    assert corrected(ds, correction("HAND"))["Laterality"].is_empty


@pytest.mark.parametrize(("attribute", "stated"), [("Laterality", "L"), ("ImageLaterality", "U")])
def test_an_attribute_that_says_something_of_the_side_stays_as_it_is(attribute, stated):
    ds = corrected(
        dx(**{"ImageLaterality": None} | {attribute: stated}, BodyPartExamined="RT KNEE"), correction("HAND")
    )
    assert ds[attribute].value == stated


def test_an_empty_image_laterality_gets_the_side():
    """DX has no Laterality of the series beside it."""
    ds = corrected(dx(BodyPartExamined="RT KNEE", ImageLaterality=""), correction("HAND"))
    assert (ds.ImageLaterality, "Laterality" in ds) == ("R", False)
