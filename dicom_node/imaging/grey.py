"""From a data set to a grey image, as it would be displayed: the pipeline of PS3.3 C.11 and PS3.4 N.2."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_rescale

from dicom_node.errors import UndecodableError, is_of_the_machine
from dicom_node.imaging.decode import stored_values
from dicom_node.imaging.tables import looked_up
from dicom_node.imaging.windows import values_of_interest

BAND = 1 << 19
LARGEST_EXACT = 2.0**53
"""Beyond it, float64 has no room for every whole number."""

SPACINGS = ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
"""Where the shape of a pixel is said, each with the vertical size or distance first (PS3.3 C.7.6.3.1.7, 10.7.1)."""
LEAST_RATIO, HIGHEST_RATIO = 0.2, 5.0
"""No scanner or detector has pixels that are longer than this; a header that says so is wrong."""
SQUARE_ENOUGH = 0.02


def grey_from_dataset(ds: Dataset) -> NDArray[np.float32]:
    """Return the first frame as float32 (H, W) in [0, 1], bright where it would be displayed bright, which is bone.

    Stored values -> padding excluded -> modality LUT -> VOI LUT or window -> presentation shape. Every step is
    pointwise, so it is done on a table of the at most 65,536 values that occur. Padding becomes 0, black. Pixels that
    are not square are made so at the end, by which H or W becomes smaller.

    Raises UndecodableError with the reason, and nothing else but what is of the machine (`is_of_the_machine`).
    """
    stored = stored_values(ds)
    try:
        return _with_square_pixels(_as_displayed(stored, ds), ds)
    except UndecodableError:
        raise
    except Exception as error:  # headers are damaged in more ways than can be named
        if is_of_the_machine(error):
            raise
        reason = f"the grey scale attributes cannot be used: {type(error).__name__}"
        raise UndecodableError(reason) from error


def _as_displayed(stored: NDArray[np.integer], ds: Dataset) -> NDArray[np.float32]:
    lowest, highest = int(stored.min()), int(stored.max())
    values = np.arange(lowest, highest + 1)
    counts = np.zeros(values.shape, np.int64)
    for rows in _bands(stored.shape):
        counts += np.bincount(_places(stored[rows], lowest).ravel(), minlength=values.size)
    padding = _padding(values, ds)
    if counts[~padding].any():
        counts = np.where(padding, 0, counts)
    else:
        padding[:] = False
    modality = _modality_values(values, ds)
    shown = values_of_interest(modality, counts, np.rint(modality).astype(np.int64), ds)
    if _shown_inverted(ds):
        shown = 1.0 - shown
    shown[padding] = 0.0
    table, grey = shown.astype(np.float32), np.empty(stored.shape, np.float32)
    for rows in _bands(stored.shape):
        np.take(table, _places(stored[rows], lowest), out=grey[rows])
    return grey


def _bands(shape: tuple[int, ...]) -> Iterator[slice]:
    """Rows of about BAND pixels at a time: a large radiograph is 100 MB, and numpy would make several of it."""
    at_once = max(1, BAND // max(1, shape[1]))
    return (slice(first, first + at_once) for first in range(0, shape[0], at_once))


def _places(stored: NDArray[np.integer], lowest: int) -> NDArray[np.intp]:
    """Where each stored value stands in the table that begins with `lowest`."""
    return np.asarray(stored.astype(np.intp) - lowest)


def _padding(values: NDArray[np.int64], ds: Dataset) -> NDArray[np.bool_]:
    """Mark the stored values that are padding: a value, or all between it and its limit (PS3.3 C.7.5.1.1.2)."""
    value, limit = _first(ds, "PixelPaddingValue"), _first(ds, "PixelPaddingRangeLimit")
    if value is None:
        return np.zeros(values.shape, dtype=bool)
    ends = [_as_stored(end, ds) for end in (value, value if limit is None else limit)]
    return (values >= min(ends)) & (values <= max(ends))


def _first(ds: Dataset, keyword: str) -> int | None:
    """The first value of an element that should have one; some senders pad with two."""
    value = ds.get(keyword)
    if isinstance(value, MultiValue):
        value = value[0] if value else None
    return None if value is None or value == "" else int(value)


def _as_stored(value: int, ds: Dataset) -> int:
    """Read a padding value written with the wrong sign (US for SS) as the pixels are."""
    bits = int(ds.BitsAllocated)
    if ds.get("PixelRepresentation") == 1 and value >= 1 << (bits - 1):
        return int(value) - (1 << bits)
    if ds.get("PixelRepresentation") == 0 and value < 0:
        return int(value) + (1 << bits)
    return int(value)


def _modality_values(values: NDArray[np.int64], ds: Dataset) -> NDArray[np.float64]:
    if ds.get("ModalityLUTSequence"):
        return looked_up(values, ds.ModalityLUTSequence[0], ds).astype(np.float64)
    slope, intercept = ds.get("RescaleSlope", 1), ds.get("RescaleIntercept", 0)
    if slope in (0, None) or intercept is None:
        return values.astype(np.float64)  # a slope of 0 is a mistake that would make the image blank; empty is absent
    with np.errstate(over="ignore", invalid="ignore"):
        rescaled = np.asarray(apply_rescale(values, ds), dtype=np.float64)
    return rescaled if _keeps_apart(rescaled) else values.astype(np.float64)


def _keeps_apart(rescaled: NDArray[np.float64]) -> bool:
    """Whether no two stored values became one; nan, infinite and vast numbers are as much a mistake as a slope of 0."""
    return bool((np.abs(rescaled) <= LARGEST_EXACT).all() and (np.diff(rescaled) != 0).all())


def _shown_inverted(ds: Dataset) -> bool:
    """Whether the lowest value is displayed white. Presentation LUT Shape says so where it is present.

    Otherwise the Photometric Interpretation does. Never both, as MONOCHROME1 with INVERSE means one inversion.
    """
    shape = str(ds.get("PresentationLUTShape") or "").strip().upper()
    if shape in ("IDENTITY", "INVERSE"):
        return shape == "INVERSE"
    return str(ds.get("PhotometricInterpretation") or "").strip().upper() == "MONOCHROME1"


def _with_square_pixels(grey: NDArray[np.float32], ds: Dataset) -> NDArray[np.float32]:
    """Shrink the finer axis of an image whose pixels are not square, as those of film digitisers may be."""
    ratio = next(filter(None, (_ratio(ds, keyword) for keyword in SPACINGS)), 1.0)
    if abs(ratio - 1.0) <= SQUARE_ENOUGH:
        return grey
    rows, columns = grey.shape
    size = (max(1, round(columns / max(1.0, ratio))), max(1, round(rows * min(1.0, ratio))))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)


def _ratio(ds: Dataset, keyword: str) -> float | None:
    """The height of a pixel by its width, None where the element is absent or no pixel can be like that."""
    try:
        value = ds.get(keyword)
        if not isinstance(value, MultiValue):
            return None
        height, width = (float(each) for each in value)
        return ratio if LEAST_RATIO <= (ratio := height / width) <= HIGHEST_RATIO and height > 0 else None
    except (TypeError, ValueError, ArithmeticError):
        return None
