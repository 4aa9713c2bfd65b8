"""The side that a data set states outside of Laterality and ImageLaterality: as a code or in words."""

from pydicom.dataset import Dataset

from dicom_node.element_text import body_part_of, region_modifiers_of
from dicom_node.wording import understood

# CID 244, and the older forms of its codes.
_SIDES_OF_CODES = {"24028007": "R", "G-A100": "R", "7771000": "L", "G-A101": "L", "51440002": "B", "G-A102": "B"}


def side_of_modifiers(ds: Dataset) -> str:
    """R or L where the modifiers of the anatomic region and the primary structure name that side alone, else ""."""
    sides = {_SIDES_OF_CODES[code] for code in region_modifiers_of(ds) if code in _SIDES_OF_CODES}
    return _only(sides)


def side_of_words(ds: Dataset) -> str:
    """R or L where BodyPartExamined has words of that side alone ("LT KNEE"), else ""."""
    return understood(body_part_of(ds)).side


def stated_side(ds: Dataset) -> str:
    """R or L by modifiers or words, "" where nobody says it, or one the right and the other the left."""
    return _only({side for side in (side_of_modifiers(ds), side_of_words(ds)) if side})


def _only(sides: set[str]) -> str:
    return next(iter(sides)) if sides in ({"R"}, {"L"}) else ""
