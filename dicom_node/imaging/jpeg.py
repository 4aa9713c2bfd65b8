"""JPEG by the DCT, lossless JPEG and JPEG-LS, of 8 to 16 bits, through GDCM in a process of its own."""

import subprocess
import sys
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
TIMEOUT_SECONDS = 30.0
"""The largest radiographs take 2 s; a damaged JPEG-LS stream can keep a decoder busy for ever."""

_CHILD = Path(__file__).with_name("gdcm_child.py")


def jpeg_values(stream: bytes, syntax: UID, ds: Dataset) -> NDArray[np.integer]:
    """Return the frame's values (H, W) as the stream holds them; `ds` tells their size, container and sign.

    JPEG Extended holds samples of 12 bits however few the header says are stored. GDCM, as DCMTK, only warns about
    the wrong spectral selection that some encoders wrote into their scan headers. A damaged stream costs the child
    process, not this one. Raises UndecodableError.
    """
    allocated, signed = int(ds.BitsAllocated), int(ds.PixelRepresentation)
    stored = 12 if syntax == JPEGExtended12Bit and allocated == 16 else int(ds.get("BitsStored") or allocated)
    shape = (int(ds.Rows), int(ds.Columns))
    words = [str(syntax), *map(str, (*shape, allocated, stored, signed))]
    try:
        child = subprocess.run(  # noqa: S603 - our own file, and words made of numbers and a known UID
            [sys.executable, "-P", str(_CHILD), *words],
            check=False,
            input=stream,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise UndecodableError(f"GDCM did not decode the JPEG stream within {TIMEOUT_SECONDS:.0f} s") from error
    width, rest = divmod(len(child.stdout), shape[0] * shape[1])
    if child.returncode != 0 or rest or width not in (1, 2):
        raise UndecodableError("GDCM cannot decode this JPEG stream")
    return np.frombuffer(child.stdout, f"<{'i' if signed else 'u'}{width}").reshape(shape)
