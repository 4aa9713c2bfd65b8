"""Transcoding changes the encoding and nothing else; DCMTK's own decoders are the oracle."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import active_children
from pathlib import Path
from struct import pack

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from dicom_node.dimse.transcode import convert, transcode
from dicom_node.errors import PermanentError, TransientError
from dicom_node.object_file import THE_WHOLE, TooManyError
from tests.dimse_objects import bundled_objects, cr, encoded, incoming, incoming_bytes, written
from tests.full_disk import no_file_longer_than
from tests.servers.dcmtk import run_dcmtk
from tests.servers.programs import wait_until


def file_of(folder: Path, name: str) -> Path:
    return written(folder, next(item for found, item in bundled_objects() if found == name))


def test_words_of_pixels_and_overlays_are_turned_from_big_endian(tmp_path: Path) -> None:
    path = written(tmp_path, incoming(syntax=ExplicitVRBigEndian, PixelData=b"\x01\x02" * 4))
    ds = dcmread(transcode(path, ExplicitVRLittleEndian, tmp_path / "out.dcm"))
    assert ds.PixelData == b"\x02\x01" * 4
    assert (ds.Rows, ds.SOPInstanceUID, ds.BodyPartExamined) == (2, "1.2.3.4", "HAND")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_there_and_back_between_implicit_and_explicit_gives_the_same_elements(tmp_path: Path, syntax: str) -> None:
    path = file_of(tmp_path, "CT_small.dcm")
    ds = dcmread(transcode(path, syntax, tmp_path / "out.dcm"))
    original = dcmread(path)
    assert ds.file_meta.TransferSyntaxUID == syntax
    assert [(e.tag, e.value) for e in ds if not e.tag.is_private] == [
        (e.tag, e.value) for e in original if not e.tag.is_private
    ]


@pytest.mark.server
@pytest.mark.parametrize("name", ["MR_small_bigendian.dcm", "image_dfl.dcm", "ExplVR_BigEnd.dcm"])
def test_uncompressed_syntaxes_come_out_as_dcmconv_writes_them(tmp_path: Path, name: str) -> None:
    path = file_of(tmp_path, name)
    done = run_dcmtk("dcmconv", "+te", path, tmp_path / "oracle.dcm")
    assert done.returncode == 0, done.stderr
    ours = dcmread(transcode(path, ExplicitVRLittleEndian, tmp_path / "ours.dcm"))
    oracle = dcmread(tmp_path / "oracle.dcm")
    assert ours.PixelData == oracle.PixelData
    assert ours["PixelData"].VR == oracle["PixelData"].VR


@pytest.mark.server
@pytest.mark.parametrize(
    ("name", "decoder"),
    [
        ("MR_small_RLE.dcm", "dcmdrle"),
        ("SC_rgb_rle_16bit.dcm", "dcmdrle"),
        ("SC_rgb_jpeg_gdcm.dcm", "dcmdjpeg"),
        ("MR_small_jpeg_ls_lossless.dcm", "dcmdjpls"),
    ],
)
def test_lossless_compression_comes_out_as_dcmtk_decodes_it(tmp_path: Path, name: str, decoder: str) -> None:
    path = file_of(tmp_path, name)
    options = ["+cn"] if decoder == "dcmdjpeg" else []
    done = run_dcmtk(decoder, *options, path, tmp_path / "oracle.dcm")
    assert done.returncode == 0, done.stderr
    convert(path, ExplicitVRLittleEndian, tmp_path / "ours.dcm")
    ours, oracle = dcmread(tmp_path / "ours.dcm"), dcmread(tmp_path / "oracle.dcm")
    assert np.array_equal(ours.pixel_array, oracle.pixel_array)
    assert ours.SOPInstanceUID == dcmread(path).SOPInstanceUID


@pytest.mark.server
@pytest.mark.parametrize(
    "name", ["SC_rgb_dcmtk_+eb+cy+np.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_jpeg_no_color_transform.dcm"]
)
def test_lossy_colour_says_in_which_space_its_values_are(tmp_path: Path, name: str) -> None:
    """The values are DCMTK's to within a decoder's rounding, and Photometric Interpretation fits them."""
    path = file_of(tmp_path, name)
    done = run_dcmtk("dcmdjpeg", "+cn", path, tmp_path / "oracle.dcm")
    assert done.returncode == 0, done.stderr
    convert(path, ExplicitVRLittleEndian, tmp_path / "ours.dcm")
    ours, oracle = dcmread(tmp_path / "ours.dcm"), dcmread(tmp_path / "oracle.dcm")
    assert ours.PhotometricInterpretation == oracle.PhotometricInterpretation
    assert np.abs(_bytes_of(ours) - _bytes_of(oracle)).max() <= 2
    assert ours.get("LossyImageCompression") == dcmread(path).get("LossyImageCompression")


def _bytes_of(ds: Dataset) -> np.ndarray:
    assert ds.PlanarConfiguration == 0
    return np.frombuffer(ds.PixelData, np.uint8).astype(int)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_a_child_that_somebody_ended_is_worth_another_try(tmp_path: Path, ending: signal.Signals) -> None:
    """Whoever stops the service, or a kernel short of memory: the object is sound."""
    path = file_of(tmp_path, "MR_small_RLE.dcm")
    with ThreadPoolExecutor(1) as other:
        attempt = other.submit(transcode, path, ExplicitVRLittleEndian, tmp_path / "out.dcm")
        wait_until(lambda: bool(active_children()), what="the child")
        os.kill(active_children()[0].pid, ending)
        with pytest.raises(TransientError, match="look at this machine"):
            attempt.result()


def test_a_compressed_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentError):
        transcode(written(tmp_path, incoming()), "1.2.840.10008.1.2.5", tmp_path / "out.dcm")


def test_a_child_quotes_no_patient_on_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """pydicom warns with the value that it does not like; here the character set, where it could be a name."""
    ds = cr(SpecificCharacterSet="MUELLER", PixelData=encapsulate([b"no RLE at all"]))
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    path = written(tmp_path, incoming_bytes(encoded(ds), syntax=RLELossless))
    with pytest.raises(PermanentError) as refused:
        transcode(path, ExplicitVRLittleEndian, tmp_path / "out.dcm")
    assert "MUELLER" not in str(refused.value) + capfd.readouterr().err


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "CT_small.dcm"])
def test_a_full_disk_is_worth_another_try(tmp_path: Path, name: str) -> None:
    """In the child that decodes, and in this process, which rewrites what needs no decoding."""
    path = file_of(tmp_path, name)
    with no_file_longer_than(4096), pytest.raises(TransientError, match="disk"):
        transcode(path, ExplicitVRLittleEndian, tmp_path / "out.dcm")


@pytest.mark.parametrize("name", ["RG2_JPLY.dcm", "MR1_JPLY.dcm", "NM1_JPLY.dcm"])
def test_jpeg_extended_of_twelve_bits_becomes_what_dcmtk_makes_of_it(shared, tmp_path, name):
    """pydicom refuses to let GDCM decode these, and DCMTK warns about their scan headers; a PACS may want them all."""
    source = shared / "data" / "dicom" / name
    done = run_dcmtk("dcmdjpeg", source, tmp_path / "dcmtk.dcm")
    assert done.returncode == 0, done.stderr
    ours = dcmread(transcode(source, ExplicitVRLittleEndian, tmp_path / "ours.dcm"))
    theirs = dcmread(tmp_path / "dcmtk.dcm")
    np.testing.assert_array_equal(ours.pixel_array, theirs.pixel_array)
    assert ours.SOPInstanceUID == theirs.SOPInstanceUID


def test_an_object_of_very_many_items_is_rewritten_all_the_same(tmp_path: Path) -> None:
    """Ten thousand frames have as many functional groups; this process stays small, and one of its own does it."""
    items = 150_100 * pack("<HHLHHL", 0xFFFE, 0xE000, 8, 0x0008, 0x1155, 0)  # and in each an element without a value
    sequence = pack("<HHL", 0x5200, 0x9230, len(items)) + items
    dataset = encoded(cr(PixelData=None), ImplicitVRLittleEndian) + sequence
    path = written(tmp_path, incoming_bytes(dataset, syntax=ImplicitVRLittleEndian))
    with pytest.raises(TooManyError):
        convert(path, ExplicitVRLittleEndian, tmp_path / "here.dcm", THE_WHOLE)
    out = transcode(path, ExplicitVRLittleEndian, tmp_path / "out.dcm")
    assert out.read_bytes().count(pack("<HHL", 0xFFFE, 0xE000, 8)) == 150_100


def test_an_object_that_takes_all_the_memory_is_refused_for_good(tmp_path: Path) -> None:
    """It was tried again and again, and what the kernel ends first for want of memory may be the node."""
    ds = dcmread(file_of(tmp_path, "MR_small_RLE.dcm"))
    ds.Rows = ds.Columns = 40_000
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    ds.NumberOfFrames = memory // (2 * 40_000**2) + 1
    ds.save_as(tmp_path / "huge.dcm")
    with pytest.raises(PermanentError, match="more than 1/3 of this machine's memory"):
        transcode(tmp_path / "huge.dcm", ExplicitVRLittleEndian, tmp_path / "out")
