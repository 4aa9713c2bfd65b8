"""A corrected copy says what the pixels show, and keeps what the header said before."""

import pytest
from pydicom import Dataset
from pydicom.dataelem import DataElement

from dicom_node.correct import corrected
from dicom_node.errors import CorrectionError
from dicom_node.verdict import Decision
from tests.corrected_objects import AT, anatomy, as_read, code, correction, cr, dx, with_bytes


def previous(ds):
    """The values that the last correction replaced."""
    return ds.OriginalAttributesSequence[-1].ModifiedAttributesSequence[0]


def test_an_empty_header_is_filled_with_term_and_code():
    """BodyPartExamined gets the term of Annex L, AnatomicRegionSequence the SNOMED CT code of CID 4031."""
    ds = corrected(cr(), correction("WRIST", decision=Decision.FILLS))
    assert ds.BodyPartExamined == "WRIST"
    assert len(ds.AnatomicRegionSequence) == 1
    item = ds.AnatomicRegionSequence[0]
    assert (item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning) == ("74670003", "SCT", "Wrist joint")


def test_the_trace_names_time_system_reason_and_the_value_before():
    """PS3.3 Table C.12.1.1.9-1: one item, its one ModifiedAttributesSequence item with every previous value."""
    ds = corrected(cr(BodyPartExamined="KNEE", AnatomicRegionSequence=anatomy("KNEE")), correction("FOOT"))
    (item,) = ds.OriginalAttributesSequence
    assert item.AttributeModificationDateTime == "20260102030405.000678+0000"
    assert item.ModifyingSystem == "REGION"
    assert item.ReasonForTheAttributeModification == "CORRECT"
    assert item["SourceOfPreviousValues"].is_empty
    (old,) = item.ModifiedAttributesSequence
    assert old.BodyPartExamined == "KNEE"
    assert old.AnatomicRegionSequence[0].CodeValue == "72696002"
    assert ds.InstanceCoercionDateTime == "20260102030405.000678+0000"


def test_the_equipment_item_names_software_version_and_model():
    """Whoever reads the copy later can tell which model it was."""
    ds = corrected(cr(), correction("HAND"))
    (item,) = ds.ContributingEquipmentSequence
    purpose = item.PurposeOfReferenceCodeSequence[0]
    assert (purpose.CodeValue, purpose.CodingSchemeDesignator) == ("109103", "DCM")
    assert item.SoftwareVersions == "0.1.0"
    assert item.ContributionDateTime == "20260102030405.000678+0000"
    assert "starter-7f3a" in item.ContributionDescription


def test_a_header_that_says_it_already_gets_no_trace():
    """The series' value can be the one that an image has: then its copy is the original."""
    original = cr(BodyPartExamined="HAND", AnatomicRegionSequence=anatomy("HAND"), Laterality="L")
    assert corrected(original, correction("HAND")) == original


def test_the_input_is_never_changed():
    """The spool's object stays what it was."""
    original = cr(BodyPartExamined="KNEE", AnatomicRegionSequence=anatomy("KNEE"), Laterality="L")
    untouched = as_read(original)
    corrected(original, correction("SKULL"))
    assert original == untouched


def test_uids_pixels_and_creation_time_stay():
    """A correction is no derived image (PS3.3 C.12.1.1.9, Table C.12-1)."""
    original = dx(BodyPartExamined="KNEE")
    copy = corrected(original, correction("SKULL"))
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "PixelData", "InstanceCreationDate", "InstanceCreationTime"):
        assert copy[keyword].value == original[keyword].value


@pytest.mark.parametrize(
    ("before", "term", "reason"),
    [
        ("", "HAND", "COERCE"),
        ("HANDGELENK", "WRIST", "COERCE"),
        ("C-SPINE", "CSPINE", "COERCE"),
        ("HIP", "PELVIS", "COERCE"),
        ("KNEE", "HAND", "CORRECT"),
        ("CHEST", "RIB", "CORRECT"),
        ("XYZZY", "HAND", "CORRECT"),
    ],
)
def test_the_reason_is_correct_only_for_a_value_that_was_wrong(before, term, reason):
    """What was empty, or said the same in other words, is coerced."""
    ds = corrected(cr(BodyPartExamined=before), correction(term))
    assert ds.OriginalAttributesSequence[0].ReasonForTheAttributeModification == reason


