"""Grey images from ordinary picture files, for training and for trying things out."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dicom_node.errors import UndecodableError
from dicom_node.imaging.codestreams import JPEG, PNG, refuse_absurd_size, stated_size


def picture_from_file(path: str | Path) -> NDArray[np.float32]:
    """Return a PNG or JPEG as float32 (H, W) in [0, 1]; colour becomes luminance, 16 bit pictures keep their depth.

    Raises UndecodableError with the reason.
    """
    try:
        stream = Path(path).read_bytes()
    except OSError as error:
        raise UndecodableError(f"the picture cannot be read: {error.strerror}") from error
    if not stream.startswith((PNG, JPEG)):
        raise UndecodableError("the file is neither a PNG nor a JPEG picture")
    size = stated_size(stream)
    if size is None:
        raise UndecodableError("the picture ends before it tells its size")
    refuse_absurd_size(*size)
    return _decoded(stream)


def _decoded(stream: bytes) -> NDArray[np.float32]:
    """Decode as grey; an orientation that a camera noted does not apply to radiographs."""
    flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        grey = cv2.imdecode(np.frombuffer(stream, np.uint8), flags)
    except cv2.error as error:
        raise UndecodableError("the picture cannot be decoded") from error
    if grey is None or grey.dtype not in (np.uint8, np.uint16):
        raise UndecodableError("the picture cannot be decoded")
    return np.asarray(grey, np.float32) / np.float32(255.0 if grey.dtype == np.uint8 else 65535.0)
