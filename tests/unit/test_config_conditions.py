"""The conditions of rules that a configuration takes are those that an image can meet."""

from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.datadict import DicomDictionary, dictionary_VR

from dicom_node.config import load_config
from dicom_node.config.conditions import NO_TEXT, OUTSIDE
from dicom_node.errors import ConfigError
from dicom_node.header import header_values
from dicom_node.rules import Facts, explain


def with_condition(tmp_path: Path, condition: str) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(f'[[rules]]\nname = "r"\nwhen = {{ {condition} }}\nsend_to = []\n', encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ('AnatomicRegionSequence = "*"', "AnatomicRegionSequence is a sequence or bulk data (SQ)"),
        ('PixelData = "*"', "PixelData is a sequence or bulk data (OB or OW)"),
        ('TextValue = "*"', "TextValue is a sequence or bulk data (UT)"),
        ('AffectedSOPClassUID = "*"', "AffectedSOPClassUID is in the command or the file's meta information"),
        ('TransferSyntaxUID = "*"', "TransferSyntaxUID is in the command or the file's meta information"),
        ("region = []", "region needs a value: nothing is in an empty list"),
        ("StationName = []", "StationName needs a value"),
        ('"" = "*"', "`when` has no condition ''"),
    ],
)
def test_a_condition_that_no_image_can_meet_is_refused(tmp_path: Path, condition: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(with_condition(tmp_path, condition), {})
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("condition", "met", "unmet"),
    [
        ('region = "Hand"', {"region": "hand"}, {"region": "knee"}),
        ('region = "[HK]*"', {"region": "knee"}, {"region": "foot"}),
        ('region = ""', {"outcome": "abstained"}, {"region": "knee"}),
        ('outcome = "TAGGED"', {"outcome": "tagged"}, {"outcome": "unreadable"}),
        ('agreement = ["Agrees", "HEADER_*"]', {"agreement": "header_empty"}, {"agreement": "disagrees"}),
        ('agreement = ""', {"outcome": "abstained"}, {"agreement": "agrees"}),
    ],
)
def test_case_does_not_matter_and_what_a_condition_may_be_can_be_asked_for(
    tmp_path: Path, condition: str, met: dict[str, str], unmet: dict[str, str]
) -> None:
    rule = load_config(with_condition(tmp_path, condition), {}).rules[0].rule()
    assert explain(rule, Facts(**({"outcome": "tagged"} | met))).matched
    assert not explain(rule, Facts(**({"outcome": "tagged"} | unmet))).matched


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ('outcome = "Taged"', "'Taged' is no outcome; did you mean 'tagged'? (tagged, abstained, not_a_radiograph, "),
        ('outcome = ""', "'' is no outcome (tagged, abstained, not_a_radiograph, unreadable)"),
        ('agreement = "yes"', '(agrees, disagrees, header_empty, header_unknown, "")'),
        ('region = "hnd*"', "'hnd*' is no region; did you mean 'hand'? (clavicle, shoulder, "),
    ],
)
def test_a_value_that_a_condition_never_has_is_refused_with_those_that_it_may_have(
    tmp_path: Path, condition: str, sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(with_condition(tmp_path, condition), {})
    assert sentence in str(caught.value)


@pytest.mark.parametrize("keyword", ["StationName", "PatientAge", "Rows", "SmallestImagePixelValue"])
def test_a_condition_that_is_taken_can_be_met(tmp_path: Path, keyword: str) -> None:
    config = load_config(with_condition(tmp_path, f'{keyword} = "7"'), {})
    ds = Dataset()
    setattr(ds, keyword, 7 if "US" in dictionary_VR(keyword) else "7")
    assert header_values(ds)[keyword] == config.rules[0].when[keyword]


def test_each_kind_of_value_that_is_refused_is_one_that_rules_do_not_see() -> None:
    ds = Dataset()
    ds.StationName = "ROOM 1"
    for vr in NO_TEXT - {"NONE"}:
        tag = next(tag for tag, entry in DicomDictionary.items() if entry[0] == vr and tag >> 16 not in OUTSIDE)
        ds.add_new(tag, vr, [] if vr == "SQ" else "text" if vr == "UT" else b"12345678")
    assert list(header_values(ds)) == ["StationName"]
