"""What a data set's header says, as far as the decision needs it."""

import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from dicom_node.bodypart import HeaderKind
from dicom_node.element_text import body_part_of
from dicom_node.header import LONGEST, header_region, header_values


@pytest.mark.parametrize(
    ("elements", "sided"),
    [
        ({}, False),
        ({"Laterality": ""}, False),
        ({"Laterality": "R"}, True),
        ({"ImageLaterality": "L"}, True),
        ({"Laterality": "", "ImageLaterality": "R"}, True),
        ({"ImageLaterality": "U"}, False),
        ({"ImageLaterality": "B"}, False),
        ({"Laterality": "r"}, True),
        ({"Laterality": "LEFT"}, True),
        ({"ImageLaterality": "Right"}, True),
        ({"Laterality": "BOTH"}, False),
    ],
)
def test_a_side_is_the_right_or_the_left_of_series_or_image(elements: dict[str, str], sided: bool) -> None:
    ds = Dataset()
    ds.BodyPartExamined = "HIP"
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    assert (header_region(ds).term, header_region(ds).sided) == ("HIP", sided)


def test_rules_see_comments_and_addresses_too_until_they_are_bulk() -> None:
    """Texts of VR LT and ST: what is typed at the modality is often there."""
    ds = Dataset()
    ds.ImageComments = "x" * LONGEST
    ds.InstitutionAddress = "Charité"
    assert header_values(ds) == {"ImageComments": ("x" * LONGEST,), "InstitutionAddress": ("Charité",)}


def code(value: str, keyword: str = "CodeValue", scheme: str = "") -> Dataset:
    item = Dataset()
    setattr(item, keyword, value)
    if scheme:
        item.CodingSchemeDesignator = scheme
    return item


@pytest.mark.parametrize(
    ("items", "kind"),
    [
        ([], HeaderKind.EMPTY),
        ([code("85562004")], HeaderKind.NAMES),
        ([code("85562004"), code("74670003")], HeaderKind.NAMES),
        ([code("816094009"), code("818981001")], HeaderKind.OUTSIDE),
        ([code("85562004", "LongCodeValue")], HeaderKind.NAMES),
        ([code("urn:of:nobody", "URNCodeValue")], HeaderKind.UNKNOWN),
        ([code("Hand", "CodeMeaning")], HeaderKind.UNKNOWN),
        ([Dataset()], HeaderKind.UNKNOWN),
    ],
)
def test_a_region_that_is_coded_in_any_way_is_not_empty(items: list[Dataset], kind: HeaderKind) -> None:
    ds = Dataset()
    ds.AnatomicRegionSequence = items
    assert header_region(ds).kind is kind


@pytest.mark.parametrize(
    ("modifiers", "sided"),
    [
        ([code("7771000")], True),
        ([code("G-A100", scheme="SRT")], True),
        ([code("51440002")], False),
        ([code("7771000"), code("24028007")], False),
        ([code("7771000", scheme="99LOCAL")], False),
        ([], False),
    ],
)
def test_a_modifier_of_the_region_is_a_side_too(modifiers: list[Dataset], sided: bool) -> None:
    """Left or right as a code (PS3.16 CID 244); both of them, or the code for both, are none."""
    ds = Dataset()
    ds.AnatomicRegionSequence = [code("816092008")]
    ds.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = modifiers
    assert header_region(ds).sided is sided


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("text", "sided"),
    [
        *[(text, True) for text in ("LT KNEE", "KNEE R", "L HAND", "Hüfte li.", "RIGHT", "XR HIP 2 VIEWS LEFT")],
        *[
            (text, False)
            for text in ("KNEE", "BOTH KNEES", "KNEE R/L", "L SPINE", "SPINE L", "KNEE R/O FX", "LAT", "L")
        ],
    ],
)
def test_a_word_of_the_body_part_is_a_side_too(text: str, sided: bool) -> None:
    """Where it can be nothing else: an L beside a spine, or alone, may be lumbar."""
    ds = Dataset()
    ds.BodyPartExamined = text
    assert header_region(ds).sided is sided


PATELLA, MENISCUS, HEART = "64234005", "120601009", "80891009"


