"""The policy decides from facts alone, and never more than the hospital allowed."""

from dataclasses import replace

import pytest

from dicom_node.bodypart import EMPTY_HEADER, read_header_region
from dicom_node.policy import Policy, closed_series_value, rule_on, series_proposal, within_series
from dicom_node.regions import REGIONS, Region
from dicom_node.verdict import Agreement, Decision, Outcome, agreement_of


def ruling(header="", code="", *, sided=False, region=Region.HAND, confidence=0.95, outcome=Outcome.TAGGED, **policy):
    """What the policy says; the defaults are a sure hand."""
    return rule_on(
        policy=Policy(**policy),
        header=replace(read_header_region(header, code), sided=sided),
        outcome=outcome,
        region=region,
        confidence=confidence,
    )


def test_an_empty_header_is_filled_by_default():
    """`fill` is on unless it is switched off."""
    answer = ruling()
    assert (answer.decision, answer.body_part) == (Decision.FILLS, "HAND")
    assert answer.agreement is Agreement.HEADER_EMPTY


def test_an_empty_header_goes_to_review_where_filling_is_off():
    """The image goes as received."""
    answer = ruling(fill=False)
    assert (answer.decision, answer.body_part) == (Decision.REVIEW, None)


@pytest.mark.parametrize("region", REGIONS)
def test_every_region_is_filled_with_its_own_term(region):
    """Table L-1's term, PELVIS for the merged class."""
    assert ruling(region=region).body_part == region.body_part_examined


@pytest.mark.parametrize(("header", "code"), [("", ""), ("KNEE", ""), ("", "816092008")])
def test_where_the_sender_states_a_side_the_merged_class_is_written_as_the_hip_that_can_have_it(header, code):
    """PELVIS beside a side would be no conformant object, and PELVIS without it would have lost the side."""
    hip = ruling(header, code, sided=True, region=Region.PELVIS_HIP, correct_above=0.9)
    whole = ruling(header, code, sided=False, region=Region.PELVIS_HIP, correct_above=0.9)
    assert (hip.body_part, whole.body_part) == ("HIP", "PELVIS")


def test_a_side_changes_no_other_term():
    """A spine has no side, and no other term for one that has."""
    assert ruling(sided=True, region=Region.LUMBAR_SPINE).body_part == "LSPINE"
    assert ruling(sided=True, region=Region.KNEE).body_part == "KNEE"


def test_a_hip_with_a_side_in_a_series_of_pelves_keeps_its_header_and_its_side():
    """Neither may the series have two values, nor the image lose its side: somebody has to look."""
    answer = later(value="PELVIS", sided=True, region=Region.PELVIS_HIP)
    assert (answer.decision, answer.body_part) == (Decision.REVIEW, None)
    assert later(value="PELVIS", sided=True).body_part is None
    assert later(value="PELVIS", sided=False).body_part == "PELVIS"
    assert later(value="HIP", sided=True).body_part == "HIP"


@pytest.mark.parametrize("header", ["HAND", "Hand li.", "FINGER", "UPPERLIMB", "HAND WRIST"])
def test_a_header_that_agrees_is_left_alone(header):
    """Also where it is finer, coarser or free text: the node does not restyle what is right."""
    answer = ruling(header, correct_above=0.0)
    assert (answer.decision, answer.body_part) == (Decision.AGREES, None)


def test_a_wrong_header_waits_for_review_by_default():
    """`correct_above` is absent by default, however sure the model is."""
    answer = ruling("KNEE", confidence=1.0)
    assert (answer.decision, answer.body_part) == (Decision.REVIEW, None)
    assert answer.agreement is Agreement.DISAGREES
    assert answer.reason == "the header says KNEE; the pixels show hand (1.00)"


@pytest.mark.parametrize(
    ("confidence", "decision"), [(0.8999, Decision.REVIEW), (0.9, Decision.CORRECTS), (0.95, Decision.CORRECTS)]
)
def test_a_wrong_header_is_corrected_from_the_threshold_on(confidence, decision):
    """At least `correct_above`."""
    answer = ruling("KNEE", confidence=confidence, correct_above=0.9)
    assert answer.decision is decision
    assert answer.body_part == ("HAND" if decision is Decision.CORRECTS else None)


@pytest.mark.parametrize("header", ["XYZZY", "LUNGFISH", "12", "R 胸部", "胸部", "ГРУДЬ", "DEFAULT XYZZY"])
def test_words_that_nobody_understands_go_to_review(header):
    """They may name a part that the model was never taught, as a code that no table knows may."""
    answer = ruling(header, confidence=1.0, correct_above=0.0)
    assert (answer.decision, answer.agreement) == (Decision.REVIEW, Agreement.HEADER_UNKNOWN)
    beside = ruling(header, "72696002", confidence=1.0, correct_above=0.0)
    assert (beside.decision, beside.body_part) == (Decision.REVIEW, None)
    assert ruling(header, "85562004", correct_above=0.0).decision is Decision.AGREES


