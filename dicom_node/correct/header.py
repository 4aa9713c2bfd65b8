"""The corrected copy: body part, anatomic region and laterality, with the old values kept in the object."""

from dataclasses import dataclass
from datetime import datetime

from pydicom import Dataset
from pydicom.dataelem import DataElement

from dicom_node.bodypart import BodyPart, HeaderKind, read_header_region
from dicom_node.correct.elements import (
    append_item,
    code_item,
    copy_of,
    dicom_datetime,
    raw_value,
    tag_of,
    text_value,
    translating,
)
from dicom_node.correct.original import Reason, contributing_equipment_item, original_attributes_items
from dicom_node.element_text import region_codes_of, structure_codes_of
from dicom_node.laterality import side_of_modifiers, stated_side
from dicom_node.verdict import Decision

# What each changed attribute becomes; None removes it.
Changes = dict[str, DataElement | None]


# Where a side may be said; enhanced objects say it per frame.
_SIDES_ELSEWHERE = ("MeasurementLaterality", "SharedFunctionalGroupsSequence")
_SIDES = ("Laterality", "ImageLaterality", *_SIDES_ELSEWHERE)

_SIDE_CODES = {"R": ("24028007", "SCT", "Right"), "L": ("7771000", "SCT", "Left")}  # PS3.16 CID 244


@dataclass(frozen=True, kw_only=True)
class Correction:
    """What an outgoing copy is to say, and on whose word.

    `body_part` is the value of the whole series; `region` is what this image shows, None where the image has no verdict
    of its own and its AnatomicRegionSequence therefore stays. `decision`: FILLS or CORRECTS. `model_id` may be empty
    where no model has seen this image.
    """

    body_part: BodyPart
    region: BodyPart | None
    decision: Decision
    model_id: str
    ae_title: str
    software_version: str
    at: datetime


def corrected(ds: Dataset, correction: Correction) -> Dataset:
    """A copy of `ds` that says what `correction` says. `ds` itself stays as it is.

    Outcomes: where the header says it already, a plain copy without any trace; otherwise a copy with BodyPartExamined,
    AnatomicRegionSequence and laterality set, without a PrimaryAnatomicStructureSequence of another region, the old
    values in OriginalAttributesSequence, the node and its model in ContributingEquipmentSequence, and
    InstanceCoercionDateTime (PS3.3 C.12.1.1.9). UIDs, pixels, creation time and Specific Character Set stay (C.12.1.1.9
    keeps the SOP Instance UID).

    Raises CorrectionError where the object is digitally signed, or cannot be read well enough to be changed.
    """
    with translating("the correction"):
        copy = copy_of(ds)
        changes = _changes(copy, correction)
        if changes:
            _apply(copy, changes, correction)
        return copy


def _changes(ds: Dataset, correction: Correction) -> Changes:
    return {
        **_body_part(ds, correction.body_part),
        **_anatomic_region(ds, correction.region),
        **_primary_structure(ds, correction.region),
        **_laterality(ds, correction.body_part),
    }


def _body_part(ds: Dataset, part: BodyPart) -> Changes:
    if text_value(ds, "BodyPartExamined") == part.term:
        return {}
    return {"BodyPartExamined": DataElement(tag_of("BodyPartExamined"), "CS", part.term)}


def _anatomic_region(ds: Dataset, region: BodyPart | None) -> Changes:
    """A sequence that already names the region, be it finer or in older codes, keeps its item and its modifiers. Of
    those of another region the side stays.
    """
    if region is None or not _wrong_code(ds, region, if_empty=True):
        return {}
    item = code_item(region.code, "SCT", region.meaning)
    side = side_of_modifiers(ds)
    if side and region.paired:
        item.AnatomicRegionModifierSequence = [code_item(*_SIDE_CODES[side])]
    return {"AnatomicRegionSequence": DataElement(tag_of("AnatomicRegionSequence"), "SQ", [item])}


def _primary_structure(ds: Dataset, region: BodyPart | None) -> Changes:
    """A structure of another region goes: the image does not show it."""
    if region is None or not _wrong_structure(ds, region):
        return {}
    return {"PrimaryAnatomicStructureSequence": None}


