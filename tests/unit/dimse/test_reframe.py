"""The frames of elements change on the way to another syntax, their values do not; all compared as bytes."""

import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from dicom_node.dimse.transcode import convert, transcode
from dicom_node.part10 import split_meta
from tests.dimse_objects import cr, encoded, incoming_bytes, written

Element = tuple[int, str, Any]  # tag, VR, and the value as bytes or a list of items, which are lists of elements
EXPLICIT, IMPLICIT, BIG = ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian


def framed(elements: list[Element], syntax: str) -> bytes:
    """The elements' bytes, written without pydicom (PS3.5 section 7.1)."""
    order = ">" if syntax == BIG else "<"
    content = b""
    for tag, vr, given in elements:
        value = given if isinstance(given, bytes) else b"".join(_item(item, syntax) for item in given)
        content += struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
        if syntax == IMPLICIT:
            content += struct.pack("<I", len(value))
        elif vr in ("OB", "OW", "SQ", "UC", "UN", "UR", "UT"):
            content += vr.encode() + struct.pack(order + "HI", 0, len(value))
        else:
            content += vr.encode() + struct.pack(order + "H", len(value))
        content += value
    return content


def _item(elements: list[Element], syntax: str) -> bytes:
    content = framed(elements, syntax)
    return struct.pack((">" if syntax == BIG else "<") + "HHI", 0xFFFE, 0xE000, len(content)) + content


def transcoded(folder: Path, content: bytes, syntax: str, to_syntax: str) -> bytes:
    """What becomes of a data set's bytes."""
    target = transcode(written(folder, incoming_bytes(content, syntax=syntax)), to_syntax, folder / "out.dcm")
    with target.open("rb") as file:
        file.seek(split_meta(file)[1])
        return file.read()


NAME = b"M\xfcller^\x1b$B;3ED\x1b(B^X "  # neither UTF-8 nor without undeclared escapes
TEXTS: list[Element] = [
    (0x00080030, "TM", b"25:61\xb0"),
    (0x00080054, "AE", b" \xe9 AET  "),
    (0x00080080, "LO", b"Klinik \xdf\\\xff  "),
    (0x00080081, "ST", b"\xc3\xbc\xfc \0 "),
    (0x00080119, "UC", b"\x83\x4a\\ \x81\x5c"),
    (0x00080120, "UR", b"http://\xfc  "),
    (0x00100010, "PN", NAME + b"=\xc3(=\\^"),
    (0x00100030, "DA", b"2001.2.\xb2"),
    (0x00101010, "AS", b"4 \xff "),
    (0x00101020, "DS", b" 1,75\\ 01.50e0"),
    (0x00104000, "LT", b"\x1b.A\x1b)I \x00\xfe "),
    (0x00180015, "CS", b" h\xe4nd \\ "),
    (0x00181200, "DA", b"\\19991301 "),
    (0x0020000D, "UI", b"1.2.x\xff\0 \0 "),
    (0x00200010, "SH", b"\x1b-Labc\x80 "),
    (0x00200013, "IS", b"+007\\x\xff "),
    (0x0040A160, "UT", b"\xff\xfe  "),
]
CHARACTER_SETS = [
    b"ISO_IR 192",
    b"ISO_IR 100",
    b"ISO_IR 6",
    b"ISO_IR 13 ",
    b"GB18030 ",
    b"\\ISO 2022 IR 87 ",
    b"ISO_IR 144",
]


def everywhere(character_set: bytes) -> list[Element]:
    """The texts at the top, in OriginalAttributesSequence under another set, and in a private sequence."""
    inner: list[Element] = [(0x00080005, "CS", b"ISO_IR 192"), *TEXTS]
    block: list[Element] = [
        (0x00090010, "LO", b"CR\xc9ATOR "),
        (0x00091001, "LO", NAME),
        (0x00091002, "SQ", [TEXTS, []]),
    ]
    late: Element = (0x04000561, "SQ", [[(0x04000550, "SQ", [inner]), (0x04000562, "DT", b"2020\xff0")]])
    return sorted([(0x00080005, "CS", character_set), *TEXTS, *block, late])


