"""From a data set's Pixel Data to its stored values, whatever the transfer syntax.

Decoders, all under permissive licences: pylibjpeg's rle through pydicom, its openjpeg for JPEG 2000 (`jpeg2000.py`),
GDCM for JPEG and JPEG-LS (`jpeg.py`; pyjpegls refuses some sound streams and loops on some damaged ones). Each syntax
has its one decoder, so that what happens to be installed besides changes no pixel.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    RLELossless,
)

from dicom_node.errors import UndecodableError, is_of_the_machine
from dicom_node.imaging.codestreams import refuse_absurd_size, refuse_another_image
from dicom_node.imaging.jpeg import JPEG_SYNTAXES, jpeg_values
from dicom_node.imaging.jpeg2000 import JPEG_2000_SYNTAXES, jpeg2000_values

# pydicom knows no name for it: frames in fragments, as they would lie in native Pixel Data (PS3.5 A.4.11).
ENCAPSULATED_UNCOMPRESSED = UID("1.2.840.10008.1.2.1.98")

LOSSY = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, HTJ2K})
"""May decode to values beyond the largest that can be stored. In the others, bits beside the stored ones are unused."""

NUMBER_OF_FRAMES, PIXEL_DATA = 0x00280008, 0x7FE00010

REQUIRED = ("Rows", "Columns", "BitsAllocated", "PixelRepresentation", "PhotometricInterpretation")


def stored_values(ds: Dataset) -> NDArray[np.integer]:
    """Return the first frame's stored values: (H, W), integers of up to 16 bits, unused bits cleared, sign extended.

    Raises UndecodableError with the reason, and nothing else but what is of the machine (`is_of_the_machine`). Of a
    foreign error the reason gives only the type: pydicom's texts quote the header, and it goes to ledger and log.
    """
    try:
        return _stored_values(ds)
    except UndecodableError:
        raise
    except Exception as error:  # decoders raise whatever they like
        if is_of_the_machine(error):
            raise
        raise UndecodableError(f"the pixel data cannot be decoded: {type(error).__name__}") from error
    except BaseException as error:  # a panic in pylibjpeg-rle is no Exception, and its type has no public name
        if type(error).__name__ != "PanicException":
            raise
        raise UndecodableError("the pixel data cannot be decoded: the decoder panicked") from error


def _stored_values(ds: Dataset) -> NDArray[np.integer]:
    syntax = _checked_syntax(ds)
    values = _samples(ds, syntax)
    return within_stored_bits(values, ds) if syntax in LOSSY else _used_bits(values, ds)


def _samples(ds: Dataset, syntax: UID) -> NDArray[np.integer]:
    """All bits of each sample: which of them are the stored value, pydicom would tell by Bits Stored alone."""
    assumed: dict[str, Any] = {"samples_per_pixel": 1, "bits_stored": _stored_and_high_bit(ds)[0]}
    assumed |= {"index": 0, "raw": True, "correct_unused_bits": False}
    assumed["photometric_interpretation"] = _photometric(ds)
    if syntax == ENCAPSULATED_UNCOMPRESSED:
        return pixel_array(_with_native_frame(ds), **assumed)
    if not syntax.is_encapsulated:
        return pixel_array(ds, **assumed)
    if syntax == RLELossless:
        return pixel_array(ds, decoding_plugin="pylibjpeg", **assumed)
    if syntax not in JPEG_SYNTAXES and syntax not in JPEG_2000_SYNTAXES:
        raise UndecodableError(f"no decoder for {syntax.name}")
    stream = _first_frame(ds)
    refuse_another_image(stream, int(ds.Rows), int(ds.Columns), samples=1)
    return jpeg_values(stream, syntax, ds) if syntax in JPEG_SYNTAXES else jpeg2000_values(stream, ds)


def _photometric(ds: Dataset) -> str:
    """In capitals, as it should be and not every maker knows."""
    return str(ds.PhotometricInterpretation).strip().upper()


def _with_native_frame(ds: Dataset) -> Dataset:
    native = Dataset({tag: element for tag, element in ds.items() if tag not in (NUMBER_OF_FRAMES, PIXEL_DATA)})
    native.file_meta = FileMetaDataset()
    native.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    native.PixelData = _first_frame(ds)
    return native


def within_stored_bits(values: NDArray[np.integer], ds: Dataset) -> NDArray[np.integer]:
    """Keep what a lossy decoder overshot at the stored bits' limit, where masking would turn white into black."""
    stored, high = _stored_and_high_bit(ds)
    if ds.PixelRepresentation or high != stored - 1:
        return _used_bits(values, ds)
    return np.asarray(np.minimum(values, (1 << stored) - 1)) if stored < 8 * values.itemsize else values


def _checked_syntax(ds: Dataset) -> UID:
    """Refuse what cannot or must not be decoded, before any pixel is touched."""
    if "PixelData" not in ds:
        raise UndecodableError("the object has no pixel data")
    missing = [keyword for keyword in REQUIRED if ds.get(keyword) is None]
    if missing:
        raise UndecodableError(f"the header lacks {', '.join(missing)}")
    if ds.get("SamplesPerPixel") not in (None, 1) or not _photometric(ds).startswith("MONOCHROME"):
        raise UndecodableError("the image is in colour")
    if ds.BitsAllocated not in (1, 8, 16):
        raise UndecodableError(f"{int(ds.BitsAllocated)} bits allocated to a pixel are not supported")
    refuse_absurd_size(int(ds.Rows), int(ds.Columns))
    syntax = getattr(ds, "file_meta", Dataset()).get("TransferSyntaxUID")
    if syntax is None:
        raise UndecodableError("the transfer syntax is unknown")
    if not UID(syntax).is_transfer_syntax:
        raise UndecodableError("the transfer syntax is private or unknown")
    return UID(syntax)


def _first_frame(ds: Dataset) -> bytes:
    return get_frame(ds.PixelData, 0, number_of_frames=int(ds.get("NumberOfFrames") or 1))


def _stored_and_high_bit(ds: Dataset) -> tuple[int, int]:
    """Bits Stored and High Bit. One that is missing follows from the other; without both, all allocated bits count."""
    high = ds.get("HighBit")
    stored = int(ds.get("BitsStored") or (ds.BitsAllocated if high is None else high + 1))
    return stored, stored - 1 if high is None else int(high)


def _used_bits(values: NDArray[np.integer], ds: Dataset) -> NDArray[np.integer]:
    """Drop what lies outside the stored bits, such as overlays of old (PS3.5 8.1.1), and extend the sign."""
    stored, high = _stored_and_high_bit(ds)
    allocated = 8 * values.itemsize
    if ds.BitsAllocated == 1 or (stored == allocated and high == stored - 1):
        return values
    if not 0 < stored <= high + 1 <= allocated:
        raise UndecodableError(f"{stored} bits stored with high bit {high} of {allocated} make no sense")
    return (values << (allocated - 1 - high)) >> (allocated - stored)  # numpy extends the sign of signed values