@pytest.mark.parametrize(
    ("header", "region"),
    [
        ("ABDO PELVIS", Region.LUMBAR_SPINE),
        ("CSP TSP LSPINE", Region.CERVICAL_SPINE),
        ("KNEE-HUEFT", Region.PELVIS_HIP),
        ("FOOT 胸部", Region.RIB),
    ],
)
def test_a_word_that_nobody_understands_protects_the_one_beside_it(header, region):
    """It may be the one that the pixels show, or one that the model was never taught."""
    answer = ruling(header, region=region, confidence=1.0, correct_above=0.0)
    assert (answer.decision, answer.body_part) == (Decision.REVIEW, None)
    assert answer.reason.startswith("BodyPartExamined says what is not known here")


def test_a_header_with_a_word_that_nobody_understands_decides_nothing_for_its_series():
    """ABDO PELVIS, pixels of a pelvis: nothing is wrong with it, and PELVIS may still be less than it says."""
    own = ruling("ABDO PELVIS", region=Region.PELVIS_HIP, correct_above=0.9)
    assert (own.decision, own.body_part) == (Decision.AGREES, None)
    assert series_proposal(own, read_header_region("ABDO PELVIS")) is None
    assert series_proposal(own, read_header_region("PELVIS AP")) == "PELVIS"


@pytest.mark.parametrize("header", ["DEFAULT", "Unknown", "N/A", "NOT SPECIFIED", "nicht angegeben", "-", "LAT", "?R"])
def test_words_that_mean_nothing_are_treated_as_wrong(header):
    """They are of no use for sorting, but stay in the trace of the copy."""
    assert ruling(header).decision is Decision.REVIEW
    answer = ruling(header, correct_above=0.9)
    assert (answer.decision, answer.agreement) == (Decision.CORRECTS, Agreement.HEADER_UNKNOWN)


@pytest.mark.parametrize(
    "header",
    ["LUNGS", "THX", "TORSO", "BRUST", "PULMON", "POLMONI", "BORST", "ABDOME", "VENTRE", "TEETH", "OPG", "ZAHN"],
)
def test_a_chest_a_belly_or_teeth_in_common_words_are_never_overwritten(header):
    """As CHEST, ABDOMEN and MOUTH are not."""
    answer = ruling(header, region=Region.WRIST, confidence=1.0, correct_above=0.0)
    assert (answer.decision, answer.body_part) == (Decision.REVIEW, None)
    assert read_header_region(header).outside


def test_the_code_of_one_part_beside_words_for_another_go_to_review():
    """KNEE by its code, in Chinese, pixels of a hand."""
    answer = ruling("膝", "72696002", confidence=1.0, correct_above=0.0)
    assert answer.reason == "BodyPartExamined says what is not known here; the pixels show hand"


def test_a_legal_part_outside_the_fourteen_is_never_overwritten():
    """No pixel can refute BREAST to a model that was never taught it."""
    answer = ruling("BREAST", confidence=1.0, correct_above=0.0)
    assert (answer.decision, answer.body_part) == (Decision.REVIEW, None)


@pytest.mark.parametrize("header", ["CHEST RIBS", "CHEST/SHOULDER", "ABD PELVIS"])
def test_a_legal_part_outside_beside_a_region_protects_the_header_too(header):
    """Two parts in one field are no reason to drop the one that the model was never taught."""
    answer = ruling(header, confidence=1.0, correct_above=0.0)
    assert (answer.decision, answer.body_part) == (Decision.REVIEW, None)
    assert ruling("CHEST RIBS", region=Region.RIB).decision is Decision.AGREES
    assert ruling("CHEST SHOULDER", region=Region.RIB, correct_above=0.0).decision is Decision.AGREES


@pytest.mark.parametrize("header", ["DEFAULT", "UNKNOWN", "CHESTXYZ"])
def test_a_code_outside_the_fourteen_protects_the_header_beside_a_word_that_means_nothing(header):
    """DEFAULT with the code of a chest is a chest, whose images show ribs; a hand there is for a person to look at."""
    assert ruling(header, "816094009", region=Region.RIB, correct_above=0.0).decision is Decision.AGREES
    answer = ruling(header, "816094009", confidence=1.0, correct_above=0.0)
    assert (answer.decision, answer.body_part) == (Decision.REVIEW, None)


