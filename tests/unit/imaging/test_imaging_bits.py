"""Which bits of a decoded sample are its stored value: the same ones whatever the transfer syntax."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEG2000, UID, JPEG2000Lossless, RLELossless

from dicom_node.errors import UndecodableError
from dicom_node.imaging.codestreams import stated_precision, stated_size
from dicom_node.imaging.decode import stored_values
from tests.servers.dcmtk import run_dcmtk

Factory = Callable[..., Dataset]

RAMP = np.linspace(0, 4095, 64 * 64).astype(np.uint16).reshape(64, 64)
SIGNED = RAMP.astype(np.int16) - 2048
OVERLAY = np.where(np.arange(RAMP.size).reshape(RAMP.shape) % 7, 0, 0x8000).astype(np.uint16)
# As it lies in 16 bits, and what it means by Bits Stored 12 and this High Bit (PS3.5 section 8.1.1).
LAYOUTS = pytest.mark.parametrize(
    ("lies", "high", "means"),
    [
        (RAMP, 11, RAMP),
        (RAMP << 4, 15, RAMP),
        (RAMP | OVERLAY, 11, RAMP),
        (SIGNED, 11, SIGNED),
        (SIGNED << 4, 15, SIGNED),
        (SIGNED & 0x0FFF, 11, SIGNED),
        ((SIGNED & 0x0FFF) | OVERLAY.view(np.int16), 11, SIGNED),
    ],
    ids=["plain", "high bit 15", "overlay", "signed", "signed high bit 15", "sign not extended", "signed overlay"],
)


def compressed(ds: Dataset, syntax: str) -> Dataset:
    plugin = "pydicom" if syntax == RLELossless else "pylibjpeg"
    ds.compress(syntax, encoding_plugin=plugin, generate_instance_uid=False)
    return ds


def dcmtk_compressed(folder: Path, encoder: str, ds: Dataset) -> Dataset:
    ds.SOPInstanceUID = "1.2.3.4"
    dcmwrite(folder / "in.dcm", ds, enforce_file_format=True)
    done = run_dcmtk(encoder, folder / "in.dcm", folder / "out.dcm")
    assert done.returncode == 0, done.stderr
    return dcmread(folder / "out.dcm")


@LAYOUTS
@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_streams_of_all_bits_allocated_mean_what_the_uncompressed_object_does(
    radiograph: Factory, syntax: str, lies: np.ndarray, high: int, means: np.ndarray
) -> None:
    ds = compressed(radiograph(lies), syntax)
    ds.BitsStored, ds.HighBit = 12, high
    np.testing.assert_array_equal(stored_values(ds), means)


@pytest.mark.server
@LAYOUTS
@pytest.mark.parametrize("encoder", ["dcmcjpeg", "dcmcjpls"])
def test_lossless_jpeg_means_what_the_uncompressed_object_does(
    radiograph: Factory, tmp_path: Path, encoder: str, lies: np.ndarray, high: int, means: np.ndarray
) -> None:
    ds = dcmtk_compressed(tmp_path, encoder, radiograph(lies))
    ds.BitsStored, ds.HighBit = 12, high
    np.testing.assert_array_equal(stored_values(ds), means)


@pytest.mark.server
@pytest.mark.parametrize("encoder", ["dcmcjpeg", "dcmcjpls"])
@pytest.mark.parametrize("signed", [False, True])
def test_a_stream_of_eight_bits_may_lie_under_sixteen_allocated(
    radiograph: Factory, tmp_path: Path, encoder: str, signed: bool
) -> None:
    """GDCM asks for the container that the stream needs, not for the header's."""
    values = (RAMP >> 4).astype(np.uint8)
    ds = dcmtk_compressed(tmp_path, encoder, radiograph(values))
    assert stated_precision(get_frame(ds.PixelData, 0, number_of_frames=1)) == 8
    ds.BitsAllocated, ds.PixelRepresentation = 16, int(signed)
    np.testing.assert_array_equal(stored_values(ds), values.view(np.int8) if signed else values)


def test_a_lossy_stream_that_overshoots_the_largest_value_stays_white(radiograph: Factory) -> None:
    """JPEG 2000 of 16 bits may decode 4095 to 4096, whose stored bits alone are black."""
    ds = compressed(radiograph(RAMP | 4096), JPEG2000Lossless)
    ds.file_meta.TransferSyntaxUID = JPEG2000
    ds.BitsStored, ds.HighBit = 12, 11
    np.testing.assert_array_equal(stored_values(ds), np.full_like(RAMP, 4095))


@pytest.mark.parametrize("pieces", [1, 2])
def test_frames_that_are_encapsulated_without_compression_are_read_as_they_are(
    radiograph: Factory, pieces: int
) -> None:
    ds = radiograph(RAMP, BitsStored=12, HighBit=11, NumberOfFrames=2, TransferSyntaxUID=UID("1.2.840.10008.1.2.1.98"))
    ds.PixelData = encapsulate([(RAMP | OVERLAY).tobytes(), bytes(RAMP.nbytes)], fragments_per_frame=pieces)
    before = ds.PixelData
    np.testing.assert_array_equal(stored_values(ds), RAMP)
    assert (ds.PixelData, ds.NumberOfFrames) == (before, 2)


def test_a_private_syntax_is_read_as_nothing_else(radiograph: Factory) -> None:
    ds = radiograph(RAMP)
    ds.file_meta.TransferSyntaxUID = UID("1.2.840.113619.5.2")
    with pytest.raises(UndecodableError, match="private or unknown"):
        stored_values(ds)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def jp2(stream: bytes, rows: int, columns: int) -> bytes:
    """The stream as a JP2 file (ISO 15444-1 annex I); its image header states rows and columns as well."""
    header = box(b"ihdr", struct.pack(">IIHBBBB", rows, columns, 1, 15, 7, 0, 0))
    header += box(b"colr", struct.pack(">BBBI", 1, 0, 0, 17))
    start = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ") + box(b"jp2h", header)
    return start + struct.pack(">I4s", 0, b"jp2c") + stream


def test_a_jpeg_2000_stream_may_lie_in_a_jp2_file(radiograph: Factory) -> None:
    """PS3.5 A.4.4 does not allow it, and some senders do it."""
    ds = compressed(radiograph(RAMP), JPEG2000Lossless)
    ds.PixelData = encapsulate([jp2(get_frame(ds.PixelData, 0, number_of_frames=1), 64, 64)])
    np.testing.assert_array_equal(stored_values(ds), RAMP)


def test_of_a_jp2_file_the_size_counts_that_its_stream_states(radiograph: Factory) -> None:
    """The decoder allocates by it, and the file's own header may say anything."""
    stream = get_frame(compressed(radiograph(RAMP), JPEG2000Lossless).PixelData, 0, number_of_frames=1)
    assert stated_size(jp2(stream, 1, 1)) == (64, 64)


@pytest.mark.parametrize("length", [0, 1, 7])
def test_a_jp2_file_with_a_box_that_ends_nowhere_has_no_size(length: int) -> None:
    """On a length of 0 pydicom's own walk over the boxes stands still for ever."""
    start = jp2(b"", 64, 64)[:12]
    assert stated_size(start + struct.pack(">I4s", length, b"ftyp") + bytes(64)) is None
    assert stated_size(start) is None