@pytest.mark.parametrize("source", [EXPLICIT, BIG])
@pytest.mark.parametrize("character_set", CHARACTER_SETS)
def test_text_goes_from_explicit_to_implicit_byte_for_byte(tmp_path: Path, character_set: bytes, source: str) -> None:
    """Whatever the Specific Character Set declares, at the top, in nested sequences and in private ones."""
    elements = everywhere(character_set)
    assert transcoded(tmp_path, framed(elements, source), source, IMPLICIT) == framed(elements, IMPLICIT)


@pytest.mark.parametrize("character_set", CHARACTER_SETS)
def test_text_goes_from_implicit_to_explicit_byte_for_byte(tmp_path: Path, character_set: bytes) -> None:
    """What only a private dictionary could name becomes UN, which holds Implicit VR (PS3.5 section 6.2.2)."""
    elements = everywhere(character_set)
    expected = [
        (tag, "UN", value if isinstance(value, bytes) else framed([(tag, vr, value)], IMPLICIT)[8:])
        if tag >> 16 == 9 and tag != 0x00090010
        else (tag, vr, value)
        for tag, vr, value in elements
    ]
    assert transcoded(tmp_path, framed(elements, IMPLICIT), IMPLICIT, EXPLICIT) == framed(expected, EXPLICIT)


def test_text_of_a_private_block_that_pydicom_knows_is_not_decoded_either(tmp_path: Path) -> None:
    """Neither the creator, padded as it is, nor a sequence of the block or what is in it."""
    elements: list[Element] = [(0x00080005, "CS", b"ISO_IR 192"), (0x20010010, "LO", b"Philips Imaging DD 001  ")]
    elements += [(0x20011001, "FL", struct.pack("<f", 2)), (0x20011006, "CS", b"\xff "), (0x2001105F, "SQ", [TEXTS])]
    assert transcoded(tmp_path, framed(elements, IMPLICIT), IMPLICIT, EXPLICIT) == framed(elements, EXPLICIT)
    assert transcoded(tmp_path, framed(elements, EXPLICIT), EXPLICIT, IMPLICIT) == framed(elements, IMPLICIT)


@pytest.mark.parametrize("character_set", CHARACTER_SETS)
def test_text_of_a_deflated_object_stays_as_well(tmp_path: Path, character_set: bytes) -> None:
    elements = everywhere(character_set)
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = deflate.compress(framed(elements, EXPLICIT)) + deflate.flush()
    for to_syntax in (EXPLICIT, IMPLICIT):
        out = transcoded(tmp_path, deflated, DeflatedExplicitVRLittleEndian, to_syntax)
        assert out == framed(elements, to_syntax)


@pytest.mark.parametrize("to_syntax", [EXPLICIT, IMPLICIT])
def test_text_of_an_object_whose_pixels_are_decompressed_stays_as_well(tmp_path: Path, to_syntax: str) -> None:
    stand_in = "S" * len(NAME)
    ds = cr(SpecificCharacterSet="ISO_IR 192", PatientName=stand_in)
    pixels = ds.PixelData
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    ds.compress(RLELossless, generate_instance_uid=False)
    content = encoded(ds).replace(stand_in.encode(), NAME)
    convert(written(tmp_path, incoming_bytes(content, syntax=RLELossless)), to_syntax, tmp_path / "out.dcm")
    out = dcmread(tmp_path / "out.dcm")
    assert (out.get_item("PatientName").value, out.PixelData) == (NAME, pixels)


@pytest.mark.parametrize("to_syntax", [EXPLICIT, IMPLICIT])
def test_the_search_for_compressed_icons_leaves_text_in_sequences_as_it_came(tmp_path: Path, to_syntax: str) -> None:
    """In private ones as well, whose creators pydicom decodes when it looks them up."""
    ds = cr()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    ds.compress(RLELossless, generate_instance_uid=False)
    texts = everywhere(b"ISO_IR 100")
    before, after = ([e for e in texts if (e[0] < 0x00280000) == early] for early in (True, False))
    header, pixels = ds.group_dataset(0x0028), ds.group_dataset(0x7FE0)
    content = framed(before, EXPLICIT) + encoded(header) + framed(after, EXPLICIT) + encoded(pixels)
    convert(written(tmp_path, incoming_bytes(content, syntax=RLELossless)), to_syntax, tmp_path / "out.dcm")
    out = (tmp_path / "out.dcm").read_bytes()
    assert framed(before, to_syntax) + encoded(header, to_syntax) + framed(after, to_syntax) in out


