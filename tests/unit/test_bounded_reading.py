"""However much a stranger has nested into an object: its head is read, its header is looked at, and soon."""

import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import pack

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from dicom_node.bodypart import HeaderKind
from dicom_node.content import mapped
from dicom_node.element_text import UNREADABLE_CODE
from dicom_node.errors import NotUnderstoodError, UndecodableError
from dicom_node.header import header_region, header_values
from dicom_node.object_file import open_object, read_object
from dicom_node.part10 import identity_of
from tests.dimse_objects import cr, encoded, incoming_bytes, written

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = (pack("<HHL", 0xFFFE, element, 0) for element in (0xE000, 0xE00D, 0xE0DD))
OPEN_ITEM = pack("<HHL", 0xFFFE, 0xE000, UNDEFINED)
MANY = ITEM * 120_000
REFERENCED_IMAGES, ANATOMIC_REGIONS, LATER = (0x0008, 0x1140), (0x0008, 0x2218), (0x0020, 0x9222)

SYNTAXES = pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
LENGTHS = pytest.mark.parametrize("undefined", [True, False], ids=["undefined", "defined"])


def sequence(tag: tuple[int, int], content: bytes, *, undefined: bool) -> bytes:
    head = pack("<HH2sHL", *tag, b"SQ", 0, UNDEFINED if undefined else len(content))
    return head + content + (SEQUENCE_END if undefined else b"")


def nested(depth: int) -> bytes:
    """An item with a sequence with an item, and so on."""
    begin = OPEN_ITEM + pack("<HH2sHL", *REFERENCED_IMAGES, b"SQ", 0, UNDEFINED)
    return begin * depth + (SEQUENCE_END + ITEM_END) * depth


def cr_with(elements: bytes, *, before: tuple[int, int]) -> bytes:
    """A CR image with encoded elements in it; BodyPartExamined says HAND."""
    plain = encoded(cr())
    at = plain.index(pack("<HH", *before))
    return plain[:at] + elements + plain[at:]


def cr_with_sequence(tag: tuple[int, int], content: bytes, *, undefined: bool) -> bytes:
    before = {REFERENCED_IMAGES: (0x0010, 0x0010), ANATOMIC_REGIONS: (0x0010, 0x0010), LATER: (0x0028, 0x0002)}[tag]
    return cr_with(sequence(tag, content, undefined=undefined), before=before)


def squeezed(content: bytes, syntax: str) -> bytes:
    if syntax == ExplicitVRLittleEndian:
        return content
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return stream.compress(content) + stream.flush()


