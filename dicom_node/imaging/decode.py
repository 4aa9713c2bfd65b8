"""From a data set's Pixel Data to its stored values, whatever the transfer syntax.

Decoders, all under permissive licences: GDCM, pylibjpeg's openjpeg and rle, pyjpegls, through pydicom. A user who
installs another one that pydicom knows gets it used as well.
"""

import gdcm  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, JPEGExtended12Bit, RLELossless

from dicom_node.errors import UndecodableError
from dicom_node.imaging.codestreams import refuse_absurd_size, stated_size

REASON_LENGTH = 200
REQUIRED = ("Rows", "Columns", "BitsAllocated", "PixelRepresentation", "PhotometricInterpretation")


def stored_values(ds: Dataset) -> NDArray[np.integer]:
    """Return the first frame's stored values: (H, W), integers of up to 16 bits, unused bits cleared.

    Raises UndecodableError, and nothing else, with the reason.
    """
    try:
        return _stored_values(ds)
    except UndecodableError:
        raise
    except Exception as error:  # decoders raise whatever they like
        raise UndecodableError(f"the pixel data cannot be decoded: {_one_line(error)}") from error


def _stored_values(ds: Dataset) -> NDArray[np.integer]:
    syntax = _checked_syntax(ds)
    if not syntax.is_encapsulated:
        return _used_bits(pixel_array(ds, index=0, raw=True, correct_unused_bits=False), ds)
    if syntax != RLELossless:
        _check_codestream(ds)
    if syntax == JPEGExtended12Bit and ds.BitsAllocated == 16:
        return _jpeg_extended(ds)
    return pixel_array(ds, index=0, raw=True)


def _checked_syntax(ds: Dataset) -> UID:
    """Refuse what cannot or must not be decoded, before any pixel is touched."""
    if "PixelData" not in ds:
        raise UndecodableError("the object has no pixel data")
    missing = [keyword for keyword in REQUIRED if ds.get(keyword) is None]
    if missing:
        raise UndecodableError(f"the header lacks {', '.join(missing)}")
    if ds.get("SamplesPerPixel", 1) != 1 or not str(ds.PhotometricInterpretation).startswith("MONOCHROME"):
        raise UndecodableError("the image is in colour")
    if ds.BitsAllocated not in (1, 8, 16):
        raise UndecodableError(f"{ds.BitsAllocated} bits allocated to a pixel are not supported")
    refuse_absurd_size(int(ds.Rows), int(ds.Columns))
    syntax = getattr(ds, "file_meta", Dataset()).get("TransferSyntaxUID")
    if syntax is None:
        raise UndecodableError("the transfer syntax is unknown")
    return UID(syntax)


def _check_codestream(ds: Dataset) -> None:
    size = stated_size(_first_frame(ds))
    if size is not None and size != (ds.Rows, ds.Columns):
        raise UndecodableError(f"the compressed stream has {size[0]} x {size[1]} pixels, the header says otherwise")


def _first_frame(ds: Dataset) -> bytes:
    return get_frame(ds.PixelData, 0, number_of_frames=int(ds.get("NumberOfFrames") or 1))


def _used_bits(values: NDArray[np.integer], ds: Dataset) -> NDArray[np.integer]:
    """Drop what lies outside the stored bits, such as overlays of old (PS3.5 8.1.1), and extend the sign."""
    allocated, stored = int(ds.BitsAllocated), int(ds.get("BitsStored") or ds.BitsAllocated)
    high = int(ds.get("HighBit", stored - 1))
    if allocated == 1 or (stored == allocated and high == stored - 1):
        return values
    if not 0 < stored <= high + 1 <= allocated:
        raise UndecodableError(f"{stored} bits stored with high bit {high} of {allocated} make no sense")
    return (values << (allocated - 1 - high)) >> (allocated - stored)  # numpy extends the sign of signed values


def _jpeg_extended(ds: Dataset) -> NDArray[np.integer]:
    """Decode 12 bit JPEG with GDCM itself: pydicom does not let GDCM try, as older ones could not.

    GDCM only warns, as DCMTK does, about the wrong spectral selection in the scan headers of well-known old encoders.
    """
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(_first_frame(ds))
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((ds.Columns, ds.Rows, 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(JPEGExtended12Bit))))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, 12, 11, int(ds.PixelRepresentation)))
    buffer = image.GetBuffer()
    if buffer is None:
        raise UndecodableError("GDCM cannot decode this JPEG Extended stream")
    # GDCM's wrapper hands bytes over as text
    values = np.frombuffer(buffer.encode("utf-8", "surrogateescape"), "<i2" if ds.PixelRepresentation else "<u2")
    return values.reshape(ds.Rows, ds.Columns)


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:REASON_LENGTH] or type(error).__name__
