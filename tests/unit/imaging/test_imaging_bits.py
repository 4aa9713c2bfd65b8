"""Which bits of a decoded sample are its stored value: the same ones whatever the transfer syntax."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.encaps import get_frame
from pydicom.uid import JPEG2000, JPEG2000Lossless, RLELossless

from dicom_node.imaging.codestreams import stated_precision
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
