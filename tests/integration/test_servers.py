"""The servers that other tests lean on hold what they promise: stock sender, stock receiver, PACS."""

import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from tests.servers.dcmtk import StoreScpProcess, dcmsend, echoscu, storescu
from tests.servers.orthanc import OrthancProcess

pytestmark = pytest.mark.server


@pytest.fixture
def ct() -> Path:
    return Path(str(get_testdata_file("CT_small.dcm")))


def test_storescp_keeps_what_a_stock_sender_sends_it(tmp_path: Path, ct: Path) -> None:
    with StoreScpProcess(tmp_path / "received") as scp:
        sent = storescu(scp.port, [ct])
        assert sent.returncode == 0, sent.stderr
        (arrived,) = scp.files()
    assert dcmread(arrived).PixelData == dcmread(ct).PixelData


def test_storescp_takes_compressed_objects_from_dcmsend(tmp_path: Path) -> None:
    compressed = Path(str(get_testdata_file("JPEG2000.dcm")))
    with StoreScpProcess(tmp_path / "received") as scp:
        sent = dcmsend(scp.port, [compressed])
        assert sent.returncode == 0, sent.stderr
        (arrived,) = scp.files()
    assert dcmread(arrived).file_meta.TransferSyntaxUID == dcmread(compressed).file_meta.TransferSyntaxUID


def test_a_stopped_storescp_refuses_and_a_started_one_answers_again_on_its_port(tmp_path: Path) -> None:
    scp = StoreScpProcess(tmp_path / "received")
    scp.start()
    scp.stop()
    assert echoscu(scp.port).returncode != 0
    scp.start()
    assert echoscu(scp.port).returncode == 0
    scp.stop()


def test_orthanc_stores_and_tells_over_rest_what_it_got(tmp_path: Path, ct: Path) -> None:
    original = dcmread(ct)
    with OrthancProcess(tmp_path) as pacs:
        sent = storescu(pacs.dicom_port, [ct], called=pacs.aet)
        assert sent.returncode == 0, sent.stderr
        (instance,) = pacs.wait_for(1)
        assert pacs.tags(instance)["SOPInstanceUID"] == original.SOPInstanceUID
        assert pacs.find(original.SOPInstanceUID) == [instance]
        (tmp_path / "stored.dcm").write_bytes(pacs.file(instance))
        pacs.delete_all()
        assert pacs.instances() == []
    assert dcmread(tmp_path / "stored.dcm").PixelData == original.PixelData


def test_orthanc_keeps_what_it_has_over_a_restart(tmp_path: Path, ct: Path) -> None:
    pacs = OrthancProcess(tmp_path)
    pacs.start()
    storescu(pacs.dicom_port, [ct], called=pacs.aet)
    before = pacs.wait_for(1)
    pacs.stop()
    pacs.start()
    assert pacs.instances() == before
    pacs.stop()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended with"):
        StoreScpProcess(tmp_path / "received", options=["--no-such-option"]).start()


def test_a_failed_sending_is_told_by_the_exit_status(tmp_path: Path, ct: Path) -> None:
    answer: subprocess.CompletedProcess[str]
    with StoreScpProcess(tmp_path / "received", options=["--refuse"]) as scp:
        answer = storescu(scp.port, [ct])
    assert answer.returncode != 0
