"""JPEG by the DCT, lossless JPEG and JPEG-LS, of 8 to 16 bits, through GDCM in a process of its own."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import (
    UID,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from dicom_node.errors import UndecodableError
from dicom_node.imaging.child import decoded_in_child
from dicom_node.imaging.codestreams import stated_precision

JPEG_SYNTAXES = frozenset(
    {
        JPEGBaseline8Bit,
        JPEGExtended12Bit,
        JPEGLossless,
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEGLSNearLossless,
    }
)
CPU_SECONDS = 30
"""The largest radiographs take 2; a damaged JPEG-LS stream can keep a decoder busy for ever."""
_CHILD = Path(__file__).with_name("gdcm_child.py")


def jpeg_values(stream: bytes, syntax: UID, ds: Dataset) -> NDArray[np.integer]:
    """Return the frame's values (H, W) as the stream holds them; `ds` tells their size, container and sign.

    GDCM, as DCMTK, only warns about the wrong spectral selection that some encoders wrote into their scan headers. A
    damaged stream costs the child process, not this one. Raises UndecodableError, and an OSError with a number when it
    was the machine that kept the child from its work, so that trying again can help.
    """
    signed, shape = int(ds.PixelRepresentation), (int(ds.Rows), int(ds.Columns))
    container, precision = _container_and_precision(stream, syntax, ds)
    words = [str(CPU_SECONDS), str(syntax), *map(str, (*shape, container, precision, signed))]
    native = decoded_in_child(_CHILD, words, stream, decoder="GDCM")
    width, rest = divmod(len(native), shape[0] * shape[1])
    if rest or width not in (1, 2):
        raise UndecodableError("GDCM cannot decode this JPEG stream")
    values = np.frombuffer(native, f"<{'i' if signed else 'u'}{width}").reshape(shape)
    return values.astype(f"{values.dtype.kind}{max(width, int(ds.BitsAllocated) // 8)}", copy=False)


def _container_and_precision(stream: bytes, syntax: UID, ds: Dataset) -> tuple[int, int]:
    """Bits to a sample that GDCM needs to be told so that all bits of the stream come out."""
    allocated = int(ds.BitsAllocated)
    if syntax in (JPEGLSLossless, JPEGLSNearLossless):
        precision = stated_precision(stream) or allocated
        return 8 if precision <= 8 else 16, precision  # as many bytes as GDCM decodes to, however many are allocated
    if syntax in (JPEGLossless, JPEGLosslessSV1):
        return allocated, allocated  # else it clears what lies beside Bits Stored, and High Bit may be any
    if syntax == JPEGExtended12Bit and allocated == 16:
        return allocated, 12  # however few the header says are stored
    return allocated, int(ds.get("BitsStored") or allocated)