def _laterality(ds: Dataset, part: BodyPart) -> Changes:
    """Keep the side consistent with the body part (PS3.3 C.7.3.1 Laterality 2C, C.8.11.5 ImageLaterality).

    An unpaired part has no side: Laterality goes, ImageLaterality becomes U. A paired part needs one of the two.
    """
    if part.paired:
        return _side_of_a_pair(ds)
    changes: Changes = {}
    if "Laterality" in ds:
        changes["Laterality"] = None
    if text_value(ds, "ImageLaterality") not in ("", "U"):
        changes["ImageLaterality"] = DataElement(tag_of("ImageLaterality"), "CS", "U")
    return changes


def _side_of_a_pair(ds: Dataset) -> Changes:
    """Where no attribute says the side, the one that a modifier or a word of BodyPartExamined states is written; what
    nobody knows is left empty, since the image itself cannot tell left from right.
    """
    if any(text_value(ds, keyword) for keyword in ("Laterality", "ImageLaterality")):
        return {}
    side = "" if any(keyword in ds for keyword in _SIDES_ELSEWHERE) else stated_side(ds)
    if not side and any(keyword in ds for keyword in _SIDES):
        return {}
    keyword = "ImageLaterality" if "ImageLaterality" in ds else "Laterality"
    return {keyword: DataElement(tag_of(keyword), "CS", side)}


def _apply(ds: Dataset, changes: Changes, correction: Correction) -> None:
    touched = [*changes, *(["InstanceCoercionDateTime"] if raw_value(ds, "InstanceCoercionDateTime") else [])]
    originals = original_attributes_items(
        ds, touched, reason=_reason(ds, correction), system=correction.ae_title, at=correction.at
    )
    for keyword, element in changes.items():
        if element is None:
            del ds[tag_of(keyword)]
        else:
            ds[element.tag] = element
    ds.InstanceCoercionDateTime = dicom_datetime(correction.at)
    for original in originals:
        append_item(ds, "OriginalAttributesSequence", original)
    append_item(ds, "ContributingEquipmentSequence", _contribution(correction))


def _contribution(correction: Correction) -> Dataset:
    verb = "filled in" if correction.decision is Decision.FILLS else "corrected"
    source = "from the pixels" if correction.region else "from another image of the series"
    model = f" by model {correction.model_id}" if correction.model_id else ""
    return contributing_equipment_item(
        software_version=correction.software_version,
        at=correction.at,
        description=f"Body part {verb} {source}{model}",
    )


def _reason(ds: Dataset, correction: Correction) -> Reason:
    wrong = _wrong_body_part(ds, correction.body_part) or (
        correction.region is not None
        and (_wrong_code(ds, correction.region, if_empty=False) or _wrong_structure(ds, correction.region))
    )
    return Reason.CORRECT if wrong else Reason.COERCE


def _wrong_body_part(ds: Dataset, part: BodyPart) -> bool:
    value = text_value(ds, "BodyPartExamined")
    return bool(value) and not _consistent(value, "", part)


def _wrong_code(ds: Dataset, part: BodyPart, *, if_empty: bool) -> bool:
    """Whether AnatomicRegionSequence names something other than `part`; `if_empty` where it names nothing.

    Several codes of which one names it, and all of which are known, are right: the others are the sender's to say.
    """
    codes = region_codes_of(ds)
    return not _consistent("", codes, part) if codes else if_empty


def _wrong_structure(ds: Dataset, part: BodyPart) -> bool:
    """Whether PrimaryAnatomicStructureSequence names a part of another region; what is not known, or outside of them
    all, is a part of what AnatomicRegionSequence names.
    """
    said = read_header_region("", structure_codes_of(ds))
    if said.regions:
        return said.regions.isdisjoint(read_header_region(part.term).regions)
    return said.kind is not HeaderKind.EMPTY and _wrong_code(ds, part, if_empty=False)


def _consistent(body_part_examined: str, code: str, part: BodyPart) -> bool:
    said = read_header_region(body_part_examined, code)
    if said.kind is HeaderKind.UNKNOWN:
        return False
    return said.term == part.term or bool(said.regions & read_header_region(part.term).regions)