def test_a_wrong_code_alone_is_a_correction_too():
    """An empty BodyPartExamined does not make a contradicting AnatomicRegionSequence right."""
    ds = corrected(cr(AnatomicRegionSequence=anatomy("KNEE")), correction("HAND"))
    assert ds.OriginalAttributesSequence[0].ReasonForTheAttributeModification == "CORRECT"


@pytest.mark.parametrize("finer", ["FINGER", "HAND"])
def test_a_code_that_names_the_region_or_a_part_of_it_stays_with_its_modifiers(finer):
    """The node knows less than such a header, and never makes it coarser."""
    region = anatomy(finer)
    region[0].AnatomicRegionModifierSequence = [code("7771000", "Left")]
    ds = corrected(cr(AnatomicRegionSequence=region), correction("HAND"))
    assert ds.AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0].CodeMeaning == "Left"
    assert "AnatomicRegionSequence" not in previous(ds)


def test_an_older_code_for_the_same_region_stays():
    """SRT T-D8700 is the hand."""
    ds = corrected(cr(AnatomicRegionSequence=[code("T-D8700", "Hand", "SRT")]), correction("HAND"))
    assert ds.AnatomicRegionSequence[0].CodeValue == "T-D8700"


@pytest.mark.parametrize("scheme", ["SCT", ""])
def test_a_long_code_value_for_the_same_region_stays(scheme):
    """Where the header reads it as the hand, the copy does too."""
    region = Dataset()
    region.LongCodeValue, region.CodeMeaning = "85562004", "Hand"
    if scheme:
        region.CodingSchemeDesignator = scheme
    ds = corrected(cr(AnatomicRegionSequence=[region]), correction("HAND"))
    assert ds.AnatomicRegionSequence[0].LongCodeValue == "85562004"
    assert ds.OriginalAttributesSequence[0].ReasonForTheAttributeModification == "COERCE"


def test_the_code_of_another_scheme_is_not_taken_for_the_region():
    """A hospital's own T-D8700 is no hand."""
    ds = corrected(cr(AnatomicRegionSequence=[code("T-D8700", "Lobby", "99LOCAL")]), correction("HAND"))
    assert ds.AnatomicRegionSequence[0].CodeValue == "85562004"


def test_modifiers_of_a_wrong_region_go_and_are_kept_in_the_trace():
    """The whole prior sequence is kept, since something inside it changed."""
    region = anatomy("KNEE")
    region[0].AnatomicRegionModifierSequence = [code("40415009", "Proximal")]
    ds = corrected(cr(AnatomicRegionSequence=region), correction("HAND"))
    assert "AnatomicRegionModifierSequence" not in ds.AnatomicRegionSequence[0]
    assert previous(ds).AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0].CodeMeaning == "Proximal"


def test_several_codes_of_which_one_names_the_region_stay():
    """Hand and wrist: that the pixels show the one does not make the other wrong."""
    original = cr(AnatomicRegionSequence=anatomy("HAND") + anatomy("WRIST"))
    filled = corrected(original, correction("WRIST", decision=Decision.FILLS))
    assert [item.CodeMeaning for item in filled.AnatomicRegionSequence] == ["Hand", "Wrist joint"]
    assert filled.OriginalAttributesSequence[0].ReasonForTheAttributeModification == "COERCE"
    other = corrected(original, correction("KNEE"))
    assert [item.CodeMeaning for item in other.AnatomicRegionSequence] == ["Knee"]


PATELLA = ("64234005", "Patella")
MENISCUS = ("120601009", "Meniscus of knee joint")


