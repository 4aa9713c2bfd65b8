"""Values of interest: what a VOI LUT, a window, or else the image's own percentiles make of modality values.

All functions map modality values to [0, 1] and are pointwise, so the caller may hand them a table of values.
"""

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import DigitalXRayImageStorageForProcessing

from dicom_node.imaging.tables import looked_up

Values = NDArray[np.float64]

LOW_PERCENT, HIGH_PERCENT = 0.5, 99.5
LEAST_SPAN = 0.05
"""A window that leaves the middle 98 % of the image within this span of grey shows nearly nothing."""


def window(values: Values, centre: float, width: float, function: str = "LINEAR") -> Values:
    """Window by PS3.3 C.11.2.1.2 and C.11.2.1.3, to [0, 1]. `width` is above 1 for LINEAR and above 0 otherwise."""
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            return 1.0 / (1.0 + np.exp(-4.0 * (values - centre) / width))
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0.0, 1.0)
    return np.clip((values - (centre - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)


def values_of_interest(values: Values, counts: NDArray[np.int64], lut_input: NDArray[np.int64], ds: Dataset) -> Values:
    """Map a table of modality values to [0, 1] as the data set asks, or by percentiles when that shows nothing.

    `counts[i]` pixels have `values[i]`; `lut_input` is the same table as whole numbers for a VOI LUT. When both a LUT
    and a window are given the LUT is used. Objects for processing are always shown by percentiles (PS3.3 C.8.11.3).
    """
    for shown in _as_asked(values, lut_input, ds):
        low, high = percentiles(shown, counts, 1.0, 99.0)
        if high - low >= LEAST_SPAN:
            return shown
    return by_percentiles(values, counts)


def _as_asked(values: Values, lut_input: NDArray[np.int64], ds: Dataset) -> list[Values]:
    if ds.get("SOPClassUID") == DigitalXRayImageStorageForProcessing:
        return []
    if str(ds.get("PresentationIntentType") or "").strip().upper() == "FOR PROCESSING":
        return []
    candidates = (_by_lut(lut_input, ds), _by_window(values, ds))
    return [shown for shown in candidates if shown is not None]


def _by_lut(values: NDArray[np.int64], ds: Dataset) -> Values | None:
    if not ds.get("VOILUTSequence"):
        return None
    try:
        item = ds.VOILUTSequence[0]
        bits = int(item.LUTDescriptor[2])
        return np.clip(looked_up(values, item, ds) / (2.0**bits - 1.0), 0.0, 1.0)
    except Exception:  # noqa: BLE001 - a damaged LUT, in any of its many ways, is no LUT
        return None


def _by_window(values: Values, ds: Dataset) -> Values | None:
    centre, width = _first_number(ds, "WindowCenter"), _first_number(ds, "WindowWidth")
    function = str(ds.get("VOILUTFunction") or "LINEAR").strip().upper()
    least = 0.0 if function in ("LINEAR_EXACT", "SIGMOID") else 1.0
    # A LINEAR width of 1 is legal, but a threshold, which shows two greys at most.
    if centre is None or width is None or width <= least:
        return None
    return window(values, centre, width, function)


def _first_number(ds: Dataset, keyword: str) -> float | None:
    try:
        value = ds.get(keyword)
        number = float(value if isinstance(value, (int, float, str)) else value[0])
    except (TypeError, ValueError, IndexError):
        return None
    return number if np.isfinite(number) else None


def by_percentiles(values: Values, counts: NDArray[np.int64]) -> Values:
    """Stretch the middle 99 % of the pixels over [0, 1]; an image of one value becomes all 0."""
    low, high = percentiles(values, counts, LOW_PERCENT, HIGH_PERCENT)
    if high <= low:
        low, high = percentiles(values, counts, 0.0, 100.0)
    if high <= low:
        return np.zeros_like(values)
    return np.clip((values - low) / (high - low), 0.0, 1.0)


def percentiles(values: Values, counts: NDArray[np.int64], low: float, high: float) -> tuple[float, float]:
    """Return the two percentiles (nearest rank) of an image from its table of values and their counts."""
    order = np.argsort(values, kind="stable")
    order = order[counts[order] > 0]
    ranks = np.cumsum(counts[order])
    at = np.searchsorted(ranks, [max(1, np.ceil(ranks[-1] * q / 100.0)) for q in (low, high)])
    return float(values[order[at[0]]]), float(values[order[at[1]]])
