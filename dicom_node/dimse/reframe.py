"""Giving a data set's elements the frames of another uncompressed syntax, and leaving their values as they came.

pydicom decodes values that change between Explicit and Implicit VR and encodes them anew. Text whose bytes do not fit
the Specific Character Set does not survive that, so pydicom is handed raw elements here, which it writes as they are.
"""

from collections.abc import Sequence
from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filewriter import correct_ambiguous_vr_element
from pydicom.hooks import raw_element_vr
from pydicom.valuerep import AMBIGUOUS_VR

# How many bytes are swapped together in these VRs (PS3.5 section 7.3); the others are text, bytes or sequences.
_WIDTH = {"AT": 2, "OW": 2, "SS": 2, "US": 2, "FL": 4, "OF": 4, "OL": 4, "SL": 4, "UL": 4}
_WIDTH |= {"FD": 8, "OD": 8, "OV": 8, "SV": 8, "UV": 8}
_PADDED_WITH_NUL = frozenset({"OB", "UI", "UN"})


def reframed(ds: Dataset, *, implicit: bool, ancestors: Sequence[Dataset] = ()) -> Dataset:
    """The data set for pydicom to write in Implicit or Explicit VR Little Endian; `ds` is used up.

    Raises whatever pydicom raises on a sequence that cannot be parsed or a VR that depends on elements that are absent.
    """
    # As they are now: pydicom decodes a private creator, for one, when it looks up what the creator's block holds.
    came = dict(ds.items())
    family = [ds, *ancestors]
    copy = Dataset({tag: _reframed(element, family, implicit=implicit) for tag, element in came.items()})
    copy.is_undefined_length_sequence_item = ds.is_undefined_length_sequence_item
    # This is what makes pydicom write raw elements as they are.
    copy.set_original_encoding(implicit, True, copy._character_set)  # noqa: SLF001
    return copy


def _reframed(element: Any, family: list[Dataset], *, implicit: bool) -> Any:
    if isinstance(element, RawDataElement):
        vr = element.VR or _looked_up(element, family[0])
        if vr == "SQ":
            element = family[0][element.tag]
        elif vr in AMBIGUOUS_VR:
            resolved = correct_ambiguous_vr_element(element._replace(VR=vr), family[0], True, family)
            # Not the numbers, but the bytes: in a LUT Descriptor that is SS the first value is unsigned all the same,
            # and could not be encoded anew from 32768 on.
            if resolved.VR not in ("US", "SS"):
                return resolved
            return element._replace(VR=resolved.VR, value=_value(element, resolved.VR))
        else:
            return element._replace(VR=vr, value=_value(element, vr))
    if element.VR == "SQ":
        element.value = [reframed(item, implicit=implicit, ancestors=family) for item in element.value]
    return element


def _looked_up(element: RawDataElement, ds: Dataset) -> str:
    """The VR that Implicit VR leaves to the dictionary; UN for what is in none (PS3.5 section 6.2.2)."""
    found: dict[str, str] = {}
    raw_element_vr(element, found, ds=ds)
    return found["VR"]


def _value(element: RawDataElement, vr: str) -> bytes:
    value = element.value or b""
    if not element.is_little_endian and vr in _WIDTH:
        return _swapped(value, _WIDTH[vr])
    if len(value) % 2:
        value += b"\0" if vr in _PADDED_WITH_NUL else b" "
    return value


def _swapped(value: bytes, width: int) -> bytes:
    swapped = bytearray(len(value))
    for position in range(width):
        swapped[position::width] = value[width - 1 - position :: width]
    return bytes(swapped)
