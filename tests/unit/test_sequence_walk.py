"""A sequence is walked over to where pydicom finds its end, in every encoding, and nothing is made of it."""

from io import BytesIO
from random import Random

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from dicom_node.sequence_walk import UNDEFINED_LENGTH, SequenceWalk, UnclearError
from tests.dimse_objects import bundled_objects

ENCODINGS = pytest.mark.parametrize(
    ("implicit", "order"), [(False, "<"), (True, "<"), (False, ">")], ids=["explicit", "implicit", "big endian"]
)


def tree(chance: Random, depth: int) -> Dataset:
    """Texts, numbers, bulk, fragments and private elements; sequences of either kind of length."""
    ds = Dataset()
    ds.CodeValue, ds.Rows, ds.PixelIntensityRelationshipSign = "T-D8700", 2, -1
    ds.add_new(0x00091001, "LO", "private")
    ds.add_new(0x00091002, "OB", bytes(chance.randrange(0, 40, 2)))
    if depth:
        items = [tree(chance, depth - 1) for _ in range(chance.randrange(3))]
        ds.ReferencedImageSequence = Sequence(items)
        ds["ReferencedImageSequence"].is_undefined_length = chance.random() < 0.5
        for item in items:
            item.is_undefined_length_sequence_item = chance.random() < 0.5
    return ds


def value_of(ds: Dataset, *, implicit: bool, order: str) -> bytes:
    """What stands behind the head of the sequence in `ds`, to the end of the data set."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = implicit, order == "<"
    write_dataset(buffer, ds)
    return buffer.getvalue()[8 if implicit else 12 :]


@ENCODINGS
@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_the_walk_ends_where_the_sequence_ends(seed: int, undefined: bool, implicit: bool, order: str) -> None:
    ds = Dataset()
    ds.ReferencedImageSequence = Sequence([tree(Random(seed), 3) for _ in range(4)])
    ds["ReferencedImageSequence"].is_undefined_length = undefined
    value = value_of(ds, implicit=implicit, order=order)
    walk = SequenceWalk(BytesIO(value + b"what follows"), order, implicit=implicit)
    assert walk.to_end(UNDEFINED_LENGTH if undefined else len(value), most=10_000)
    assert walk.at == len(value)


def test_a_value_in_fragments_is_walked_over_like_any_other() -> None:
    """An icon's compressed pixels, whose bytes may look like anything."""
    item, item_end, end = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
    pixels = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + item + b"\0\0\0\0" + item + b"\x08\0\0\0" + end + end
    value = item + b"\xff\xff\xff\xff" + pixels + item_end + end
    walk = SequenceWalk(BytesIO(value), "<", implicit=False)
    assert walk.to_end(UNDEFINED_LENGTH, most=100)
    assert walk.at == len(value)


def test_an_item_in_implicit_vr_within_explicit_ones_is_understood() -> None:
    """PS3.5 section 6.2.2: what was UN is; its lengths may look like a VR."""
    element = b"\x09\x00\x01\x10" + b"OB\0\0" + bytes(0x424F)
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\x00\x00\x01\x02\0\0\0AB" + element + b"\xfe\xff\x0d\xe0\0\0\0\0"
    value = item + b"\xfe\xff\xdd\xe0\0\0\0\0"
    walk = SequenceWalk(BytesIO(value), "<", implicit=False)
    assert walk.to_end(UNDEFINED_LENGTH, most=100)
    assert walk.at == len(value)


def test_it_counts_what_it_passes_and_how_deep_it_goes() -> None:
    outer, middle, inner = Dataset(), Dataset(), Dataset()
    inner.CodeValue = "T-D8700"
    middle.ReferencedImageSequence = Sequence([inner])
    outer.ReferencedImageSequence = Sequence([middle])
    value = value_of(outer, implicit=False, order="<")
    walk = SequenceWalk(BytesIO(value), "<", implicit=False)
    assert walk.to_end(len(value), most=100)
    assert (walk.steps, walk.deepest) == (4, 2)  # two items, a sequence, a code
    assert not SequenceWalk(BytesIO(value), "<", implicit=False).to_end(len(value), most=3)


def test_what_is_cut_short_is_unclear() -> None:
    with pytest.raises(UnclearError):
        SequenceWalk(BytesIO(b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\x00"), "<", implicit=False).to_end(
            UNDEFINED_LENGTH, most=100
        )


def test_the_sequences_of_pydicoms_test_objects_are_walked_to_their_ends() -> None:
    walked = 0
    for _, item in bundled_objects():
        at = item.dataset.find(b"SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0")
        if at < 0:
            continue
        file = BytesIO(item.dataset)
        file.seek(at + 8)
        walk = SequenceWalk(file, "<", implicit=False)
        assert walk.to_end(UNDEFINED_LENGTH, most=100_000)
        assert item.dataset[walk.at - 8 : walk.at] == b"\xfe\xff\xdd\xe0\0\0\0\0"
        walked += 1
    assert walked > 10