@pytest.mark.parametrize("code", ["816094009", "123456789"])
def test_a_code_that_no_pixel_can_refute_protects_a_wrong_body_part_too(code):
    """ELBOW with the code of a chest, or one that nobody knows: correcting the word would replace the code as well."""
    answer = ruling("ELBOW", code, confidence=1.0, correct_above=0.0)
    assert (answer.decision, answer.body_part) == (Decision.REVIEW, None)
    assert answer.reason == "the header says several parts, not all of them of the 14 regions; the pixels show hand"
    assert ruling("HAND", code, correct_above=0.0).decision is Decision.AGREES


def test_a_body_part_and_a_code_that_name_different_parts_do_not_agree():
    """HAND with the code of a foot, pixels of a hand: the wrong code would go out as if it were right."""
    answer = ruling("HAND", "56459004", confidence=1.0, correct_above=0.0)
    assert (answer.decision, answer.agreement, answer.body_part) == (Decision.REVIEW, Agreement.DISAGREES, None)
    assert answer.reason == "the header's codes name another part than HAND; the pixels show hand"


@pytest.mark.parametrize(("header", "code"), [("FOOT", "85562004"), ("FOOT", "72696002")])
def test_a_wrong_body_part_is_corrected_be_the_code_beside_it_right_or_wrong(header, code):
    """The copy then says the same twice."""
    answer = ruling(header, code, correct_above=0.9)
    assert (answer.decision, answer.body_part) == (Decision.CORRECTS, "HAND")


@pytest.mark.parametrize(
    ("header", "code"), [("FOREARM", "74670003"), ("THUMB", "85562004"), ("HAND WRIST", "85562004")]
)
def test_a_body_part_and_a_code_of_which_one_is_finer_agree(header, code):
    """They have a region in common."""
    assert not read_header_region(header, code).torn


def test_a_word_that_means_nothing_is_judged_by_the_code_beside_it():
    """Right by its code it goes as received, which is no answer for its series; else it is as wrong as its code is."""
    right, wrong, unknown = (ruling("DEFAULT", each, correct_above=0.9) for each in ("85562004", "72696002", "123"))
    assert (right.decision, right.body_part) == (Decision.AGREES, None)
    assert series_proposal(right, read_header_region("DEFAULT", "85562004")) is None
    assert (wrong.decision, wrong.body_part) == (Decision.CORRECTS, "HAND")
    assert (unknown.decision, unknown.body_part) == (Decision.REVIEW, None)


def later(header="", *, value="KNEE", sided=False, region=None, confidence=0.9, **policy):
    """What becomes of a later image of a series with this value; untagged by default."""
    outcome = Outcome.ABSTAINED if region is None else Outcome.TAGGED
    own = ruling(header, sided=sided, region=region, confidence=confidence, outcome=outcome, **policy)
    said = replace(read_header_region(header), sided=sided)
    return within_series(Policy(**policy), own, said, value)


def test_a_later_image_without_a_header_gets_its_series_value():
    """Also where the model abstains: BodyPartExamined is the series'."""
    assert later().body_part == "KNEE"


@pytest.mark.parametrize("region", [None, Region.FOOT])
@pytest.mark.parametrize("value", ["LSPINE", "SKULL"])
def test_no_other_image_s_unpaired_part_takes_the_side_of_an_image_away(value, region):
    """A left foot in a series of spines: what has no side is written only where its own pixels show it."""
    assert later(value=value, sided=True, region=region).body_part is None
    assert later(value=value, sided=False).body_part == value
    assert later(value="KNEE", sided=True).body_part == "KNEE"
    assert later(value="LSPINE", sided=True, region=Region.LUMBAR_SPINE).body_part == "LSPINE"


def test_nor_does_the_value_of_a_closed_series():
    """Nobody stands for what this image shows."""
    left = replace(EMPTY_HEADER, sided=True)
    assert closed_series_value(Policy(), left, "SKULL") is None
    assert closed_series_value(Policy(), left, "KNEE") == "KNEE"
    assert closed_series_value(Policy(), left, "SKULL", own="SKULL", region=Region.SKULL) == "SKULL"


@pytest.mark.parametrize("region", [None, Region.KNEE, Region.ELBOW])
def test_where_filling_is_off_no_later_image_is_filled_either(region):
    """`fill = false` and no `correct_above`: nothing is touched, whatever the series says."""
    assert later(region=region, fill=False).body_part is None
    assert closed_series_value(Policy(fill=False), EMPTY_HEADER, "KNEE") is None


