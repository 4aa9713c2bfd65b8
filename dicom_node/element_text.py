"""Short values of single elements as text, from their bytes: the data set stays as it is, down to the padding."""

from collections.abc import Callable, MutableSequence, Sequence
from typing import Any

from pydicom.charset import decode_bytes
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.valuerep import TEXT_VR_DELIMS

LONGEST_TEXT = 64
# What stands for a code that cannot be read: something is said of the region, and nobody knows what.
UNREADABLE_CODE = "?"

# SNOMED CT, and the names that its codes and those of its forerunners had in DICOM (PS3.16 section 8).
_SNOMED = frozenset({"SCT", "SRT", "SNM3", "99SDM", "SNMI"})

_ESCAPE = b"\x1b"
_CODE_VALUE = 0x00080100
_LONG_CODE_VALUE = 0x00080119
_URN_CODE_VALUE = 0x00080120
_CODING_SCHEME = 0x00080102
_ANATOMIC_REGION_SEQUENCE = 0x00082218
_ANATOMIC_REGION_MODIFIERS = 0x00082220
_PRIMARY_STRUCTURE_SEQUENCE = 0x00082228
_PRIMARY_STRUCTURE_MODIFIERS = 0x00082230
_BODY_PART_EXAMINED = 0x00180015


def text_of(ds: Dataset, tag: int) -> str:
    """The first value of an element of UI or CS, from its bytes: no character set, no conversion that could fail."""
    return _first_value(ds, tag, lambda value: value.decode("ascii", "replace"))


def body_part_of(ds: Dataset) -> str:
    """BodyPartExamined as it was sent, the data set left as it is: people write TÓRAX where CS allows ASCII only, in
    Latin-1 or UTF-8, whatever Specific Character Set says. Several values, which its VM of 1 forbids, are one text.
    """
    values = (each.strip() for each in _value(ds, _BODY_PART_EXAMINED, words).split("\\"))
    return " ".join(filter(None, values))[:LONGEST_TEXT]


def person_text_of(ds: Dataset, tag: int) -> str:
    """The first value of an element of LO or SH in the data set's character set (PS3.5 section 6.1); where it declares
    none, or the value does not fit in, in UTF-8 or Latin-1.
    """
    return _first_value(ds, tag, lambda value: _in_character_set(value, ds.original_character_set))


def _in_character_set(value: bytes, declared: str | MutableSequence[str]) -> str:
    if isinstance(declared, str):  # no Specific Character Set: pydicom's default
        return words(value)
    if _ESCAPE in value:  # code extensions (PS3.5 section 6.1.2.5)
        return decode_bytes(value, declared, TEXT_VR_DELIMS)
    try:
        return value.decode(declared[0])
    except (UnicodeDecodeError, LookupError):
        return words(value)


def region_codes_of(ds: Dataset) -> str:
    """The codes of AnatomicRegionSequence, between backslashes; UNREADABLE_CODE for what is there and has none.

    A code of another scheme than SNOMED is told with its scheme, 99LOCAL:T-D8700, since it means something else.
    """
    return _codes_of(ds, _ANATOMIC_REGION_SEQUENCE)


def structure_codes_of(ds: Dataset) -> str:
    """The codes of PrimaryAnatomicStructureSequence, as `region_codes_of`."""
    return _codes_of(ds, _PRIMARY_STRUCTURE_SEQUENCE)


def _codes_of(ds: Dataset, sequence: int) -> str:
    try:
        return "\\".join(_code_of(item) for item in _items_of(ds, sequence))[:LONGEST_TEXT]
    except Exception:  # noqa: BLE001 - pydicom raises what its converters raise
        return UNREADABLE_CODE


def region_modifiers_of(ds: Dataset) -> frozenset[str]:
    """The codes of the modifiers in AnatomicRegionSequence and PrimaryAnatomicStructureSequence, such as a side; none
    where they cannot be read.
    """
    places = (
        (_ANATOMIC_REGION_SEQUENCE, _ANATOMIC_REGION_MODIFIERS),
        (_PRIMARY_STRUCTURE_SEQUENCE, _PRIMARY_STRUCTURE_MODIFIERS),
    )
    return frozenset(code for sequence, modifiers in places for code in _modifiers_of(ds, sequence, modifiers))


def _modifiers_of(ds: Dataset, sequence: int, modifiers: int) -> frozenset[str]:
    try:
        return frozenset(_code_of(each) for item in _items_of(ds, sequence) for each in _items_of(item, modifiers))
    except Exception:  # noqa: BLE001 - pydicom raises what its converters raise
        return frozenset()


def _items_of(ds: Dataset, tag: int) -> Sequence[Dataset]:
    """The items of a sequence, by way of its raw form: ds[tag] would have the sequence written anew."""
    if tag not in ds:
        return ()
    element = ds.get_item(tag)
    if isinstance(element, RawDataElement):
        element = convert_raw_data_element(element, ds=ds)
    return element.value or ()


def _code_of(item: Dataset) -> str:
    found = (text_of(item, tag) for tag in (_CODE_VALUE, _LONG_CODE_VALUE, _URN_CODE_VALUE))
    code = next(filter(None, found), UNREADABLE_CODE)
    scheme = text_of(item, _CODING_SCHEME).upper()
    return code if not scheme or scheme in _SNOMED else f"{scheme}:{code}"


def _first_value(ds: Dataset, tag: int, decoded: Callable[[bytes], str]) -> str:
    return _value(ds, tag, decoded).split("\\")[0].strip()[:LONGEST_TEXT]


def _value(ds: Dataset, tag: int, decoded: Callable[[bytes], str]) -> str:
    """All of an element's value, with backslashes between several."""
    try:
        element = ds.get_item(BaseTag(tag)) if tag in ds else None
    except Exception:  # noqa: BLE001 - pydicom raises what its converters raise; a damaged element says nothing
        return ""
    value: Any = getattr(element, "value", None)
    if isinstance(value, bytes):
        value = decoded(value)
    elif isinstance(value, MultiValue | list):
        value = "\\".join(str(each) for each in value)
    return str(value or "").replace("\0", "")


def words(value: bytes) -> str:
    """Text of a person, be it in UTF-8 or, where it is not, in Latin-1."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
