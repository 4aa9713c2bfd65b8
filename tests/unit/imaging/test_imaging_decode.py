"""Every transfer syntax: real files decode, to the right values, or say why not; and nothing else comes out."""

import re
import shutil
import subprocess
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import DataElement, Dataset
from pydicom.data import get_testdata_files
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEG2000Lossless, JPEGExtended12Bit

from dicom_node.errors import UndecodableError
from dicom_node.imaging import grey_from_dataset, not_a_radiograph
from dicom_node.imaging.codestreams import stated_size
from dicom_node.imaging.decode import stored_values

DCMDJPEG = shutil.which("dcmdjpeg")
JPEG_EXTENDED = ("MG1", "MR1", "NM1", "RG2", "RG3", "XA1")


def outcome(path: str | Path) -> str:
    """Return "picture", or the reason; any other exception is the caller's failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = pydicom.dcmread(path, force=True)
        try:
            grey = grey_from_dataset(ds)
        except UndecodableError as error:
            return str(error)
    assert grey.dtype == np.float32
    assert grey.shape == (ds.Rows, ds.Columns)
    assert 0.0 <= grey.min() <= grey.max() <= 1.0
    return "picture"


@pytest.mark.shared
def test_every_shared_grey_object_decodes(shared_dicom: Path) -> None:
    """All of the WG04 samples but the colour ones give a picture; those say that they are in colour."""
    outcomes = {path.name: outcome(path) for path in sorted(shared_dicom.glob("*.dcm"))}
    assert len(outcomes) == 43
    coloured = {name for name, result in outcomes.items() if result == "the image is in colour"}
    assert coloured == {"US1_J2KR.dcm", "US1_RLE.dcm", "VL1_J2KR.dcm", "VL1_RLE.dcm"}
    assert all(result == "picture" for name, result in outcomes.items() if name not in coloured)


def test_everything_pydicom_ships_decodes_or_says_why() -> None:
    """Damaged, odd and foreign objects end in a picture or in UndecodableError with a reason."""
    paths = [path for path in get_testdata_files() if path.endswith(".dcm") and "DICOMDIR" not in path]
    outcomes = [outcome(path) for path in paths]
    assert all(outcomes)
    assert outcomes.count("picture") >= 20


@pytest.mark.shared
@pytest.mark.parametrize("scheme", ["J2KR", "JLSL", "JPLL", "RLE"])
@pytest.mark.parametrize("image", ["RG2", "RG3"])
def test_lossless_syntaxes_give_the_uncompressed_values(shared_dicom: Path, image: str, scheme: str) -> None:
    """JPEG 2000, JPEG-LS, JPEG Lossless and RLE give the stored values of the uncompressed object, bit for bit."""
    compressed = stored_values(pydicom.dcmread(shared_dicom / f"{image}_{scheme}.dcm"))
    plain = stored_values(pydicom.dcmread(shared_dicom / f"{image}_UNC.dcm"))
    np.testing.assert_array_equal(compressed, plain)


@pytest.mark.shared
@pytest.mark.skipif(DCMDJPEG is None, reason="DCMTK's dcmdjpeg is not installed")
@pytest.mark.parametrize("image", JPEG_EXTENDED)
def test_twelve_bit_jpeg_is_what_dcmtk_decodes(shared_dicom: Path, tmp_path: Path, image: str) -> None:
    """12 bit JPEG Extended with wrong scan headers gives DCMTK's values, to within its inverse cosine's rounding."""
    source, target = shared_dicom / f"{image}_JPLY.dcm", tmp_path / "decoded.dcm"
    subprocess.run([str(DCMDJPEG), str(source), str(target)], check=True, capture_output=True, timeout=60)
    ours = stored_values(pydicom.dcmread(source)).astype(np.int32)
    decoded = pydicom.dcmread(target)
    limit = 2**decoded.BitsStored - 1
    theirs = np.minimum(np.frombuffer(decoded.PixelData, "<u2").reshape(ours.shape).astype(np.int32), limit)
    assert np.abs(ours - theirs).max() <= 1


@pytest.mark.shared
def test_twelve_bit_jpeg_is_near_the_uncompressed_object(shared_dicom: Path) -> None:
    """The lossy object shows what the uncompressed one shows."""
    lossy = grey_from_dataset(pydicom.dcmread(shared_dicom / "RG2_JPLY.dcm"))
    plain = grey_from_dataset(pydicom.dcmread(shared_dicom / "RG2_UNC.dcm"))
    assert np.abs(lossy - plain).mean() < 0.01


@pytest.mark.shared
def test_a_stream_larger_than_its_header_says_is_refused(shared_dicom: Path) -> None:
    """A frame header of 65535 x 65535 behind an honest DICOM header never reaches a decoder."""
    ds = pydicom.dcmread(shared_dicom / "NM1_JPLY.dcm")
    stream = get_frame(ds.PixelData, 0, number_of_frames=1)
    at = stream.index(b"\xff\xc1") + 5
    ds.PixelData = encapsulate([stream[:at] + b"\xff\xff\xff\xff" + stream[at + 4 :]])
    with pytest.raises(UndecodableError, match="65535 x 65535"):
        stored_values(ds)


@pytest.mark.shared
def test_a_stream_that_kills_gdcm_is_a_reason(shared_dicom: Path) -> None:
    """A broken length in a JPEG header makes GDCM abort its process; ours goes on."""
    ds = pydicom.dcmread(shared_dicom / "MR1_JPLY.dcm")
    stream = bytearray(get_frame(ds.PixelData, 0, number_of_frames=1))
    stream[84], stream[97], stream[127] = 37, 137, 221
    ds.PixelData = encapsulate([bytes(stream)])
    with pytest.raises(UndecodableError, match="GDCM cannot decode"):
        stored_values(ds)


@pytest.mark.shared
def test_a_damaged_rle_frame_is_a_reason(shared_dicom: Path) -> None:
    """Cut and overwritten RLE frames, on which pylibjpeg-rle may panic rather than raise, are refused or shown."""
    ds = pydicom.dcmread(shared_dicom / "NM1_RLE.dcm")
    sound = get_frame(ds.PixelData, 0, number_of_frames=1)
    dice = np.random.default_rng(0)
    refused = 0
    for _ in range(30):
        stream = bytearray(sound)
        stream[int(dice.integers(64, 300))] = int(dice.integers(0, 256))
        ds.PixelData = encapsulate([bytes(stream[: int(dice.integers(64, len(stream)))])])
        try:
            stored_values(ds)
        except UndecodableError:
            refused += 1
    assert refused > 0


@pytest.mark.parametrize("syntax", [JPEGExtended12Bit, JPEG2000Lossless])
def test_rubbish_in_a_frame_is_a_reason(radiograph: Callable[..., Dataset], syntax: str) -> None:
    """Bytes that are no image are refused with a sentence on one line."""
    ds = radiograph(np.zeros((8, 8), np.uint16), PixelData=encapsulate([b"this is no image at all"]))
    ds.file_meta.TransferSyntaxUID = syntax
    with pytest.raises(UndecodableError) as refused:
        stored_values(ds)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize(
    "missing", [["SamplesPerPixel"], ["BitsStored"], ["HighBit"], ["SamplesPerPixel", "BitsStored", "HighBit"]]
)
def test_what_the_header_lacks_is_assumed(radiograph: Callable[..., Dataset], missing: list[str], empty: bool) -> None:
    """Grey, all bits used or as many as the other element says: and only here, the object stays as it is."""
    values = (np.arange(64, dtype=np.uint16) * 63).reshape(8, 8)
    ds = radiograph(values, BitsStored=12, HighBit=11)
    for keyword in missing:
        setattr(ds, keyword, None)
        if not empty:
            delattr(ds, keyword)
    before = deepcopy(ds)
    assert not_a_radiograph(ds) is None
    np.testing.assert_array_equal(stored_values(ds), values)
    assert ds == before


@pytest.mark.shared
@pytest.mark.parametrize("scheme", ["J2KR", "JLSL", "JPLL", "RLE"])
def test_what_the_header_of_a_compressed_object_lacks_is_assumed(shared_dicom: Path, scheme: str) -> None:
    ds = pydicom.dcmread(shared_dicom / f"RG3_{scheme}.dcm")
    expected = stored_values(ds)
    del ds.SamplesPerPixel, ds.BitsStored, ds.HighBit
    np.testing.assert_array_equal(stored_values(ds), expected)


@pytest.mark.parametrize(
    "elements",
    [{"PhotometricInterpretation": "MONOCHROME^MUELLER"}, {"BitsStored": "MUELLER"}, {"BitsAllocated": "MUELLER"}],
)
def test_a_reason_quotes_no_values(radiograph: Callable[..., Dataset], elements: dict) -> None:
    """pydicom names what it does not like, which may be anything that stands in the header."""
    ds = radiograph(np.zeros((8, 8), np.uint16))
    for keyword, value in elements.items():
        ds[keyword] = DataElement(keyword, "LO" if isinstance(value, str) else "OW", value)
    with pytest.raises(UndecodableError) as refused:
        stored_values(ds)
    assert re.fullmatch(r"the pixel data cannot be decoded: \w+", str(refused.value))


@pytest.mark.shared
@pytest.mark.parametrize("name", ["RG2_JPLY", "RG2_JPLL", "RG2_JLSL", "RG2_J2KR"])
def test_streams_tell_their_size(shared_dicom: Path, name: str) -> None:
    """The size is read from JPEG, JPEG-LS and JPEG 2000 headers without decoding, and is None in a cut header."""
    ds = pydicom.dcmread(shared_dicom / f"{name}.dcm")
    stream = get_frame(ds.PixelData, 0, number_of_frames=1)
    assert stated_size(stream) == (ds.Rows, ds.Columns)
    assert stated_size(stream[:6]) is None