@pytest.mark.parametrize(
    ("body_part", "region", "structure", "kind", "torn"),
    [
        ("", None, PATELLA, HeaderKind.NAMES, False),
        ("", None, MENISCUS, HeaderKind.UNKNOWN, False),
        ("", None, HEART, HeaderKind.OUTSIDE, False),
        ("", "72696002", MENISCUS, HeaderKind.NAMES, False),
        ("", "72696002", PATELLA, HeaderKind.NAMES, False),
        ("", "85562004", PATELLA, HeaderKind.NAMES, True),
        ("HAND", None, PATELLA, HeaderKind.NAMES, True),
        ("HAND", "85562004", PATELLA, HeaderKind.NAMES, True),
        ("KNEE", "72696002", PATELLA, HeaderKind.NAMES, False),
    ],
)
def test_the_primary_structure_is_a_statement_too(
    body_part: str, region: str | None, structure: str, kind: HeaderKind, torn: bool
) -> None:
    """It speaks where the region's code says nothing, and contradicts both."""
    ds = Dataset()
    ds.BodyPartExamined = body_part
    if region:
        ds.AnatomicRegionSequence = [code(region)]
    ds.PrimaryAnatomicStructureSequence = [code(structure)]
    assert (header_region(ds).kind, header_region(ds).torn) == (kind, torn)


def test_a_structure_that_no_table_knows_protects_the_body_part_beside_it() -> None:
    ds = Dataset()
    ds.BodyPartExamined = "KNEE"
    ds.PrimaryAnatomicStructureSequence = [code(MENISCUS)]
    assert header_region(ds).outside


def test_a_modifier_of_the_primary_structure_is_a_side_too() -> None:
    ds = Dataset()
    ds.PrimaryAnatomicStructureSequence = [code("24136001")]
    ds.PrimaryAnatomicStructureSequence[0].PrimaryAnatomicStructureModifierSequence = [code("7771000")]
    assert header_region(ds).sided


def test_what_a_sender_writes_in_small_letters_is_unpaired_as_well() -> None:
    ds = Dataset()
    ds.ImageLaterality = "u"
    assert header_region(ds).whole


@pytest.mark.parametrize("scheme", ["SCT", "SRT", "SNM3", "99SDM", "srt ", ""])
@pytest.mark.parametrize("value", ["85562004", "T-D8700"])
def test_a_code_of_snomed_is_read_by_each_name_of_the_scheme(value: str, scheme: str) -> None:
    ds = Dataset()
    ds.AnatomicRegionSequence = [code(value, scheme=scheme)]
    assert header_region(ds).term == "HAND"


@pytest.mark.parametrize("scheme", ["99LOCAL", "LN", "DCM"])
def test_the_same_code_of_another_scheme_means_something_else(scheme: str) -> None:
    """It is not known here, and not the hand."""
    ds = Dataset()
    ds.AnatomicRegionSequence = [code("T-D8700", scheme=scheme)]
    assert (header_region(ds).kind, header_region(ds).value) == (HeaderKind.UNKNOWN, f"{scheme}:T-D8700")


@pytest.mark.parametrize("value", ["TÓRAX".encode(), "TÓRAX".encode("latin-1")])
def test_letters_that_the_character_set_does_not_allow_are_read(value: bytes) -> None:
    ds = Dataset()
    ds[0x00180015] = RawDataElement(Tag(0x00180015), "CS", len(value), value, 0, False, True)
    assert header_region(ds).term == "CHEST"
    assert ds.get_item(0x00180015).value == value


@pytest.mark.parametrize(
    ("value", "terms"),
    [
        (b"HAND\\WRIST", "HAND WRIST"),
        (b"\\CHEST", "CHEST"),
        (b"PELVIS \\ ABDOMEN ", "PELVIS ABDOMEN"),
        (b"\\ \\", ""),
        (b"KNEE\\", "KNEE"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_all_of_several_body_parts_are_read(value: bytes, terms: str) -> None:
    """VM is 1, and some send more: none of them is forgotten, nor are they empty where only the first is."""
    ds = Dataset()
    ds[0x00180015] = RawDataElement(Tag(0x00180015), "CS", len(value), value, 0, False, True)
    assert body_part_of(ds) == terms
    decoded = Dataset()
    decoded.BodyPartExamined = ds.BodyPartExamined
    assert body_part_of(decoded) == terms
