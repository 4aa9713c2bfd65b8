"""What a rule's `when` may ask: rules.FACT_CONDITIONS and DICOM keywords, as far as there is anything to compare."""

from dicom_node.config.names import nearest
from dicom_node.regions import REGIONS
from dicom_node.rules import FACT_CONDITIONS, matches
from dicom_node.verdict import Agreement, Outcome

# Bulk and nested values, which header.py leaves out; NONE are the delimiters of sequences.
NO_TEXT = frozenset({"SQ", "OB", "OW", "OD", "OF", "OL", "OV", "UN", "UT", "NONE"})
# Command elements (PS3.7 annex E) and file meta elements (PS3.10 section 7.1) are outside of the data set.
OUTSIDE = frozenset({0x0000, 0x0002})

# Conditions whose values are known. The region is empty where there is no verified one, and the agreement with it.
CLOSED = {"region": (*map(str, REGIONS), ""), "agreement": (*map(str, Agreement), ""), "outcome": (*map(str, Outcome),)}


def check_condition(key: str, values: tuple[str, ...]) -> None:
    """Raise ValueError for a condition that does not exist, or that no image could ever meet."""
    if key not in FACT_CONDITIONS:
        _check_keyword(key)
    if not values:
        raise ValueError(f"{key} needs a value: nothing is in an empty list")
    for value in values if key in CLOSED else ():
        if not any(matches(item, value) for item in CLOSED[key]):
            listed = ", ".join(item or '""' for item in CLOSED[key])
            raise ValueError(f"{value!r} is no {key}{nearest(value.lower(), list(CLOSED[key]))} ({listed})")
    if key == "min_confidence" and not (len(values) == 1 and 0.0 <= _number(values[0]) <= 1.0):
        raise ValueError("min_confidence is one number from 0 to 1")


def _check_keyword(keyword: str) -> None:
    # pydicom takes longer to import than most commands to run, and few configurations have such conditions.
    from pydicom.datadict import dictionary_VR, keyword_dict

    tag = keyword_dict.get(keyword) if keyword else None
    if tag is None:
        raise ValueError(f"`when` has no condition {keyword!r}{nearest(keyword, [*FACT_CONDITIONS, *keyword_dict])}")
    if tag >> 16 in OUTSIDE:
        raise ValueError(f"{keyword} is in the command or the file's meta information; rules see the data set alone")
    if NO_TEXT.issuperset(dictionary_VR(tag).split(" or ")):
        raise ValueError(f"{keyword} is a sequence or bulk data ({dictionary_VR(tag)}), and rules compare short texts")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0