@pytest.mark.parametrize(("structure", "region"), [(PATELLA, "KNEE"), (MENISCUS, "KNEE"), (PATELLA, "HAND")])
def test_a_primary_structure_of_another_region_goes_and_is_kept_in_the_trace(structure, region):
    """A hand has no kneecap; one that no table knows is a part of the region that was wrong."""
    value, meaning = structure
    original = dx(
        BodyPartExamined="KNEE",
        AnatomicRegionSequence=anatomy(region),
        PrimaryAnatomicStructureSequence=[code(value, meaning)],
    )
    ds = corrected(original, correction("HAND"))
    assert "PrimaryAnatomicStructureSequence" not in ds
    assert ds.AnatomicRegionSequence[0].CodeMeaning == "Hand"
    assert previous(ds).PrimaryAnatomicStructureSequence[0].CodeMeaning == meaning
    assert ds.OriginalAttributesSequence[-1].ReasonForTheAttributeModification == "CORRECT"


@pytest.mark.parametrize(("structure", "region"), [(PATELLA, "KNEE"), (MENISCUS, "KNEE"), (PATELLA, None)])
def test_a_primary_structure_of_the_region_stays(structure, region):
    value, meaning = structure
    ds = dx(BodyPartExamined="HAND", PrimaryAnatomicStructureSequence=[code(value, meaning)])
    if region:
        ds.AnatomicRegionSequence = anatomy(region)
    copy = corrected(as_read(ds), correction("KNEE"))
    assert copy.AnatomicRegionSequence[0].CodeMeaning == "Knee"
    assert copy.PrimaryAnatomicStructureSequence[0].CodeMeaning == meaning


def test_an_image_without_a_verdict_of_its_own_keeps_its_region():
    """BodyPartExamined belongs to the series, AnatomicRegionSequence to the image."""
    ds = corrected(cr(AnatomicRegionSequence=anatomy("KNEE")), correction("HAND", region=None))
    assert ds.BodyPartExamined == "HAND"
    assert ds.AnatomicRegionSequence[0].CodeMeaning == "Knee"
    assert "from another image of the series" in ds.ContributingEquipmentSequence[0].ContributionDescription


def test_from_a_paired_to_an_unpaired_part_the_side_goes_into_the_trace():
    """Laterality must not be present for the skull (PS3.3 C.7.3.1, type 2C)."""
    ds = corrected(cr(BodyPartExamined="KNEE", Laterality="L"), correction("SKULL"))
    assert "Laterality" not in ds
    assert previous(ds).Laterality == "L"


def test_from_an_unpaired_to_a_paired_part_the_side_is_empty():
    """Nobody knows it, and the attribute must be there."""
    ds = corrected(cr(BodyPartExamined="SKULL"), correction("KNEE"))
    assert ds["Laterality"].is_empty


@pytest.mark.parametrize("side", ["L", "R", ""])
def test_between_paired_parts_the_side_stays(side):
    """The film's marker does not change with the name of the joint."""
    ds = corrected(cr(BodyPartExamined="KNEE", Laterality=side), correction("ANKLE"))
    assert (ds.Laterality or "") == side
    assert "Laterality" not in previous(ds)


def test_in_dx_the_side_of_an_unpaired_part_is_u():
    """ImageLaterality is type 1 in DX: it cannot go, so it says unpaired (PS3.3 C.8.11.5)."""
    ds = corrected(dx(BodyPartExamined="KNEE", ImageLaterality="L"), correction("SKULL"))
    assert ds.ImageLaterality == "U"
    assert previous(ds).ImageLaterality == "L"