def test_numbers_are_turned_and_unknown_values_are_not(tmp_path: Path) -> None:
    """From Big Endian: words, long words and doubles, and US or SS as the source says; UN stays as bytes."""

    def elements(order: str) -> list[Element]:
        return [
            (0x00080005, "CS", b"ISO_IR 192"),
            (0x00091001, "UN", b"\x01\x02\x03\x04"),
            (0x00189087, "FD", struct.pack(order + "d", 1.5)),
            (0x00280009, "AT", struct.pack(order + "HH", 0x0018, 0x1063)),
            (0x00280103, "US", struct.pack(order + "H", 1)),
            (0x00280106, "SS", struct.pack(order + "h", -5)),
            (0x00281101, "SS", struct.pack(order + "Hhh", 256, -3, 16)),
            (0x00400260, "SQ", [[(0x0040A30A, "DS", b"1 "), (0x00720078, "UL", struct.pack(order + "II", 1, 2))]]),
        ]

    assert transcoded(tmp_path, framed(elements(">"), BIG), BIG, EXPLICIT) == framed(elements("<"), EXPLICIT)
    assert transcoded(tmp_path, framed(elements("<"), IMPLICIT), IMPLICIT, EXPLICIT) == framed(elements("<"), EXPLICIT)


def test_what_is_us_or_ss_follows_the_pixel_representation_of_the_object(tmp_path: Path) -> None:
    """In items as well, of defined and of undefined length."""
    inside: list[Element] = [(0x00283002, "SS", struct.pack("<Hhh", 256, -3, 16))]
    elements: list[Element] = [(0x00280103, "US", b"\x01\x00"), (0x00283000, "SQ", [inside])]
    content = framed(elements, IMPLICIT)
    assert transcoded(tmp_path, content, IMPLICIT, EXPLICIT) == framed(elements, EXPLICIT)
    length = len(_item(inside, IMPLICIT))
    endless = content.replace(struct.pack("<HHI", 0x28, 0x3000, length), struct.pack("<HHI", 0x28, 0x3000, 0xFFFFFFFF))
    out = transcoded(tmp_path, endless + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0), IMPLICIT, EXPLICIT)
    assert framed(inside, EXPLICIT) in out


@pytest.mark.parametrize("entries", [32767, 32768, 40000, 0])
def test_a_lut_of_a_signed_image_keeps_its_descriptor_however_many_entries_it_has(tmp_path: Path, entries: int) -> None:
    """Its first value is unsigned whatever its VR; such an image never got to a peer that takes Explicit VR alone."""
    inside: list[Element] = [
        (0x00283002, "SS", struct.pack("<HhH", entries, -16, 16)),
        (0x00283006, "OW", bytes(2 * (entries or 1 << 16))),
    ]
    elements: list[Element] = [(0x00280103, "US", b"\x01\x00"), (0x00283010, "SQ", [inside])]
    got = transcoded(tmp_path, framed(elements, IMPLICIT), IMPLICIT, EXPLICIT)
    assert got == framed(elements, EXPLICIT)
    assert transcoded(tmp_path, got, EXPLICIT, IMPLICIT) == framed(elements, IMPLICIT)


def test_a_value_too_long_for_its_frame_becomes_unknown_and_one_of_odd_length_is_padded(tmp_path: Path) -> None:
    """Explicit VR has 16 bits for the length of most (PS3.5 section 6.2.2)."""
    long = b"1.\xff5\\" * 20_000
    elements: list[Element] = [(0x00080018, "UI", b"1.2.3"), (0x00100010, "PN", b"\xfc"), (0x00281055, "LO", long)]
    expected: list[Element] = [(0x00080018, "UI", b"1.2.3\0"), (0x00100010, "PN", b"\xfc "), (0x00281055, "UN", long)]
    with pytest.warns(UserWarning, match="64 kByte"):
        assert transcoded(tmp_path, framed(elements, IMPLICIT), IMPLICIT, EXPLICIT) == framed(expected, EXPLICIT)