@pytest.mark.parametrize("region", [None, Region.ELBOW, Region.HAND])
def test_a_series_value_overwrites_no_header_below_the_threshold(region):
    """HAND in the series, KNEE in the header: whatever another image of the series showed, a person looks at this."""
    answer = later("KNEE", value="HAND", region=region, confidence=0.9, correct_above=0.95)
    assert (answer.decision, answer.body_part) == (Decision.REVIEW, None)
    assert closed_series_value(Policy(correct_above=0.95), read_header_region("KNEE"), "HAND") is None


def test_a_series_value_overwrites_a_header_where_the_images_own_pixels_do():
    """From the threshold on."""
    assert later("KNEE", value="HAND", region=Region.HAND, confidence=0.95, correct_above=0.95).body_part == "HAND"
    said = read_header_region("KNEE")
    bold = Policy(correct_above=0.95)
    assert closed_series_value(bold, said, "HAND", own="HAND", region=Region.HAND) == "HAND"


@pytest.mark.parametrize("header", ["HAND", "FINGER", "HAND WRIST"])
def test_a_closed_series_restyles_no_header_that_its_pixels_agree_with(header):
    """FINGER and HAND in one series: each keeps its own."""
    said = read_header_region(header)
    own = series_proposal(ruling(header, correct_above=0.9), said)
    for value in ("HAND", "FINGER", "WRIST"):
        assert closed_series_value(Policy(correct_above=0.9), said, value, own=own, region=Region.HAND) is None


@pytest.mark.parametrize("code", ["", "85562004"])
def test_a_closed_series_writes_nothing_that_an_image_s_own_pixels_contradict(code):
    """A late foot in a series of hands, empty or with the code of a hand."""
    said = read_header_region("", code)
    assert closed_series_value(Policy(), said, "HAND", own="FOOT", region=Region.FOOT) is None
    assert closed_series_value(Policy(), said, "HAND") == "HAND"


def test_a_correction_of_a_header_that_only_has_a_code_is_written():
    """Empty body part, the code of a knee, pixels of a hand: what is ruled is what the copy gets."""
    header = read_header_region("", "72696002")
    own = ruling("", "72696002", correct_above=0.9)
    assert own.decision is Decision.CORRECTS
    assert within_series(Policy(correct_above=0.9), own, header, "HAND").body_part == "HAND"


@pytest.mark.parametrize("code", ["123456789", "?", "85562004\\?"])
def test_a_code_that_nobody_knows_goes_to_review(code):
    """It names a part exactly, only we do not know which."""
    answer = ruling("", code, confidence=1.0, correct_above=0.0)
    assert (answer.decision, answer.body_part) == (Decision.REVIEW, None)


def test_two_codes_of_which_one_is_outside_the_fourteen_protect_the_header():
    """Chest and abdomen: neither is refuted by a rib."""
    answer = ruling("", "816094009\\818983003", region=Region.HAND, correct_above=0.0)
    assert (answer.decision, answer.body_part) == (Decision.REVIEW, None)


@pytest.mark.parametrize("code", ["T-D3000", "51185008", "43799004"])
def test_older_codes_of_parts_outside_the_fourteen_are_known(code):
    """Those of a chest."""
    assert ruling("", code, region=Region.RIB, correct_above=0.0).decision is Decision.AGREES


def test_what_its_sender_calls_unpaired_is_not_one_hip():
    """An overview beside a single hip of the same series."""
    whole = replace(EMPTY_HEADER, whole=True)
    own = rule_on(policy=Policy(), header=whole, outcome=Outcome.TAGGED, region=Region.PELVIS_HIP, confidence=0.97)
    answer = within_series(Policy(), own, whole, "HIP")
    assert (own.body_part, answer.decision, answer.body_part) == ("PELVIS", Decision.REVIEW, None)
    assert closed_series_value(Policy(), whole, "HIP") is None


@pytest.mark.parametrize(
    ("header", "code", "sided"), [("", "", True), ("KNEE", "", True), ("", "24136001", True), ("", "24136001", False)]
)
@pytest.mark.parametrize("decide", ["at once", "when the study closes"])
def test_one_hip_that_its_sender_calls_unpaired_goes_to_review(header, code, sided, decide):
    """Laterality L and ImageLaterality U: HIP may not be written, PELVIS would take the side, and KNEE is wrong."""
    said = replace(read_header_region(header, code), sided=sided, whole=True)
    policy = Policy(correct_above=0.9)
    outcome, region = Outcome.TAGGED, Region.PELVIS_HIP
    answer = rule_on(policy=policy, header=said, outcome=outcome, region=region, confidence=0.97)
    assert series_proposal(answer, said) is None
    if decide == "at once":
        answer = within_series(policy, answer, said, None)
    assert (answer.decision, answer.body_part) == (Decision.REVIEW, None)