@pytest.mark.parametrize("side", ["L", "B", "U"])
def test_in_dx_a_paired_part_needs_no_laterality_of_the_series(side):
    """It may not be present beside ImageLaterality, and what ImageLaterality says is all that is known."""
    ds = corrected(dx(BodyPartExamined="SKULL", ImageLaterality=side), correction("KNEE"))
    assert ds.ImageLaterality == side
    assert "Laterality" not in ds


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "stray",
    [b"hand ", b"Hals-Wirbels\xe4ule", b"HAND AND WRIST OF THE LEFT ", b"HAND\\WRIST", b"HAND\0\0"],
    ids=["lower case", "umlaut", "too long", "two values", "padded with NUL"],
)
def test_a_value_that_cs_does_not_allow_keeps_its_bytes_apart(stray):
    """PS3.3 C.12.1.1.9: zero length among the modified attributes, the bytes in the nonconforming sequence."""
    ds = corrected(with_bytes(cr(), "BodyPartExamined", stray), correction("KNEE"))
    (item,) = ds.OriginalAttributesSequence
    assert item.ModifiedAttributesSequence[0]["BodyPartExamined"].is_empty
    (apart,) = item.NonconformingModifiedAttributesSequence
    assert apart.SelectorAttribute == 0x00180015
    assert apart.NonconformingDataElementValue.rstrip(b" ") == stray.rstrip(b" ")
    assert ds.BodyPartExamined == "KNEE"


@pytest.mark.filterwarnings("ignore")
def test_two_stray_values_get_an_item_each():
    """NonconformingModifiedAttributesSequence holds one item; nothing is lost for it."""
    ds = corrected(cr(BodyPartExamined="knee", Laterality="left"), correction("SKULL"))
    kept = [item.NonconformingModifiedAttributesSequence[0] for item in ds.OriginalAttributesSequence]
    assert [each.NonconformingDataElementValue for each in kept] == [b"knee", b"left"]
    assert [item.ModifiedAttributesSequence[0].dir() for item in ds.OriginalAttributesSequence] == [
        ["AnatomicRegionSequence", "BodyPartExamined"],
        ["Laterality"],
    ]


def test_correcting_twice_keeps_both_items():
    """Existing items are preserved, the first correction's time among the values of the second."""
    once = as_read(corrected(cr(BodyPartExamined="KNEE"), correction("FOOT")))
    twice = as_read(corrected(once, correction("HAND", at=AT.replace(year=2027))))
    bodies = [item.ModifiedAttributesSequence[0].BodyPartExamined for item in twice.OriginalAttributesSequence]
    assert bodies == ["KNEE", "FOOT"]
    assert previous(twice).InstanceCoercionDateTime == "20260102030405.000678+0000"
    assert len(twice.ContributingEquipmentSequence) == 2


def test_equipment_and_traces_of_others_stay_first():
    """A PACS before us may have left its own."""
    theirs = Dataset()
    theirs.Manufacturer, theirs.PurposeOfReferenceCodeSequence = "Älter GmbH", [code("109102", "Processing", "DCM")]
    ds = as_read(corrected(cr(ContributingEquipmentSequence=[theirs]), correction("HAND")))
    assert [item.Manufacturer for item in ds.ContributingEquipmentSequence] == ["Älter GmbH", "dicom-node"]


def test_what_the_node_adds_is_ascii():
    """Every Specific Character Set holds ASCII, so added text needs no change of (0008,0005)."""
    ds = corrected(cr(), correction("HAND", model_id="Modell\\für~Köln", ae_title="RÖNTGEN"))
    assert ds.OriginalAttributesSequence[0].ModifyingSystem == "R?NTGEN"
    assert ds.ContributingEquipmentSequence[0].ContributionDescription.endswith("Modell?f?r?K?ln")


def test_a_signed_object_is_refused():
    """A change would make the signature false; the original is sent instead."""
    original = cr()
    original.add(DataElement(0xFFFAFFFA, "SQ", [Dataset()]))
    with pytest.raises(CorrectionError, match="digitally signed"):
        corrected(original, correction("HAND"))


def test_a_time_without_zone_is_refused():
    """A DT without offset would mean another time elsewhere."""
    with pytest.raises(CorrectionError, match="time zone"):
        corrected(cr(), correction("HAND", at=AT.replace(tzinfo=None)))


@pytest.mark.filterwarnings("ignore")
def test_a_sequence_that_is_no_sequence_is_a_correction_error():
    """Foreign exceptions do not leave, and the message holds no values."""
    with pytest.raises(CorrectionError) as caught:
        corrected(with_bytes(cr(), "ContributingEquipmentSequence", b"Meyer^"), correction("HAND"))
    assert "Meyer" not in str(caught.value)
