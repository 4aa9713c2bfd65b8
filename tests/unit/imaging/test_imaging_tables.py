"""Modality and VOI LUTs, of every depth, length, sign and packing, against their entries."""

from collections.abc import Callable

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

from dicom_node.imaging import grey_from_dataset

Factory = Callable[..., Dataset]
RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16)


def lut(first: int, entries: list[int], bits: int = 16) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = entries
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item


def test_a_modality_lut_comes_before_the_window(radiograph: Factory) -> None:
    """A Modality LUT replaces rescaling, and the window sees what it gives."""
    item = lut(0, [value * value for value in range(256)])
    item.ModalityLUTType = "US"
    window = {"WindowCenter": 20000, "WindowWidth": 30000}
    squares = grey_from_dataset(radiograph(RAMP * RAMP, **window))
    np.testing.assert_array_equal(grey_from_dataset(radiograph(RAMP, ModalityLUTSequence=[item], **window)), squares)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_a_modality_lut_has_entries_of_any_depth(radiograph: Factory, bits: int) -> None:
    """C.11.1.1 allows 8 and 16 bits, film digitizers write what they measure; the entries count as they are."""
    entries = np.linspace(0, 2**bits - 1, 256).astype(np.uint16)
    window = {"WindowCenter": 2 ** (bits - 1), "WindowWidth": 2**bits}
    ds = radiograph(RAMP, ModalityLUTSequence=[lut(0, entries.tolist(), bits)], **window)
    np.testing.assert_array_equal(grey_from_dataset(ds), grey_from_dataset(radiograph(entries[RAMP], **window)))


def test_a_modality_lut_of_eight_bits_comes_packed_in_words(radiograph: Factory) -> None:
    item = lut(0, [0] * 256, 8)
    item.add_new("LUTData", "OW", bytes(range(255, -1, -1)))
    ds = radiograph(RAMP, ModalityLUTSequence=[item], WindowCenter=128, WindowWidth=256)
    expected = grey_from_dataset(radiograph(255 - RAMP, WindowCenter=128, WindowWidth=256))
    np.testing.assert_array_equal(grey_from_dataset(ds), expected)


def test_a_voi_lut_wins_over_a_window(radiograph: Factory) -> None:
    """With both, the LUT is shown; it is scaled by the bits that its descriptor states."""
    entries = [4095 - 16 * value for value in range(256)]
    ds = radiograph(RAMP, VOILUTSequence=[lut(0, entries, 12)], WindowCenter=100, WindowWidth=80)
    np.testing.assert_allclose(grey_from_dataset(ds), (4095 - 16.0 * RAMP) / 4095, atol=1e-6)


@pytest.mark.parametrize(
    "damage",
    [
        {"LUTData": None},
        {"LUTData": [1, 2, 3]},
        {"LUTDescriptor": [256, 0]},
        {"LUTDescriptor": [256, 0, 0]},
        {"LUTDescriptor": [256, 0, 8], "LUTData": [256] * 256},
    ],
)
def test_a_damaged_voi_lut_leaves_the_window(radiograph: Factory, damage: dict[str, list[int] | None]) -> None:
    """A LUT without data, with too little of it, or with a nonsensical description is no LUT."""
    broken = lut(0, list(range(256)))
    for keyword, value in damage.items():
        setattr(broken, keyword, value)
    grey = grey_from_dataset(radiograph(RAMP, VOILUTSequence=[broken], WindowCenter=100, WindowWidth=80))
    np.testing.assert_array_equal(grey, grey_from_dataset(radiograph(RAMP, WindowCenter=100, WindowWidth=80)))


def test_a_voi_lut_of_eight_bits_is_longer_than_its_entries_are_wide(radiograph: Factory) -> None:
    """4096 values mapped to 8 bits, as PS3.3 C.8.11.3.1.5 allows: the entry of value 300 is the 301st."""
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    ds = radiograph(values, BitsStored=12, HighBit=11, VOILUTSequence=[lut(0, [v // 16 for v in range(4096)], 8)])
    np.testing.assert_allclose(grey_from_dataset(ds), (values // 16) / 255.0, atol=1e-6)


def test_values_beyond_a_voi_lut_get_its_ends(radiograph: Factory) -> None:
    """256 entries from 1000 on: what is darker gets the first, what is brighter the last (C.11.2.1.1)."""
    values = (np.arange(4096, dtype=np.uint16)).reshape(64, 64)
    ds = radiograph(values, BitsStored=12, HighBit=11, VOILUTSequence=[lut(1000, list(range(256)), 8)])
    np.testing.assert_allclose(grey_from_dataset(ds), np.clip(values - 1000.0, 0, 255) / 255.0, atol=1e-6)


def test_a_voi_lut_of_all_values_states_its_length_as_zero(radiograph: Factory) -> None:
    entries = list(range(65536))
    item = lut(0, entries)
    item.LUTDescriptor = [0, 0, 16]
    values = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    np.testing.assert_allclose(
        grey_from_dataset(radiograph(values, VOILUTSequence=[item])), values / 65535.0, atol=1e-6
    )


@pytest.mark.parametrize(("vr", "first"), [("SS", -100), ("US", 65436)])
def test_a_voi_lut_begins_below_zero(radiograph: Factory, vr: str, first: int) -> None:
    """The first value mapped is signed where the pixels are, and is often written as if it were not."""
    values = np.arange(-128, 128, dtype=np.int16).reshape(16, 16)
    item = lut(0, list(range(0, 4000, 20)), 12)
    item.add_new("LUTDescriptor", vr, [200, first, 12])
    shown = np.clip(values + 100.0, 0, 199) * 20 / 4095
    np.testing.assert_allclose(grey_from_dataset(radiograph(values, VOILUTSequence=[item])), shown, atol=1e-6)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("packed", [True, False])
def test_a_voi_lut_of_eight_bits_comes_in_words(radiograph: Factory, syntax: UID, packed: bool) -> None:
    """OW data has two entries to a word, the first in its lower half, or one; its length tells which."""
    entries = np.arange(255, -1, -1, dtype=np.uint8)
    words = entries[0::2] + 256 * entries[1::2].astype(np.uint16) if packed else entries.astype(np.uint16)
    item = lut(0, [0] * 256, 8)
    item.add_new("LUTData", "OW", words.astype("<u2" if syntax.is_little_endian else ">u2").tobytes())
    ds = radiograph(RAMP, VOILUTSequence=[item], TransferSyntaxUID=syntax)
    ds["PixelData"].VR = "OW"
    np.testing.assert_allclose(grey_from_dataset(ds), (255 - RAMP) / 255.0, atol=1e-6)
