"""Broken objects: mutations of pydicom's test files, and bombs made by hand. Seeded, and without end."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from struct import pack

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from dicom_node.instance import Incoming
from dicom_node.part10 import DEFLATED
from tests.dimse_objects import bundled_objects, cr, encoded, incoming_bytes

# Larger ones are slow to mutate, and break in no other way.
LARGEST = 300_000
LENGTHS = (0, 1, 0xFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
CHARACTER_SETS = (
    "ISO_IR 100", "ISO_IR 192", "GB18030", "GBK", "\\ISO 2022 IR 87", "ISO 2022 IR 149", "ISO 2022 IR 999", "\\\\\\",
    "ISO IR 192", "latin-1", "../../etc", "utf_16", "rot13", "base64", "zlib_codec", "idna", "punycode",
)  # fmt: skip
WORDS = (
    b"", b"-", b"nan", b"1e400", b"-1", b"0", b"99999999999999999999", b"\\", b"\\\\\\", b"\xff\xfe", b"^" * 60,
    b"\x1b$B\x1b(J", b"0.0000000000000001",
)  # fmt: skip
# What decoding and windowing ask for.
NUMBERS = (
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel", "PixelRepresentation",
    "PlanarConfiguration",
)  # fmt: skip


def corpus() -> list[Incoming]:
    """The seeds, a small CR among them that the model looks at."""
    seeds = [item for _, item in bundled_objects() if len(item.dataset) <= LARGEST]
    return [*seeds, *(_made(number) for number in range(len(seeds) // 4))]


def _made(number: int) -> Incoming:
    ds = cr(f"1.2.{number}", Rows=64, Columns=64, PixelData=bytes(range(256)) * 32, BodyPartExamined="")
    return incoming_bytes(encoded(ds), uid=f"1.2.{number}")


def broken_objects(seed: int, seeds: list[Incoming]) -> Iterator[tuple[str, Incoming]]:
    """Each with the name of what was done to it."""
    chance = Random(seed)
    bombs = list(_BOMBS.items())
    while True:
        if chance.random() < 0.03:
            name, bomb = chance.choice(bombs)
            yield name, bomb(chance)
            continue
        item, names = chance.choice(seeds), []
        for _ in range(chance.choice((1, 1, 2, 4))):
            mutate = chance.choice(_MUTATIONS)
            item = replace(item, dataset=mutate(item.dataset, chance))
            names.append(mutate.__name__.strip("_"))
        if chance.random() < 0.1:
            item = replace(item, transfer_syntax_uid=str(chance.choice(_SYNTAXES)))
        yield "+".join(names), item


_SYNTAXES = (
    ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless,
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.2",
)  # fmt: skip


def _flipped_bits(content: bytes, chance: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 4, 32))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _flipped_in_head(content: bytes, chance: Random) -> bytes:
    head = min(len(content), 1500)
    return _flipped_bits(content[:head], chance) + content[head:]


def _cut_short(content: bytes, chance: Random) -> bytes:
    return content[: chance.randrange(1, len(content) + 1)]


def _piece_gone(content: bytes, chance: Random) -> bytes:
    start = chance.randrange(len(content))
    return content[:start] + content[start + chance.choice((1, 2, 7, 64, 1000)) :] or b"\0"


def _piece_twice(content: bytes, chance: Random) -> bytes:
    start = chance.randrange(len(content))
    end = start + chance.choice((1, 8, 100, 5000))
    return content[:end] + content[start:end] * chance.choice((1, 3, 50)) + content[end:]


def _wrong_length(content: bytes, chance: Random) -> bytes:
    """A length somewhere in the first elements says something else."""
    start = chance.randrange(4, max(5, min(len(content) - 4, 3000)))
    wrong = pack("<L", chance.choice(LENGTHS)) if chance.random() < 0.5 else pack("<H", chance.choice(LENGTHS) & 0xFFFF)
    return content[:start] + wrong + content[start + len(wrong) :]


def _noise(content: bytes, chance: Random) -> bytes:
    start = chance.randrange(len(content))
    return content[:start] + chance.randbytes(chance.choice((2, 16, 300))) + content[start:]


_MUTATIONS: tuple[Callable[[bytes, Random], bytes], ...] = (
    _flipped_bits,
    _flipped_in_head,
    _cut_short,
    _piece_gone,
    _piece_twice,
    _wrong_length,
    _noise,
)


def _object(content: bytes, syntax: str = ExplicitVRLittleEndian) -> Incoming:
    return incoming_bytes(content, syntax=syntax)


def _element(tag: tuple[int, int], vr: bytes, value: bytes) -> bytes:
    if vr in (b"SQ", b"OB", b"OW", b"UN", b"UT"):
        return pack("<HH2sHL", *tag, vr, 0, len(value)) + value
    return pack("<HH2sH", *tag, vr, len(value)) + value


def _deflate_bomb(chance: Random) -> Incoming:
    head = encoded(cr(PixelData=b""))[:-4]
    length = chance.choice((20, 300, 900)) << 20
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    parts = [squeeze.compress(head + pack("<L", length))]
    parts += [squeeze.compress(bytes(1 << 20)) for _ in range(length >> 20)]
    return _object(b"".join([*parts, squeeze.flush()]), chance.choice(sorted(DEFLATED)))


def _deflate_bomb_in_head(chance: Random) -> Incoming:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    parts = [squeeze.compress(b"\x08\x00\x05\x00CS" + pack("<H", 0xFFFE))]
    parts += [squeeze.compress(bytes(1 << 20)) for _ in range(chance.choice((20, 500)))]
    return _object(b"".join([*parts, squeeze.flush()]), DeflatedExplicitVRLittleEndian)


def _giant_picture(chance: Random) -> Incoming:
    ds = cr(Rows=0xFFFF, Columns=0xFFFF, NumberOfFrames=str(chance.choice((1, 2**31 - 1, 10**12 - 1))))
    return _object(encoded(ds), chance.choice(_SYNTAXES[:1] + _SYNTAXES[2:]))


def _giant_codestream(_: Random) -> Incoming:
    """JPEG 2000, SIZ marker of 2^31 pixels a side (ISO 15444-1 A.5.1), and nothing behind it."""
    siz = pack(">HHLLLLLLLLH", 47, 0, *(2**31 - 1, 2**31 - 1, 0, 0, 2**31 - 1, 2**31 - 1, 0, 0), 1) + b"\x0f\x01\x01"
    fragment = b"\xff\x4f\xff\x51" + siz + b"\xff\x93" + bytes(64)
    value = pack("<HHL", 0xFFFE, 0xE000, 0) + pack("<HHL", 0xFFFE, 0xE000, len(fragment)) + fragment
    value += pack("<HHL", 0xFFFE, 0xE0DD, 0)
    pixels = pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + value
    return _object(encoded(cr(Rows=4096, Columns=4096, PixelData=None)) + pixels, JPEG2000Lossless)


def _deep_sequences(chance: Random) -> Incoming:
    depth = chance.choice((100, 900, 5000, 50_000))
    tag = chance.choice(((0x0008, 0x1140), (0x0040, 0x0275)))
    begin = pack("<HH2sHL", *tag, b"SQ", 0, 0xFFFFFFFF) + pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    end = pack("<HHL", 0xFFFE, 0xE00D, 0) + pack("<HHL", 0xFFFE, 0xE0DD, 0)
    nested = begin * depth + (end * depth if chance.random() < 0.5 else b"")
    ds = cr()
    head = encoded(cr(PixelData=None)) if tag[0] > 0x20 else encoded(_only_identity(ds))
    return _object(head + nested)


def _only_identity(ds):
    for element in [one for one in ds if one.tag > 0x00080018]:
        del ds[element.tag]
    return ds


def _many_elements(chance: Random) -> Incoming:
    tag = chance.choice(((0x0008, 0x0070), (0x0041, 0x1010)))
    return _object(encoded(_only_identity(cr())) + _element(tag, b"LO", b"") * 1_000_000)


def _many_items(chance: Random) -> Incoming:
    """pydicom leaves a sequence of defined length for later, and takes one of undefined length apart at once."""
    items = pack("<HHL", 0xFFFE, 0xE000, 0) * chance.choice((300_000, 1_000_000))
    tag = chance.choice(((0x0008, 0x1140), (0x0008, 0x2218), (0x0040, 0x0275)))
    undefined = chance.random() < 0.7
    content = encoded(_only_identity(cr())) + pack("<HH2sHL", *tag, b"SQ", 0, 0xFFFFFFFF if undefined else len(items))
    content += items + (pack("<HHL", 0xFFFE, 0xE0DD, 0) if undefined and chance.random() < 0.8 else b"")
    if chance.random() < 0.5:
        return _object(content)
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return _object(squeeze.compress(content) + squeeze.flush(), chance.choice(sorted(DEFLATED)))


def _wrong_character_set(chance: Random) -> Incoming:
    head = _element((0x0008, 0x0005), b"CS", chance.choice(CHARACTER_SETS).encode().ljust(16)[:16])
    ds = cr(PatientName=None)
    rest = encoded(ds) + _element((0x0041, 0x1010), b"PN", chance.randbytes(40))
    return _object(head + rest)


def _wrong_numbers(chance: Random) -> Incoming:
    changes = {name: chance.choice((0, 1, 7, 12, 16, 17, 255, 0xFFFF)) for name in chance.sample(NUMBERS, 3)}
    ds = cr(Rows=64, Columns=64, PixelData=bytes(8192))
    for name, value in changes.items():
        setattr(ds, name, value)
    words = b"".join(
        _element(tag, b"DS", (word + b" " * (len(word) % 2)))
        for tag, word in (
            ((0x0028, 0x1050), chance.choice(WORDS)),
            ((0x0028, 0x1051), chance.choice(WORDS)),
            ((0x0028, 0x1052), chance.choice(WORDS)),
            ((0x0028, 0x1053), chance.choice(WORDS)),
        )
    )
    pixels = encoded(cr(PixelData=bytes(8192))).index(b"\xe0\x7f\x10\x00")
    content = encoded(ds)
    at = content.index(b"\xe0\x7f\x10\x00") if b"\xe0\x7f\x10\x00" in content else pixels
    return _object(content[:at] + words + content[at:])


def _encapsulated_where_it_is_not(chance: Random) -> Incoming:
    return _object(encoded(cr(Rows=64, Columns=64, PixelData=bytes(8192))), chance.choice(_SYNTAXES[2:5]))


_BOMBS: dict[str, Callable[[Random], Incoming]] = {
    "deflate bomb": _deflate_bomb,
    "deflate bomb in the head": _deflate_bomb_in_head,
    "giant picture": _giant_picture,
    "giant codestream": _giant_codestream,
    "deep sequences": _deep_sequences,
    "many elements": _many_elements,
    "many items": _many_items,
    "wrong character set": _wrong_character_set,
    "wrong numbers": _wrong_numbers,
    "encapsulated where it is not": _encapsulated_where_it_is_not,
}


def every_bomb(seed: int) -> Iterator[tuple[str, Incoming]]:
    """Each kind once."""
    chance = Random(seed)
    for name, bomb in _BOMBS.items():
        yield name, bomb(chance)