@pytest.mark.parametrize(
    ("code", "region", "term"), [("80144004", Region.ANKLE, "CALCANEUS"), ("71341001", Region.KNEE, "FEMUR")]
)
def test_a_bone_between_two_joints_keeps_its_senders_term(code, region, term):
    """ANKLE beside the code of a heel would be two statements in one object."""
    assert ruling("", code, region=region).body_part == term


def test_a_part_outside_whose_images_show_the_region_agrees():
    """A chest image shows ribs."""
    assert ruling("CHEST", region=Region.RIB).decision is Decision.AGREES
    assert ruling("CHEST", region=Region.HAND).decision is Decision.REVIEW


@pytest.mark.parametrize("header", ["CHEST", "NECK", "BRUST", "HALS"])
def test_a_part_outside_that_agrees_goes_unchanged_and_proposes_nothing_to_its_series(header):
    """Nothing refutes it, and nothing confirms it for the images beside it."""
    own = ruling(header, region=_SHOWN[header], correct_above=0.9)
    assert (own.decision, own.body_part) == (Decision.AGREES, None)
    assert series_proposal(own, read_header_region(header)) is None
    beside = later(header, value=_SHOWN[header].body_part_examined, region=_SHOWN[header], correct_above=0.9)
    assert (beside.decision, beside.body_part) == (Decision.AGREES, None)


_SHOWN = {
    "CHEST": Region.RIB,
    "NECK": Region.CERVICAL_SPINE,
    "BRUST": Region.THORACIC_SPINE,
    "HALS": Region.CERVICAL_SPINE,
}


def test_a_closed_series_writes_no_part_that_the_pixels_only_border_on():
    """CHEST over a thoracic spine."""
    assert closed_series_value(Policy(), EMPTY_HEADER, "CHEST", own="TSPINE", region=Region.THORACIC_SPINE) is None


@pytest.mark.parametrize(
    ("header", "region", "term"),
    [("BRUST WS", Region.THORACIC_SPINE, "TSPINE"), ("HALS WS", Region.CERVICAL_SPINE, "CSPINE")],
)
def test_a_part_of_the_spine_in_two_words_proposes_itself(header, region, term):
    """And no chest or neck."""
    own = ruling(header, region=region, confidence=0.99, correct_above=0.9)
    assert (own.decision, series_proposal(own, read_header_region(header))) == (Decision.AGREES, term)


@pytest.mark.parametrize(
    ("code", "region", "term"),
    [
        ("85562004", Region.HAND, "HAND"),
        ("24136001", Region.PELVIS_HIP, "HIP"),
        ("7569003", Region.HAND, "FINGER"),
        ("421060004", Region.LUMBAR_SPINE, "LSPINE"),
    ],
)
def test_a_code_that_agrees_gives_its_own_term_unless_that_is_coarser(code, region, term):
    """BodyPartExamined then says what AnatomicRegionSequence says: HIP, not PELVIS; but the lumbar spine, not SPINE."""
    answer = ruling("", code, region=region)
    assert (answer.decision, answer.body_part) == (Decision.FILLS, term)


def test_a_code_that_agrees_is_enough_where_filling_is_off():
    """Nothing is wrong, and nothing may be written."""
    answer = ruling("", "85562004", fill=False)
    assert (answer.decision, answer.body_part) == (Decision.AGREES, None)


@pytest.mark.parametrize(
    ("outcome", "decision"),
    [
        (Outcome.ABSTAINED, Decision.ABSTAINS),
        (Outcome.NOT_A_RADIOGRAPH, Decision.NOT_A_RADIOGRAPH),
        (Outcome.UNREADABLE, Decision.UNREADABLE),
    ],
)
@pytest.mark.parametrize("header", ["", "KNEE"])
def test_what_is_not_tagged_is_left_alone(outcome, decision, header):
    """Even under the boldest policy, and with the model's best guess at hand."""
    answer = ruling(header, outcome=outcome, confidence=1.0, correct_above=0.0)
    assert (answer.decision, answer.body_part, answer.agreement) == (decision, None, None)


def test_agreement_is_by_region():
    """The four answers."""
    assert agreement_of(Region.HAND, EMPTY_HEADER) is Agreement.HEADER_EMPTY
    assert agreement_of(Region.HAND, read_header_region("THUMB")) is Agreement.AGREES
    assert agreement_of(Region.HAND, read_header_region("WRIST")) is Agreement.DISAGREES
    assert agreement_of(Region.HAND, read_header_region("LIVER")) is Agreement.HEADER_UNKNOWN
