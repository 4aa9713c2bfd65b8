"""JPEG 2000 and High-Throughput JPEG 2000, of 1 to 16 bits, through OpenJPEG in a process of its own."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.utils import get_j2k_parameters
from pydicom.uid import HTJ2K, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, JPEG2000Lossless

from dicom_node.errors import UndecodableError
from dicom_node.imaging.child import decoded_in_child

JPEG_2000_SYNTAXES = frozenset({JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K})

CPU_SECONDS = 60
"""The largest radiographs take some 10."""
BYTES_PER_PIXEL = 32
BYTES_BESIDE = 256 << 20
"""The memory that a sound stream can need: OpenJPEG takes about half of it for an image of one sample to a pixel."""
_CHILD = Path(__file__).with_name("openjpeg_child.py")


def jpeg2000_values(stream: bytes, ds: Dataset) -> NDArray[np.integer]:
    """Return the frame's values (H, W) as the stream holds them; `ds` tells their size, container and sign.

    Raises as `jpeg_values`. The stream's header was found to state the same size (`refuse_another_image`).
    """
    shape, sign = (int(ds.Rows), int(ds.Columns)), "i" if ds.PixelRepresentation else "u"
    memory = BYTES_BESIDE + 2 * len(stream) + BYTES_PER_PIXEL * shape[0] * shape[1]
    native = decoded_in_child(_CHILD, [str(CPU_SECONDS), str(memory)], stream, decoder="OpenJPEG")
    width, rest = divmod(len(native), shape[0] * shape[1])
    container = max(8, int(ds.BitsAllocated)) // 8
    if rest or not 1 <= width <= container:
        raise UndecodableError("OpenJPEG cannot decode this stream")
    values = np.frombuffer(native, f"<{sign}{width}").reshape(shape)
    return _signed_as_header(values.astype(f"{sign}{container}"), stream)


def _signed_as_header(values: NDArray[np.integer], stream: bytes) -> NDArray[np.integer]:
    """Many makers write a stream that is signed otherwise than the header says, which holds: the bits above the
    stream's precision follow from that.
    """
    told, signed = get_j2k_parameters(stream), values.dtype.kind == "i"
    unused = 8 * values.itemsize - int(told.get("precision", 0) or 8 * values.itemsize)
    return values if bool(told.get("is_signed", signed)) == signed or unused <= 0 else (values << unused) >> unused
