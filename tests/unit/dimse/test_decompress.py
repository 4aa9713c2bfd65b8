"""Of compressed pixels every byte and every bit comes back; DCMTK compresses and decompresses as the other side."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from dicom_node.dimse import decompress
from dicom_node.dimse.transcode import convert, transcode
from dicom_node.errors import PermanentError, UndecodableError
from tests.dimse_objects import cr, encoded, incoming_bytes, written
from tests.servers.dcmtk import run_dcmtk

RAMP = np.linspace(0, 4095, 64 * 64).astype(np.uint16).reshape(64, 64)
OVERLAY_OF_OLD = RAMP | np.where(np.arange(RAMP.size).reshape(RAMP.shape) % 7, 0, 0x8000).astype(np.uint16)
ENCAPSULATED_UNCOMPRESSED = UID("1.2.840.10008.1.2.1.98")


def image(values: np.ndarray, stored: int | None = None, high: int | None = None, **elements) -> Dataset:
    """An uncompressed CR image of these values, (rows, columns) or (frames, rows, columns)."""
    stored = stored or 8 * values.itemsize
    ds = cr(PixelData=values.tobytes(), BitsAllocated=8 * values.itemsize, BitsStored=stored, **elements)
    ds.Rows, ds.Columns = values.shape[-2:]
    if values.ndim > 2:
        ds.NumberOfFrames = len(values)
    ds.HighBit = stored - 1 if high is None else high
    ds.PixelRepresentation = int(values.dtype.kind == "i")
    ds["PixelData"].VR = "OB" if values.itemsize == 1 else "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def saved(folder: Path, ds: Dataset) -> Path:
    dcmwrite(folder / "in.dcm", ds, enforce_file_format=True)
    return folder / "in.dcm"


def compressed(ds: Dataset, syntax: str) -> Dataset:
    """As pydicom compresses it, which asks for High Bit to be Bits Stored less one."""
    header = {keyword: ds[keyword].value for keyword in ("BitsStored", "HighBit")}
    if syntax == RLELossless:
        ds.BitsStored, ds.HighBit = ds.BitsAllocated, ds.BitsAllocated - 1
    ds.compress(syntax, generate_instance_uid=False, encoding_plugin="pydicom" if syntax == RLELossless else "")
    ds.update(header)
    return ds


def dcmtk_compressed(folder: Path, encoder: str, ds: Dataset) -> Path:
    done = run_dcmtk(encoder, saved(folder, ds), folder / "compressed.dcm")
    assert done.returncode == 0, done.stderr
    return folder / "compressed.dcm"


def converted(folder: Path, path: Path, syntax: str = ExplicitVRLittleEndian) -> Dataset:
    convert(path, syntax, folder / "out.dcm")
    return dcmread(folder / "out.dcm")


@pytest.mark.parametrize("stored", [6, 8, 9])
@pytest.mark.parametrize(
    "values",
    [(RAMP >> 6), (RAMP >> 6).astype(np.int16) - 32, (RAMP >> 6).astype(np.uint32), np.stack([RAMP >> 6, RAMP >> 7])],
    ids=["unsigned", "signed", "32 bits", "two frames"],
)
def test_a_stream_of_few_bits_fills_the_bits_allocated(tmp_path: Path, values: np.ndarray, stored: int) -> None:
    """JPEG 2000 decoders give samples of one byte for it, and half of an object may not pass for the whole."""
    ds = converted(tmp_path, saved(tmp_path, compressed(image(values, stored), JPEG2000Lossless)))
    assert ds.PixelData == values.tobytes()
    assert (ds.BitsAllocated, ds.BitsStored, ds.HighBit) == (8 * values.itemsize, stored, stored - 1)


@pytest.mark.server
def test_a_jpeg_ls_stream_of_eight_bits_fills_the_bits_allocated(tmp_path: Path) -> None:
    values = (RAMP >> 4).astype(np.uint8)
    ds = dcmread(dcmtk_compressed(tmp_path, "dcmcjpls", image(values)))
    ds.BitsAllocated = 16
    assert converted(tmp_path, saved(tmp_path, ds)).PixelData == values.astype("<u2").tobytes()


def test_an_odd_number_of_bytes_is_padded(tmp_path: Path) -> None:
    values = np.arange(9, dtype=np.uint8).reshape(3, 3)
    ds = converted(tmp_path, saved(tmp_path, compressed(image(values), RLELossless)))
    assert (ds.PixelData, ds["PixelData"].VR) == (values.tobytes() + b"\0", "OB")


def test_a_frame_that_is_missing_is_no_success(tmp_path: Path) -> None:
    ds = compressed(image(RAMP), RLELossless)
    ds.NumberOfFrames = 2
    with pytest.raises(PermanentError, match="cannot be decoded"):
        transcode(saved(tmp_path, ds), ExplicitVRLittleEndian, tmp_path / "out.dcm")


@pytest.mark.parametrize(
    ("values", "high"),
    [(RAMP << 4, 15), (OVERLAY_OF_OLD, 11), (OVERLAY_OF_OLD.view(np.int16), 11)],
    ids=["high bit 15", "overlay", "signed overlay"],
)
def test_rle_gives_back_the_bits_beside_the_stored_ones(tmp_path: Path, values: np.ndarray, high: int) -> None:
    """High Bit may be any, and overlays of old lie in unused bits (PS3.5 section 8.1.1)."""
    ds = compressed(image(values, 12, high), RLELossless)
    assert converted(tmp_path, saved(tmp_path, ds)).PixelData == values.tobytes()


@pytest.mark.server
@pytest.mark.parametrize(
    ("values", "stored", "high"),
    [
        (RAMP << 4, 12, 15),
        (OVERLAY_OF_OLD, 12, 11),
        (RAMP, 12, 11),
        (RAMP >> 4, 8, 7),
        (RAMP >> 2, 10, 9),
        ((RAMP << 4).view(np.int16), 12, 15),
    ],
    ids=["high bit 15", "overlay", "12 bits", "8 bits", "10 bits", "signed with high bit 15"],
)
@pytest.mark.parametrize(("encoder", "decoder"), [("dcmcjpeg", "dcmdjpeg"), ("dcmcjpls", "dcmdjpls")])
def test_lossless_jpeg_gives_back_the_bits_that_dcmtk_gives(
    tmp_path: Path, values: np.ndarray, stored: int, high: int, encoder: str, decoder: str
) -> None:
    path = dcmtk_compressed(tmp_path, encoder, image(values, stored, high))
    done = run_dcmtk(decoder, path, tmp_path / "oracle.dcm")
    assert done.returncode == 0, done.stderr
    ours = converted(tmp_path, path).PixelData
    assert ours == dcmread(tmp_path / "oracle.dcm").PixelData
    assert ours == values.tobytes()


ICON = (RAMP >> 4).astype(np.uint8)
SYNTAXES = pytest.mark.parametrize("to_syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])


def with_icon(icon: Dataset) -> Dataset:
    """A compressed image whose icon is what is given, of which the item has the pixels only."""
    ds, item = compressed(image(RAMP), RLELossless), Dataset()
    item.update({element.tag: element for element in icon if element.tag.group in (0x0028, 0x7FE0)})
    ds.IconImageSequence = [item]
    return ds


@SYNTAXES
def test_a_compressed_icon_is_decompressed_as_well(tmp_path: Path, to_syntax: str) -> None:
    path = saved(tmp_path, with_icon(compressed(image(ICON), RLELossless)))
    ds = converted(tmp_path, path, to_syntax)
    assert ds.PixelData == RAMP.tobytes()
    assert not ds.IconImageSequence[0]["PixelData"].is_undefined_length
    assert ds.IconImageSequence[0].PixelData == ICON.tobytes()


@pytest.mark.server
@SYNTAXES
def test_dcmtk_finds_no_compressed_pixels_in_what_goes_uncompressed(tmp_path: Path, to_syntax: str) -> None:
    converted(tmp_path, saved(tmp_path, with_icon(compressed(image(ICON), RLELossless))), to_syntax)
    dump = run_dcmtk("dcmdump", "+P", "PixelData", "+p", tmp_path / "out.dcm").stdout
    assert "IconImageSequence" in dump or "(0088,0200).(7fe0,0010)" in dump
    assert "PixelSequence" not in dump


def test_an_icon_that_is_not_compressed_stays(tmp_path: Path) -> None:
    """An icon may be native whatever the object's syntax is (PS3.5 A.4)."""
    ds = converted(tmp_path, saved(tmp_path, with_icon(image(ICON))))
    assert ds.IconImageSequence[0].PixelData == ICON.tobytes()


