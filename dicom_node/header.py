"""What the node reads from a data set's header: the body part for the decision, and every short value for the rules."""

from collections.abc import Mapping
from dataclasses import replace

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from dicom_node.bodypart import HeaderRegion, read_header_region
from dicom_node.element_text import body_part_of, region_codes_of, structure_codes_of, text_of
from dicom_node.laterality import side_of_modifiers, side_of_words
from dicom_node.terms import sides

_LATERALITY = 0x00200060
_IMAGE_LATERALITY = 0x00200062

# Bulk and nested values: no rule can ask for them.
LONGEST = 10_240  # bytes; the longest text that is no bulk, an LT, has 10,240 characters
_NOT_FOR_RULES = frozenset({"SQ", "OB", "OW", "OD", "OF", "OL", "OV", "UN", "UT"})


def header_region(ds: Dataset) -> HeaderRegion:
    """Normalise BodyPartExamined, AnatomicRegionSequence, PrimaryAnatomicStructureSequence and laterality of a data
    set, which stays as it is.

    Laterality is the series', ImageLaterality the image's (PS3.3 C.7.3.1, C.8.11.5), R and L by the standard, and as
    people type them; a modifier of the region says it too, and a word in BodyPartExamined. B and U name no side.
    """
    said = read_header_region(body_part_of(ds), region_codes_of(ds), structure_codes_of(ds))
    series, image = text_of(ds, _LATERALITY).upper(), text_of(ds, _IMAGE_LATERALITY).upper()
    one = any(sides().get(each) in ("R", "L") for each in (series, image))
    sided = one or bool(side_of_modifiers(ds) or side_of_words(ds))
    return replace(said, sided=sided, whole=image in ("U", "B"))


def header_values(ds: Dataset) -> Mapping[str, tuple[str, ...]]:
    """The values of the data set's top level by keyword, as text; elements that cannot be read are left out."""
    values = {}
    for tag in ds.keys():  # noqa: SIM118 - iterating a data set itself decodes its elements
        keyword = pydicom.datadict.keyword_for_tag(tag)
        raw = ds.get_item(tag, keep_deferred=True)  # else pixels of 100 MB would be read to see that they are long
        if not keyword or (isinstance(raw, RawDataElement) and raw.length > LONGEST):
            continue
        try:
            element = ds[tag]
        except Exception:  # noqa: BLE001, S112 - pydicom raises what its converters raise; a rule then sees an empty value
            continue
        if element.VR not in _NOT_FOR_RULES:
            values[keyword] = _texts(element.value)
    return values


def _texts(value: object) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    if isinstance(value, MultiValue | list | tuple):
        return tuple(str(item) for item in value)
    return (str(value),)
