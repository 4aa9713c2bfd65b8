"""Taking the compression from a data set's Pixel Data and from that of its icons, to the last stored bit."""

from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import get_expected_length
from pydicom.tag import BaseTag
from pydicom.uid import UID, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1, RLELossless

from dicom_node.errors import PermanentError, UndecodableError, is_of_the_machine
from dicom_node.imaging.decode import ENCAPSULATED_UNCOMPRESSED, within_stored_bits
from dicom_node.imaging.jpeg import JPEG_SYNTAXES, jpeg_values

_ICONS = BaseTag(0x00880200)
# They tell where the frames of compressed Pixel Data begin, and have no place beside others (PS3.3 C.7.6.3).
_OFFSETS = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths", "EncapsulatedPixelDataValueTotalLength")


def decompress(ds: Any) -> None:
    """Leave native little endian Pixel Data in a data set of an encapsulated syntax, whose file meta stays as it is.

    A data set without Pixel Data, such as a report that was negotiated so, has nothing to decompress. An Icon Image
    Sequence that cannot be decoded is left out, being Type 3 wherever it may stand. Raises PermanentError for
    compressed Pixel Data in any other sequence, UndecodableError, and whatever pydicom and the decoders raise.
    """
    syntax = UID(ds.file_meta.TransferSyntaxUID)
    _decompress_icons(ds, syntax)
    if "PixelData" in ds:
        _decompress_pixels(ds, syntax)
    elif "Rows" in ds:
        raise UndecodableError("the image has lost its pixel data")


def _decompress_icons(ds: Dataset, syntax: UID) -> None:
    for tag in [tag for tag, element in ds.items() if element.VR == "SQ"]:
        items = ds[tag].value
        for item in items:
            _decompress_icons(item, syntax)
        compressed = [item for item in items if "PixelData" in item and item["PixelData"].is_undefined_length]
        if compressed and tag != _ICONS:
            raise PermanentError("a sequence other than Icon Image Sequence holds compressed Pixel Data")
        if not all(_is_decompressed(icon, syntax) for icon in compressed):
            del ds[tag]


def _is_decompressed(icon: Any, syntax: UID) -> bool:
    icon.file_meta = FileMetaDataset()  # where pydicom looks for the syntax
    icon.file_meta.TransferSyntaxUID = syntax
    try:
        _decompress_pixels(icon, syntax)
    except BaseException as error:  # a panic in pylibjpeg-rle is no Exception
        if is_of_the_machine(error):
            raise
        return False
    finally:
        del icon.file_meta
    return True


def _decompress_pixels(ds: Any, syntax: UID) -> None:
    if syntax == ENCAPSULATED_UNCOMPRESSED:
        pixels = _joined(ds)
    elif _needs_own_decoding(ds, syntax):
        pixels = _of_extended(ds)
    else:
        pixels = _decoded(ds, syntax)
    length = get_expected_length(ds)
    if len(pixels) != length:
        raise UndecodableError(f"{len(pixels)} bytes were decoded where the header tells of {length}")
    ds.PixelData = pixels + bytes(length % 2)
    ds["PixelData"].VR = "OB" if ds.BitsAllocated <= 8 else "OW"
    ds["PixelData"].is_undefined_length = False
    for keyword in _OFFSETS:
        if keyword in ds:
            delattr(ds, keyword)


def _decoded(ds: Any, syntax: UID) -> bytes:
    """As one array: a stream of 8 bits fills samples of 16, which frame by frame pydicom would leave at 8."""
    options: dict[str, Any] = {"as_rgb": False, "decoding_plugin": "gdcm" if syntax in JPEG_SYNTAXES else ""}
    values, became = get_decoder(syntax).as_array(ds, **options, **_every_bit(ds, syntax))
    # Decoders give every pixel its own chrominance, and pydicom leaves the name of the subsampled form.
    colours = became["photometric_interpretation"]
    ds.PhotometricInterpretation = "YBR_FULL" if colours == "YBR_FULL_422" else colours
    if ds.SamplesPerPixel > 1:
        ds.PlanarConfiguration = became["planar_configuration"]
    if "NumberOfFrames" in ds or became["number_of_frames"] != 1:
        ds.NumberOfFrames = became["number_of_frames"]
    return bytes(values.tobytes())


def _every_bit(ds: Dataset, syntax: UID) -> dict[str, Any]:
    """What keeps pydicom and GDCM from clearing bits beside the stored ones, such as overlays of old (PS3.5 8.1.1).

    They take High Bit for Bits Stored less one. Signed values are left to them where that is so: they extend the sign.
    """
    if syntax == RLELossless:
        return {"correct_unused_bits": False}
    extends = ds.PixelRepresentation == 1 and ds.get("HighBit") == ds.BitsStored - 1
    return {"bits_stored": ds.BitsAllocated} if syntax in (JPEGLossless, JPEGLosslessSV1) and not extends else {}


def _joined(ds: Dataset) -> bytes:
    """The frames of Encapsulated Uncompressed (PS3.5 A.4.11), each without the byte that makes its fragments even."""
    count = int(ds.get("NumberOfFrames") or 1)
    size = get_expected_length(ds) // count
    return b"".join(frame[:size] for frame in generate_frames(ds.PixelData, number_of_frames=count))


def _needs_own_decoding(ds: Dataset, syntax: UID) -> bool:
    """JPEG Extended of 12 bits: GDCM decodes it, but pydicom does not let it."""
    grey = str(ds.get("PhotometricInterpretation", "")).startswith("MONOCHROME")
    return bool(syntax == JPEGExtended12Bit and grey and ds.get("BitsAllocated") == 16)


def _of_extended(ds: Dataset) -> bytes:
    frames = generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames") or 1))
    return b"".join(within_stored_bits(jpeg_values(f, JPEGExtended12Bit, ds), ds).tobytes() for f in frames)
