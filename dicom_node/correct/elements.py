"""Looking at single elements without disturbing the others.

pydicom decodes an element when it is looked up in the ordinary way, and then writes it anew. What the node does not
change must leave byte for byte as it came, so values are peeked at in their raw form (PS3.5 section 7.1).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import datetime

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

from dicom_node.element_text import words
from dicom_node.errors import CorrectionError, is_of_the_machine


def tag_of(keyword: str) -> BaseTag:
    """The tag of a keyword of the standard."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise CorrectionError(f"{keyword} is not in the data dictionary")
    return Tag(tag)


def raw_value(ds: Dataset, keyword: str) -> bytes | None:
    """The encoded value of a text element, None where the element is absent. Leaves the data set as it is."""
    tag = tag_of(keyword)
    if tag not in ds:
        return None
    element = ds.get_item(tag)
    value = element.value
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    values = value if isinstance(value, (MultiValue, list)) else [value]
    return "\\".join(str(each) for each in values).encode("utf-8")


def text_value(ds: Dataset, keyword: str) -> str:
    """The value of a text element without its padding, for comparison; "" where it is absent or empty."""
    return words(raw_value(ds, keyword) or b"").strip(" \0")


def needed_uid(ds: Dataset, keyword: str) -> str:
    """The value of a UID without which no copy or report can be made."""
    uid = text_value(ds, keyword)
    if not uid:
        raise CorrectionError(f"the object has no {keyword}")
    return uid


def copy_of(ds: Dataset) -> Dataset:
    """A copy to be changed. Raises CorrectionError where a digital signature would no longer hold."""
    if "DigitalSignaturesSequence" in ds:
        raise CorrectionError("the object is digitally signed, and a change would break the signature")
    copy = deepcopy(ds)
    keep_bytes(copy)
    return copy


def keep_bytes(ds: Dataset) -> None:
    """Have elements that were never decoded written as they are.

    pydicom decodes all of them where it believes that the character set has changed since reading, as it does for some
    unknown sets. No code of ours ever changes it.
    """
    is_implicit_vr, is_little_endian = ds.original_encoding
    ds.set_original_encoding(is_implicit_vr, is_little_endian, ds._character_set)  # noqa: SLF001


_CONFORMING = {
    "CS": re.compile(rb"[A-Z0-9 _]{0,16}"),
    "DT": re.compile(rb"[0-9.+-]{0,26} ?"),
}


def conforms(raw: bytes, vr: str) -> bool:
    """Whether an encoded single value keeps the rules of CS or DT (PS3.5 Table 6.2-1)."""
    return _CONFORMING[vr].fullmatch(raw) is not None


def ascii_text(text: str, longest: int) -> str:
    """`text` in the default repertoire, which every Specific Character Set contains, cut to `longest` characters."""
    return re.sub(r"[^ -\[\]-}]", "?", text)[:longest]


def dicom_datetime(at: datetime) -> str:
    """A DT value with its offset from UTC (PS3.5 section 6.2)."""
    if at.tzinfo is None:
        raise CorrectionError("the time of a correction has no time zone")
    return at.strftime("%Y%m%d%H%M%S.%f%z")


def append_item(ds: Dataset, keyword: str, item: Dataset) -> None:
    """Append an item to a sequence that may be absent; the items that are there stay."""
    tag = tag_of(keyword)
    if tag not in ds:
        ds[tag] = DataElement(tag, "SQ", [])
    element = ds[tag]
    if element.VR != "SQ":
        raise CorrectionError(f"{keyword} cannot be read as a sequence")
    element.value.append(item)


def code_item(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of the Code Sequence Macro (PS3.3 section 8.8)."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


@contextmanager
def translating(doing: str) -> Iterator[None]:
    """Turn whatever a strange object makes pydicom or highdicom raise into CorrectionError.

    Trouble of the machine goes through: a full disk is no property of the object, and no reason to send it uncorrected.
    """
    try:
        yield
    except CorrectionError:
        raise
    except Exception as error:
        if is_of_the_machine(error):
            raise
        raise CorrectionError(f"{doing} failed: {type(error).__name__}") from error