def test_an_icon_that_cannot_be_decoded_is_left_out(tmp_path: Path) -> None:
    icon = compressed(image(ICON), RLELossless)
    icon.PixelData = encapsulate([b"no RLE at all"])
    ds = converted(tmp_path, saved(tmp_path, with_icon(icon)))
    assert "IconImageSequence" not in ds
    assert ds.PixelData == RAMP.tobytes()


def test_no_memory_for_an_icon_is_no_reason_to_leave_it_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(_syntax: str) -> None:
        raise MemoryError

    monkeypatch.setattr(decompress, "get_decoder", no_memory)
    with pytest.raises(MemoryError):
        converted(tmp_path, saved(tmp_path, with_icon(compressed(image(ICON), RLELossless))))


def test_compressed_pixels_in_another_sequence_are_refused_with_the_reason(tmp_path: Path) -> None:
    """Whoever reads the ledger is told which of the object's pixels it is that cannot go uncompressed."""
    ds = with_icon(compressed(image(ICON), RLELossless))
    ds.SourceImageSequence = ds.IconImageSequence
    with pytest.raises(PermanentError, match="other than Icon Image Sequence"):
        transcode(saved(tmp_path, ds), ExplicitVRLittleEndian, tmp_path / "out.dcm")


def test_an_object_without_pixels_needs_no_decoder(tmp_path: Path) -> None:
    """A report or a presentation state may be negotiated under JPEG 2000 like any other object."""
    ds = cr(PixelData=None, Rows=None, Columns=None)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
    out = converted(tmp_path, saved(tmp_path, ds))
    assert (out.file_meta.TransferSyntaxUID, out.PatientName) == (ExplicitVRLittleEndian, ds.PatientName)