@contextmanager
def little_memory() -> Iterator[None]:
    """A third of what pydicom takes for 120,000 items."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 25 << 20
    finally:
        tracemalloc.stop()


@SYNTAXES
@LENGTHS
def test_the_identity_stands_behind_a_sequence_of_very_many_items(undefined: bool, syntax: str) -> None:
    dataset = squeezed(cr_with_sequence(REFERENCED_IMAGES, MANY, undefined=undefined), syntax)
    with little_memory():
        identity = identity_of(dataset, syntax)
    assert identity == identity_of(encoded(cr()), ExplicitVRLittleEndian)


@SYNTAXES
@LENGTHS
@pytest.mark.parametrize("tag", [REFERENCED_IMAGES, LATER], ids=["before the identity", "after it"])
def test_an_object_is_looked_at_past_a_sequence_of_very_many_items(
    tag: tuple[int, int], undefined: bool, syntax: str, tmp_path: Path
) -> None:
    path = file_with(tmp_path, squeezed(cr_with_sequence(tag, MANY, undefined=undefined), syntax), syntax)
    with little_memory():
        ds = open_object(path)
        values = header_values(ds)
    assert values["SeriesInstanceUID"] == ("1.2.3.2",)
    assert ds.PixelData == cr().PixelData


@LENGTHS
def test_many_sequences_are_no_more_than_a_long_one(undefined: bool, tmp_path: Path) -> None:
    each = ITEM * 1_000
    dataset = cr_with(
        b"".join(sequence((0x0009, 0x1000 + number), each, undefined=undefined) for number in range(120)),
        before=(0x0010, 0x0010),
    )
    path = file_with(tmp_path, dataset)
    with little_memory():
        assert identity_of(dataset, ExplicitVRLittleEndian).series_uid == "1.2.3.2"
        assert header_values(open_object(path))["BodyPartExamined"] == ("HAND",)


@LENGTHS
def test_a_region_among_very_many_is_one_that_cannot_be_read_and_not_none(undefined: bool, tmp_path: Path) -> None:
    """Else the header would count as empty, and be filled."""
    dataset = cr_with_sequence(ANATOMIC_REGIONS, MANY, undefined=undefined).replace(b"HAND", b"    ")
    with little_memory():
        assert identity_of(dataset, ExplicitVRLittleEndian).anatomic_region_code == UNREADABLE_CODE
        assert header_region(open_object(file_with(tmp_path, dataset))).kind is not HeaderKind.EMPTY


def test_nothing_is_made_of_an_object_with_very_many_items(tmp_path: Path) -> None:
    """What is left out while it is looked at would be missing in a copy."""
    for undefined in (True, False):
        dataset = cr_with_sequence(LATER, MANY * 3, undefined=undefined)
        with little_memory(), pytest.raises(UndecodableError, match="elements and items"):
            read_object(file_with(tmp_path, dataset))


@pytest.mark.parametrize("depth", [150, 5_000])
def test_sequences_that_are_nested_very_deep_are_passed_over(depth: int, tmp_path: Path) -> None:
    dataset = cr_with_sequence(REFERENCED_IMAGES, nested(depth), undefined=True)
    assert identity_of(dataset, ExplicitVRLittleEndian).series_uid == "1.2.3.2"
    assert header_region(open_object(file_with(tmp_path, dataset))).value == "HAND"


def test_a_long_sequence_without_an_end_is_refused(tmp_path: Path) -> None:
    """Where the data set goes on behind it, nobody knows."""
    head = cr_with(b"", before=(0x0010, 0x0010)).split(pack("<HH", 0x0010, 0x0010))[0]
    dataset = head + pack("<HH2sHL", *REFERENCED_IMAGES, b"SQ", 0, UNDEFINED) + MANY
    with little_memory(), pytest.raises(NotUnderstoodError):
        identity_of(dataset, ExplicitVRLittleEndian)
    with little_memory(), pytest.raises(UndecodableError, match="end"):
        open_object(file_with(tmp_path, dataset))


def test_the_ends_of_damaged_values_are_not_looked_for_again_and_again(tmp_path: Path) -> None:
    """Each of these values has no end, so that pydicom would read to the end of the file for each."""
    endless = OPEN_ITEM + pack("<HH2sHL", 0x0009, 0x1000, b"OB", 0, UNDEFINED)
    dataset = cr_with(
        pack("<HH2sHL", *REFERENCED_IMAGES, b"SQ", 0, UNDEFINED) + endless * 10_000 + bytes(1 << 20),
        before=(0x0010, 0x0010),
    )
    began = time.process_time()
    with pytest.raises(NotUnderstoodError):
        identity_of(dataset, ExplicitVRLittleEndian)
    with pytest.raises(UndecodableError):
        open_object(file_with(tmp_path, dataset))
    assert time.process_time() - began < 3.0


@pytest.mark.parametrize("present", [64 << 20, 9 << 20], ids=["whole", "cut short"])
def test_a_long_value_before_the_identity_is_not_read(present: int, tmp_path: Path) -> None:
    element = pack("<HH2sHL", 0x0009, 0x1000, b"OB", 0, 64 << 20) + bytes(present)
    dataset = cr_with(element, before=(0x0010, 0x0010))
    if present < 64 << 20:
        dataset = dataset[: dataset.index(element) + len(element)]
    with (tmp_path / "large").open("w+b") as file:
        file.write(dataset)
        content = mapped(file)
    with little_memory():
        identity = identity_of(content, ExplicitVRLittleEndian)
    assert identity.sop_instance_uid == "1.2.3.4"
    assert identity.series_uid == ("1.2.3.2" if present == 64 << 20 else "")


def test_what_lies_behind_a_deflated_head_is_not_copied(tmp_path: Path) -> None:
    with (tmp_path / "large").open("w+b") as file:
        file.write(squeezed(encoded(cr()), DeflatedExplicitVRLittleEndian) + bytes(64 << 20))
        content = mapped(file)
    with little_memory():
        assert identity_of(content, DeflatedExplicitVRLittleEndian).series_uid == "1.2.3.2"


def file_with(folder: Path, dataset: bytes, syntax: str = ExplicitVRLittleEndian) -> Path:
    return written(folder, incoming_bytes(dataset, syntax=syntax))
