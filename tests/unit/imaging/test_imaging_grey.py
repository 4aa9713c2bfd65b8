"""The grey pipeline against closed forms, one step at a time and all of them together."""

from collections.abc import Callable

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag
from pydicom.uid import DigitalXRayImageStorageForProcessing, ExplicitVRBigEndian

from dicom_node.errors import UndecodableError
from dicom_node.imaging import grey_from_dataset

Factory = Callable[..., Dataset]
RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16)


def linear(x: np.ndarray, centre: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.2.1, letter by letter, to [0, 1]."""
    y = np.empty(x.shape, np.float64)
    for at, value in np.ndenumerate(x):
        if value <= centre - 0.5 - (width - 1) / 2:
            y[at] = 0.0
        elif value > centre - 0.5 + (width - 1) / 2:
            y[at] = 1.0
        else:
            y[at] = (value - (centre - 0.5)) / (width - 1) + 0.5
    return y


def test_the_window_follows_the_standard(radiograph: Factory) -> None:
    """A linear window gives the piecewise function of C.11.2.1.2.1 on every value."""
    grey = grey_from_dataset(radiograph(RAMP, WindowCenter=100, WindowWidth=80))
    np.testing.assert_allclose(grey, linear(RAMP, 100, 80), atol=1e-6)
    assert grey.dtype == np.float32


def test_the_sigmoid_and_exact_windows_follow_the_standard(radiograph: Factory) -> None:
    """VOI LUT Function SIGMOID and LINEAR_EXACT have their own formulas (C.11.2.1.3)."""
    sigmoid = grey_from_dataset(radiograph(RAMP, WindowCenter=128, WindowWidth=60, VOILUTFunction="SIGMOID"))
    exact = grey_from_dataset(radiograph(RAMP, WindowCenter=128, WindowWidth=60, VOILUTFunction="LINEAR_EXACT"))
    x = RAMP.astype(np.float64)
    np.testing.assert_allclose(sigmoid, 1 / (1 + np.exp(-4 * (x - 128) / 60)), atol=1e-6)
    np.testing.assert_allclose(exact, np.clip((x - 98) / 60, 0, 1), atol=1e-6)


def test_a_photometric_interpretation_in_small_letters_is_grey_too(radiograph: Factory) -> None:
    """Code strings have capitals (PS3.5 6.2), and not every maker knows."""
    small = radiograph(RAMP)
    small.PhotometricInterpretation = "monochrome1 "
    capital = radiograph(RAMP)
    capital.PhotometricInterpretation = "MONOCHROME1"
    np.testing.assert_array_equal(grey_from_dataset(small), grey_from_dataset(capital))


def test_an_exact_or_sigmoid_window_may_be_narrower_than_one(radiograph: Factory) -> None:
    """Only LINEAR needs a width of 1 or more (C.11.2.1.2); where values are rescaled to [0, 1] the others are less."""
    narrow = {"RescaleSlope": "0.00390625", "RescaleIntercept": 0, "WindowCenter": 0.25, "WindowWidth": 0.5}
    sigmoid = grey_from_dataset(radiograph(RAMP, VOILUTFunction="SIGMOID", **narrow))
    exact = grey_from_dataset(radiograph(RAMP, VOILUTFunction="LINEAR_EXACT", **narrow))
    x = RAMP / 256
    np.testing.assert_allclose(sigmoid, 1 / (1 + np.exp(-4 * (x - 0.25) / 0.5)), atol=1e-6)
    np.testing.assert_allclose(exact, np.clip(x / 0.5, 0, 1), atol=1e-6)


@pytest.mark.parametrize("function", ["SIGMOID", "LINEAR_EXACT"])
@pytest.mark.parametrize("width", [0, -2])
def test_no_window_is_of_no_width(radiograph: Factory, function: str, width: int) -> None:
    asked = radiograph(RAMP, WindowCenter=100, WindowWidth=width, VOILUTFunction=function)
    np.testing.assert_array_equal(grey_from_dataset(asked), grey_from_dataset(radiograph(RAMP)))


def test_the_first_of_several_windows_is_used(radiograph: Factory) -> None:
    """Several windows are alternatives; the first is shown."""
    grey = grey_from_dataset(radiograph(RAMP, WindowCenter=[100, 10], WindowWidth=[80, 5]))
    np.testing.assert_allclose(grey, linear(RAMP, 100, 80), atol=1e-6)


def test_rescaling_comes_before_the_window(radiograph: Factory) -> None:
    """The window is in modality units, after slope and intercept."""
    ds = radiograph(RAMP, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=-800, WindowWidth=200)
    np.testing.assert_allclose(grey_from_dataset(ds), linear(RAMP * 2.0 - 1000, -800, 200), atol=1e-6)


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME2", None, False),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", "IDENTITY", False),
    ],
)
def test_an_image_is_inverted_exactly_once(
    radiograph: Factory, photometric: str, shape: str | None, inverted: bool
) -> None:
    """Presentation LUT Shape decides where it is present, the Photometric Interpretation elsewhere; never both."""
    more = {"PresentationLUTShape": shape} if shape else {}
    ds = radiograph(RAMP, WindowCenter=100, WindowWidth=80, PhotometricInterpretation=photometric, **more)
    shown = linear(RAMP, 100, 80)
    np.testing.assert_allclose(grey_from_dataset(ds), 1 - shown if inverted else shown, atol=1e-6)


@pytest.mark.parametrize(
    "window",
    [
        {},
        {"WindowCenter": 100, "WindowWidth": 1},
        {"WindowCenter": 100, "WindowWidth": 0},
        {"WindowCenter": 100, "WindowWidth": None},
        {"WindowCenter": 30000, "WindowWidth": 100},
        {"WindowCenter": 5, "WindowWidth": 60000},
    ],
)
def test_percentiles_stand_in_for_useless_windows(radiograph: Factory, window: dict[str, object]) -> None:
    """No window, no width, or one that shows nearly one grey: the middle 99 % of the pixels fill the range."""
    values = np.arange(10_000, dtype=np.uint16).reshape(100, 100) % 1000
    grey = grey_from_dataset(radiograph(values, **window))
    np.testing.assert_allclose(grey, np.clip((values - 4.0) / (994.0 - 4.0), 0, 1), atol=1e-6)


@pytest.mark.parametrize(
    "mark",
    [{"SOPClassUID": DigitalXRayImageStorageForProcessing}, {"PresentationIntentType": "FOR PROCESSING"}],
)
def test_raw_images_are_never_windowed(radiograph: Factory, mark: dict[str, str]) -> None:
    """DX for processing must not carry a window (C.8.11.3); a stray one is not used."""
    with_window = grey_from_dataset(radiograph(RAMP, WindowCenter=100, WindowWidth=80, **mark))
    without = grey_from_dataset(radiograph(RAMP))
    np.testing.assert_array_equal(with_window, without)


def test_padding_is_black_and_does_not_stretch_the_scale(radiograph: Factory) -> None:
    """Padding of 65535 around a dark picture neither shines nor takes part in the percentiles."""
    values = np.full((40, 40), 65535, np.uint16)
    inner = np.arange(900, dtype=np.uint16).reshape(30, 30) + 100
    values[5:35, 5:35] = inner
    grey = grey_from_dataset(radiograph(values, PixelPaddingValue=65535))
    alone = grey_from_dataset(radiograph(inner))
    np.testing.assert_allclose(grey[5:35, 5:35], alone, atol=1e-6)
    assert grey[:5].max() == 0.0


def test_padding_is_a_range_of_stored_values(radiograph: Factory) -> None:
    """All between the padding value and its limit is padding, before rescaling, and black in MONOCHROME1 too."""
    values = RAMP.copy()
    ds = radiograph(
        values,
        PixelPaddingValue=255,
        PixelPaddingRangeLimit=250,
        RescaleSlope=10,
        RescaleIntercept=-5000,
        WindowCenter=-3700,
        WindowWidth=2000,
        PhotometricInterpretation="MONOCHROME1",
    )
    shown = 1 - linear(values * 10.0 - 5000, -3700, 2000)
    shown[values >= 250] = 0.0
    np.testing.assert_allclose(grey_from_dataset(ds), shown, atol=1e-6)


def test_padding_that_covers_everything_is_ignored(radiograph: Factory) -> None:
    """An image of padding alone is shown as the pixels that it has."""
    ds = radiograph(RAMP, PixelPaddingValue=0, PixelPaddingRangeLimit=255, WindowCenter=100, WindowWidth=80)
    np.testing.assert_allclose(grey_from_dataset(ds), linear(RAMP, 100, 80), atol=1e-6)


def test_padding_with_the_wrong_sign_is_understood(radiograph: Factory) -> None:
    """63536 written as US means -2000 in signed pixels."""
    values = np.arange(-100, 156, dtype=np.int16).reshape(16, 16)
    values[0] = -2000
    ds = radiograph(values)
    ds.add_new("PixelPaddingValue", "US", 63536)
    grey = grey_from_dataset(ds)
    assert grey[0].max() == 0.0
    np.testing.assert_allclose(grey[1:], grey_from_dataset(radiograph(values[1:])), atol=1e-6)


def test_of_several_padding_values_the_first_counts(radiograph: Factory) -> None:
    """The element has one value by the standard, and now and then two."""
    window = {"WindowCenter": 100, "WindowWidth": 80}
    one = radiograph(RAMP, PixelPaddingValue=120, PixelPaddingRangeLimit=130, **window)
    two = radiograph(RAMP, PixelPaddingValue=[120, 7], PixelPaddingRangeLimit=[130, 9], **window)
    np.testing.assert_array_equal(grey_from_dataset(two), grey_from_dataset(one))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
def test_all_pixel_types_give_the_same_picture(radiograph: Factory, dtype: type) -> None:
    """8 and 16 bits, signed and not, show the same ramp."""
    values = (np.arange(120) % 120).reshape(10, 12).astype(dtype)
    expected = grey_from_dataset(radiograph(values.astype(np.uint16)))
    np.testing.assert_allclose(grey_from_dataset(radiograph(values)), expected, atol=1e-6)


def test_big_endian_is_the_same_picture(radiograph: Factory) -> None:
    """Explicit VR Big Endian differs in the bytes, not in the picture."""
    values = RAMP * 200
    big = radiograph(values, TransferSyntaxUID=ExplicitVRBigEndian)
    big["PixelData"].VR = "OW"
    np.testing.assert_array_equal(grey_from_dataset(big), grey_from_dataset(radiograph(values)))


@pytest.mark.parametrize("high_bit", [11, 13, 15])
def test_unused_bits_do_not_show(radiograph: Factory, high_bit: int) -> None:
    """Overlays in the bits above, and rubbish below, the 12 stored bits are cut off (PS3.5 8.1.1)."""
    stored = (RAMP * 16).astype(np.uint16)
    low = high_bit - 11
    rubbish = np.random.default_rng(0).integers(0, 65536, stored.shape).astype(np.uint16)
    mask = np.uint16(0xFFF << low)
    values = (stored << low) | (rubbish & ~mask)
    clean = radiograph(stored, BitsStored=12, HighBit=11, WindowCenter=2000, WindowWidth=3000)
    dirty = radiograph(values, BitsStored=12, HighBit=high_bit, WindowCenter=2000, WindowWidth=3000)
    np.testing.assert_array_equal(grey_from_dataset(dirty), grey_from_dataset(clean))


def test_signed_values_of_twelve_bits_keep_their_sign(radiograph: Factory) -> None:
    """The sign sits in the highest stored bit, whatever lies above."""
    stored = np.arange(-128, 128, dtype=np.int16).reshape(16, 16)
    values = (stored.astype(np.uint16) & 0x0FFF).astype(np.int16)
    ds = radiograph(values, BitsStored=12, HighBit=11, WindowCenter=0, WindowWidth=100)
    np.testing.assert_allclose(grey_from_dataset(ds), linear(stored, 0, 100), atol=1e-6)


def test_one_bit_images_are_black_and_white(radiograph: Factory) -> None:
    """Bits Allocated 1 packs eight pixels to a byte, the first in the lowest bit (PS3.5 8.1.1)."""
    bits = np.random.default_rng(1).integers(0, 2, (8, 16)).astype(np.uint8)
    ds = radiograph(bits, BitsAllocated=1, BitsStored=1, HighBit=0)
    ds.PixelData = np.packbits(bits, bitorder="little").tobytes()
    np.testing.assert_array_equal(grey_from_dataset(ds), bits.astype(np.float32))


def test_a_blank_image_is_black(radiograph: Factory) -> None:
    """One value everywhere can be shown, as nothing."""
    assert not grey_from_dataset(radiograph(np.full((8, 8), 700, np.uint16))).any()


@pytest.mark.parametrize("empty", ["RescaleSlope", "RescaleIntercept"])
def test_an_empty_slope_or_intercept_counts_as_absent(radiograph: Factory, empty: str) -> None:
    """Some senders write both and fill in neither."""
    values = {"RescaleSlope": 1, "RescaleIntercept": 0, empty: None}
    np.testing.assert_array_equal(
        grey_from_dataset(radiograph(RAMP, **values)),
        grey_from_dataset(radiograph(RAMP, RescaleSlope=1, RescaleIntercept=0)),
    )


@pytest.mark.parametrize(
    "values", [RAMP, RAMP.astype(np.int16) - 128, np.arange(1 << 16, dtype=np.uint16).reshape(256, -1)]
)
@pytest.mark.parametrize(
    ("slope", "intercept"),
    [
        *((slope, "0") for slope in ("0", "nan", "inf", "-inf", "1e400", "1e308", "1e304", "5e303")),
        *(("1", intercept) for intercept in ("nan", "inf", "-inf", "1e300")),
        ("inf", "-inf"),
        ("1e-30", "1000"),
    ],
)
@pytest.mark.parametrize("window", [{}, {"WindowCenter": 40, "WindowWidth": 100}], ids=["no window", "a window"])
def test_a_rescaling_in_which_the_image_is_lost_is_not_believed(
    radiograph: Factory, values: np.ndarray, slope: str, intercept: str, window: dict
) -> None:
    """A slope of 0 would blank the image, and so would what is no number, or too large a one to tell values apart."""
    ds = radiograph(values, **window)
    grey = grey_from_dataset(with_texts(ds, RescaleSlope=slope, RescaleIntercept=intercept))
    np.testing.assert_array_equal(grey, grey_from_dataset(radiograph(values, **window)))


@pytest.mark.parametrize("slope", ["1e-300", "-1e-30", "1e9", "-0.25"])
def test_any_other_rescaling_is_believed(radiograph: Factory, slope: str) -> None:
    """Without a window the greys are the percentiles', whatever the unit."""
    grey = grey_from_dataset(with_texts(radiograph(RAMP), RescaleSlope=slope, RescaleIntercept="0"))
    plain = grey_from_dataset(radiograph(RAMP))
    np.testing.assert_allclose(grey, 1 - plain if slope.startswith("-") else plain, atol=0.01)


def with_texts(ds: Dataset, **texts: str) -> Dataset:
    """Elements of VR DS as they come from a file: what is no legal one is read all the same."""
    for keyword, text in texts.items():
        tag = tag_for_keyword(keyword)
        raw = text.encode().ljust(len(text) + len(text) % 2)
        ds[tag] = RawDataElement(BaseTag(tag), "DS", len(raw), raw, 0, False, True)
    return ds


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Rows": 60000, "Columns": 60000}, "more than"),
        ({"Rows": 0}, "no rows"),
        ({"SamplesPerPixel": 3}, "colour"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour"),
        ({"BitsAllocated": 32}, "32 bits"),
        ({"BitsStored": 14, "HighBit": 9}, "no sense"),
        ({"BitsAllocated": None}, "lacks BitsAllocated"),
        ({"PixelData": b"short"}, "cannot be decoded"),
    ],
)
def test_what_cannot_be_shown_says_why(radiograph: Factory, change: dict[str, object], reason: str) -> None:
    """Every refusal is an UndecodableError with its reason, and comes before memory is taken."""
    with pytest.raises(UndecodableError, match=reason):
        grey_from_dataset(radiograph(RAMP, **change))


def test_a_report_has_no_pixels() -> None:
    """Without Pixel Data there is nothing to decode."""
    with pytest.raises(UndecodableError, match="no pixel data"):
        grey_from_dataset(Dataset())