def test_an_image_that_has_lost_its_pixels_is_not_sent_as_one_without(tmp_path: Path) -> None:
    """A stream whose fragments cannot be told apart may end like this."""
    path = written(tmp_path, incoming_bytes(encoded(cr(PixelData=None)), syntax=JPEG2000Lossless))
    with pytest.raises(PermanentError, match="lost its pixel data"):
        transcode(path, ExplicitVRLittleEndian, tmp_path / "out.dcm")


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95"], ids=["plain", "deflated"])
def test_an_object_whose_pixels_lie_elsewhere_is_refused(tmp_path: Path, syntax: str) -> None:
    """Sent under an uncompressed syntax, a JPIP reference would be an image without pixels."""
    ds = cr(PixelData=None, PixelDataProviderURL="https://192.0.2.1/jpip")
    path = written(tmp_path, incoming_bytes(encoded(ds, syntax), syntax=syntax))
    with pytest.raises(PermanentError, match="JPIP"):
        transcode(path, ExplicitVRLittleEndian, tmp_path / "out.dcm")


@pytest.mark.parametrize("syntax", ["1.2.840.113619.5.2", "1.2.840.10008.1.2.4.999"])
def test_an_object_of_a_private_syntax_is_read_as_nothing_else(tmp_path: Path, syntax: str) -> None:
    """GE's has Implicit VR with pixels in big endian, and pydicom would read it as Explicit VR."""
    path = written(tmp_path, incoming_bytes(encoded(cr(), ImplicitVRLittleEndian), syntax=syntax))
    with pytest.raises(PermanentError, match="private or unknown"):
        transcode(path, ExplicitVRLittleEndian, tmp_path / "out.dcm")


def in_fragments(frames: np.ndarray, pieces: int) -> bytes:
    return encapsulate([frame.tobytes() for frame in frames], fragments_per_frame=pieces)


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize("shape", [(1, 64, 64), (2, 64, 64), (2, 3, 3)])
def test_encapsulated_uncompressed_frames_are_joined(tmp_path: Path, shape: tuple[int, ...], pieces: int) -> None:
    """Each frame's fragments are padded to an even length, and native Pixel Data only as a whole (PS3.5 A.4.11)."""
    values = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    ds = image(values)
    ds.PixelData = in_fragments(values, pieces)
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = ENCAPSULATED_UNCOMPRESSED
    out = converted(tmp_path, saved(tmp_path, ds))
    assert (out.PixelData, out.PhotometricInterpretation) == (values.tobytes(), "MONOCHROME2")


def test_encapsulated_uncompressed_frames_that_are_too_short_are_refused(tmp_path: Path) -> None:
    ds = image(RAMP)
    ds.PixelData = in_fragments(RAMP[None, :32], 1)
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = ENCAPSULATED_UNCOMPRESSED
    with pytest.raises(UndecodableError, match="4096 bytes were decoded where the header tells of 8192"):
        converted(tmp_path, saved(tmp_path, ds))
