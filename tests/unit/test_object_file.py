"""One home for reading kept objects, with one limit on what a deflated one may come to."""

import zlib
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from dicom_node.dimse.transcode import transcode
from dicom_node.errors import PermanentError, UndecodableError
from dicom_node.object_file import LARGEST_INFLATED, open_object, read_object
from tests.dimse_objects import cr, encoded, incoming_bytes, written

READERS = pytest.mark.parametrize("read", [open_object, read_object])


def deflated(content: bytes, *, kept: float = 1.0) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    squeezed = stream.compress(content) + stream.flush()
    return squeezed[: int(len(squeezed) * kept)]


def file_with(folder: Path, dataset: bytes) -> Path:
    return written(folder, incoming_bytes(dataset, syntax=DeflatedExplicitVRLittleEndian))


def bomb(folder: Path) -> Path:
    """A radiograph whose pixel data is long, and whose file is short."""
    head = encoded(cr(PixelData=b""))[:-4]
    length = LARGEST_INFLATED + 1024
    return file_with(folder, deflated(head + length.to_bytes(4, "little") + bytes(length)))


@READERS
def test_a_deflated_object_comes_as_the_explicit_little_endian_one_that_it_was(read, tmp_path: Path) -> None:
    ds = read(file_with(tmp_path, deflated(encoded(cr()))))
    assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert ds.PixelData == cr().PixelData


@READERS
def test_more_than_the_limit_is_refused_and_not_cut_short(read, tmp_path: Path) -> None:
    """A part would pass for an image whose rest is missing."""
    with pytest.raises(UndecodableError, match="inflates to more than"):
        read(bomb(tmp_path))


@READERS
def test_a_deflated_stream_that_ends_too_early_is_refused(read, tmp_path: Path) -> None:
    with pytest.raises(UndecodableError, match="ends too early"):
        read(file_with(tmp_path, deflated(encoded(cr()) + bytes(range(256)) * 64, kept=0.5)))


@READERS
def test_a_data_set_of_very_many_elements_is_refused_soon(read, tmp_path: Path) -> None:
    empty = b"\x09\x00\x10\x00LO\x00\x00"
    item = incoming_bytes(encoded(cr(PixelData=None)) + empty * 30_000, syntax=ExplicitVRLittleEndian)
    with pytest.raises(UndecodableError, match="elements"):
        read(written(tmp_path, item))


def test_a_bomb_cannot_be_rewritten_for_a_peer_that_wants_it_uncompressed(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="inflates to more than"):
        transcode(bomb(tmp_path), ExplicitVRLittleEndian, tmp_path / "out.dcm")


@pytest.mark.parametrize("missing", [1, 3, 200])
@pytest.mark.parametrize("name", ["CT_small.dcm", "ExplVR_BigEnd.dcm", "rtplan.dcm"])
def test_nothing_is_made_of_a_data_set_that_is_cut_short(name: str, missing: int, tmp_path: Path) -> None:
    """pydicom reads on without a word; a copy would hold what is left, and pass for the whole object."""
    content = Path(get_testdata_file(name)).read_bytes()
    path = tmp_path / name
    path.write_bytes(content[:-missing])
    assert len(open_object(path)) > 0
    with pytest.raises(UndecodableError, match="cut short"):
        read_object(path)


def test_nothing_is_made_of_a_data_set_that_ends_within_the_head_of_an_element(tmp_path: Path) -> None:
    content = Path(get_testdata_file("JPEG2000.dcm")).read_bytes()
    path = tmp_path / "cut.dcm"
    path.write_bytes(content[:2205])
    with pytest.raises(UndecodableError, match="cut short"):
        read_object(path)


def test_zeros_behind_the_last_element_are_padding(tmp_path: Path) -> None:
    path = tmp_path / "padded.dcm"
    path.write_bytes(Path(get_testdata_file("CT_small.dcm")).read_bytes() + bytes(3))
    assert "PixelData" in read_object(path)
