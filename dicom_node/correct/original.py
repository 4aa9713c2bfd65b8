"""The trace that a correction leaves in the object: what was there before, who changed it, and when.

PS3.3 C.12.1.1.9 (Original Attributes Macro) and C.12.1 (Contributing Equipment Sequence).
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from enum import StrEnum

from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement

from dicom_node.correct.elements import ascii_text, code_item, conforms, dicom_datetime, raw_value, tag_of

MANUFACTURER = "dicom-node"
MODEL_NAME = "dicom-node"


class Reason(StrEnum):
    """Defined terms of ReasonForTheAttributeModification (0400,0565)."""

    CORRECT = "CORRECT"  # a value was wrong
    COERCE = "COERCE"  # it was missing, or said the same in other words


def original_attributes_items(
    ds: Dataset, keywords: Sequence[str], *, reason: Reason, system: str, at: datetime
) -> list[Dataset]:
    """The items of OriginalAttributesSequence for one correction, made before `ds` is changed: nearly always one.

    Every attribute about to change is listed, with zero length where it was empty or absent. A value that its VR does
    not allow is listed with zero length too, and its bytes go into NonconformingModifiedAttributesSequence. That one
    holds a single item by dicom3tools' reading, so a second such value gets an item of the outer sequence for itself.
    """
    strays = {}
    listed = []
    for keyword in keywords:
        element, stray = _previous(ds, keyword)
        if stray is not None:
            strays[keyword] = stray
        if stray is None or len(strays) == 1:
            listed.append(element)
    items = [_item(listed, next(iter(strays), None), strays)]
    items += [_item([_previous(ds, keyword)[0]], keyword, strays) for keyword in list(strays)[1:]]
    for item in items:
        item.AttributeModificationDateTime = dicom_datetime(at)
        item.ModifyingSystem = ascii_text(system, 64)
        item.SourceOfPreviousValues = ""
        item.ReasonForTheAttributeModification = str(reason)
    return items


def _item(previous: Sequence[DataElement], stray: str | None, strays: Mapping[str, bytes]) -> Dataset:
    values = Dataset()
    for element in previous:
        values.add(element)
    item = Dataset()
    item.ModifiedAttributesSequence = [values]
    if stray is not None:
        item.NonconformingModifiedAttributesSequence = [_nonconforming_item(stray, strays[stray])]
    return item


def _previous(ds: Dataset, keyword: str) -> tuple[DataElement, bytes | None]:
    """The element as it was, and its bytes apart where it must be listed with zero length."""
    tag = tag_of(keyword)
    vr = dictionary_VR(tag)
    if vr == "SQ":
        return (deepcopy(ds[tag]) if tag in ds else DataElement(tag, "SQ", [])), None
    raw = raw_value(ds, keyword) or b""
    if not conforms(raw, vr):
        return DataElement(tag, vr, ""), raw
    return DataElement(tag, vr, raw.decode("ascii").strip(" ")), None


def _nonconforming_item(keyword: str, raw: bytes) -> Dataset:
    item = Dataset()
    item.SelectorAttribute = tag_of(keyword)
    item.SelectorValueNumber = 1
    item.NonconformingDataElementValue = raw + b" " * (len(raw) % 2)
    return item


def contributing_equipment_item(*, software_version: str, at: datetime, description: str) -> Dataset:
    """One item of ContributingEquipmentSequence (0018,A001): this node as modifying equipment."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item("109103", "DCM", "Modifying Equipment")]
    item.Manufacturer = MANUFACTURER
    item.ManufacturerModelName = MODEL_NAME
    item.SoftwareVersions = ascii_text(software_version, 64)
    item.ContributionDateTime = dicom_datetime(at)
    item.ContributionDescription = ascii_text(description, 1024)
    return item
