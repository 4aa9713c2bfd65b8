"""Lookup tables of data sets: the Modality and the VOI LUT, PS3.3 C.11.1.1 and C.11.2.1.1.

pydicom's own look-up wraps around where a VOI LUT of 8 bits is longer than 256 entries or its input wider, and knows
only 8 and 16 bits in a Modality LUT.
"""

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

FEWEST_BITS, MOST_BITS = 8, 16


def looked_up(values: NDArray[np.int64], item: Dataset, ds: Dataset) -> NDArray[np.uint16]:
    """Return what the table in `item`, of a LUT sequence of `ds`, has for each of the values.

    Values before the first one mapped get the first entry, those after the last one the last. Raises whatever it likes
    when the table is damaged.
    """
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    count = count % 65536 or 65536
    if not FEWEST_BITS <= bits <= MOST_BITS:
        raise ValueError(f"a lookup table's entries cannot have {bits} bits")
    if first > max(int(values.max()), 32767):
        first -= 65536  # a negative value that was written, or read, as unsigned
    table = _entries(item, ds, count, bits)
    return table[np.clip(values - first, 0, count - 1)]


def _entries(item: Dataset, ds: Dataset, count: int, bits: int) -> NDArray[np.uint16]:
    """The entries as they are stored: one to a word, or two of 8 bits, the first of them in the lower half."""
    data = item.LUTData
    if isinstance(data, bytes):
        order = "<" if ds.file_meta.TransferSyntaxUID.is_little_endian else ">"
        words = np.frombuffer(data + bytes(len(data) % 2), f"{order}u2").astype(np.uint16)
    else:
        words = (np.atleast_1d(np.asarray(data, np.int64)) & 0xFFFF).astype(np.uint16)
    if bits == FEWEST_BITS and words.size == (count + 1) // 2:
        words = np.stack([words & 0xFF, words >> 8], axis=1).ravel()
    if bits == FEWEST_BITS and words.max() > 0xFF:
        raise ValueError("a lookup table has entries of more than its 8 bits")
    return words
