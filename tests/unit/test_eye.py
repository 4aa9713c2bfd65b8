"""Looking at one file: what each kind of file comes to."""

import zlib

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGLosslessSV1

from dicom_node.eye import Eye
from dicom_node.header import header_values
from dicom_node.imaging import not_a_radiograph
from dicom_node.instance import Incoming
from dicom_node.model.batching import Batcher
from dicom_node.model.session import Model
from dicom_node.object_file import open_object
from dicom_node.part10 import file_header
from dicom_node.verdict import Outcome
from tests.dicomfiles import dataset_bytes
from tests.radiographs import as_file
from tests.synthetic import bright, dark
from tests.unit.model.tiny import write_tiny_model


@pytest.fixture
def eye(tmp_path):
    model = Model.open(write_tiny_model(tmp_path / "tiny.onnx"))
    with Batcher(model) as batcher:
        yield Eye(model=model, batcher=batcher)


def deflated(path, content: bytes):
    """A file whose data set is `content`, deflated."""
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    incoming = Incoming(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1",
        sop_instance_uid="1.2.3",
        transfer_syntax_uid=DeflatedExplicitVRLittleEndian,
        dataset=squeezed.compress(content) + squeezed.flush(),
        calling_ae="A",
        called_ae="B",
        peer="",
    )
    path.write_bytes(file_header(incoming) + incoming.dataset)
    return path


def test_a_bright_image_is_tagged_and_a_dark_one_abstained_on(eye, tmp_path) -> None:
    assert eye.look(as_file(bright(), tmp_path)).outcome is Outcome.TAGGED
    sighting = eye.look(as_file(dark(), tmp_path))
    assert (sighting.outcome, sighting.region) == (Outcome.ABSTAINED, None)
    assert sighting.recognition is not None


def test_a_deflated_radiograph_is_seen_as_its_plain_twin(eye, tmp_path) -> None:
    plain = as_file(bright(), tmp_path)
    seen = eye.look(deflated(tmp_path / "deflated.dcm", dataset_bytes(plain)))
    assert seen.outcome is Outcome.TAGGED
    assert seen.confidence == pytest.approx(eye.look(plain).confidence)


@pytest.mark.timeout(30)
def test_a_deflate_bomb_is_unreadable_and_costs_no_more_than_its_limit(eye, tmp_path) -> None:
    plain = dataset_bytes(as_file(bright(), tmp_path))
    bomb = deflated(tmp_path / "bomb.dcm", plain + bytes(600 << 20))
    assert bomb.stat().st_size < 2 << 20
    assert eye.look(bomb).outcome in {Outcome.TAGGED, Outcome.UNREADABLE}


def test_no_file_and_no_permission_are_no_property_of_the_image(eye, tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        eye.look(tmp_path / "absent.dcm")


def test_a_broken_file_is_unreadable_with_a_reason(eye, tmp_path) -> None:
    path = tmp_path / "text.dcm"
    path.write_bytes(b"no DICOM at all, only words")
    sighting = eye.look(path)
    assert sighting.outcome is Outcome.UNREADABLE
    assert sighting.reason


def test_an_object_that_is_no_radiograph_never_reaches_the_model(eye, tmp_path) -> None:
    ds = bright()
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    sighting = eye.look(as_file(ds, tmp_path))
    assert (sighting.outcome, sighting.recognition) == (Outcome.NOT_A_RADIOGRAPH, None)


def test_the_values_for_the_rules_leave_bulk_out(eye, tmp_path) -> None:
    values = eye.look(as_file(bright(StationName="ROOM1", ImageType=["ORIGINAL", "PRIMARY"]), tmp_path)).values
    assert values["StationName"] == ("ROOM1",)
    assert values["ImageType"] == ("ORIGINAL", "PRIMARY")
    assert "PixelData" not in values


def test_every_pixel_counts_the_same_when_bulk_is_read_late(eye, tmp_path) -> None:
    """Data sets are opened with deferred bulk: a large image must give the pixels that it has."""
    rows = columns = 600
    pixels = np.full((rows, columns), 4000, np.uint16)
    pixels[:, :60] = 0
    path = as_file(bright(Rows=rows, Columns=columns, PixelData=pixels.tobytes()), tmp_path)
    assert path.stat().st_size > 600_000
    assert pydicom.dcmread(path).pixel_array.shape == (rows, columns)
    assert eye.look(path).outcome is Outcome.TAGGED


def test_pixels_are_not_read_to_judge_a_header(tmp_path) -> None:
    """Sixteen radiographs of 100 MB that wait to be looked at would all be in memory."""
    large = bright(Rows=600, Columns=600, PixelData=bytes(2 * 600 * 600))
    ds = open_object(as_file(large, tmp_path))
    assert header_values(ds)
    assert not_a_radiograph(ds) is None
    assert ds.get_item("PixelData", keep_deferred=True).value is None


def test_a_decoder_that_is_killed_is_no_property_of_the_image(eye, tmp_path, monkeypatch) -> None:
    """The kernel ends what is largest when memory is short: the image is to be looked at again."""
    (tmp_path / "gdcm.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ds = bright()
    header = b"\xff\xd8\xff\xc3\x00\x0b\x10" + ds.Rows.to_bytes(2, "big") + ds.Columns.to_bytes(2, "big")
    ds.PixelData = encapsulate([header + b"\x01\x01\x11\x00"])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    with pytest.raises(InterruptedError):
        eye.look(as_file(ds, tmp_path))
