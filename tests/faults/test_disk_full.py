"""A disk that fills up while senders send: refused with A700 in time, nothing half-written, and on by itself."""

import os
from pathlib import Path
from random import Random

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from dicom_node.spool_mark import MARK
from tests.configurations import destination, model
from tests.faults.account import account_of, arrived_at_storescp
from tests.faults.objects import Sample, new_sample
from tests.faults.senders import Senders
from tests.full_disk import small_disk
from tests.servers.dcmtk import StoreScpProcess
from tests.servers.node import NodeProcess
from tests.servers.programs import wait_until
from tests.unit.model.tiny import write_tiny_model

pytestmark = [pytest.mark.server, pytest.mark.slow]

DISK_MB, RESERVE_MB = 40, 15


def answer_to(port: int, sample: Sample) -> tuple[int, str]:
    """Status and Error Comment of one C-STORE."""
    ds = dcmread(sample.path)
    entity = AE("MODALITY")
    entity.add_requested_context(ds.SOPClassUID, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port)
    answer = association.send_c_store(ds)
    association.release()
    return answer.Status, answer.get("ErrorComment", "")


def filled_up(port: int, folder: Path, room: Path) -> tuple[dict[str, Sample], tuple[int, str]]:
    """Send until an object is refused; what was taken until then, and the refusal."""
    chance, taken = Random(3), {}
    for _ in range(1000):
        sample = new_sample(folder, chance)
        status, comment = answer_to(port, sample)
        if status != 0:
            return taken, (status, comment)
        taken[sample.uid] = sample
    raise AssertionError(f"{room} took everything")


def free_mb(folder: Path) -> float:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize / 1e6


@pytest.mark.parametrize("ledger", ["beside", "elsewhere"])
def test_a_full_disk_is_refused_in_time_and_the_node_goes_on_when_there_is_room(tmp_path: Path, ledger: str) -> None:
    """With the ledger on the same disk, the reserve is what it goes on living from."""
    with small_disk(tmp_path / "node" / "data", DISK_MB) as disk, StoreScpProcess(tmp_path / "pacs") as pacs:
        url = f"sqlite:///{(disk if ledger == 'beside' else tmp_path) / 'ledger.sqlite'}"
        configuration = (
            f'[node]\ndisk_reserve = "{RESERVE_MB}MB"\n[ledger]\nurl = "{url}"\n[policy]\nfill = false\n'
            + model(write_tiny_model(tmp_path / "tiny.onnx"))
            + destination("pacs", pacs.port)
        )
        ballast = disk / "ballast"
        ballast.write_bytes(bytes((DISK_MB - RESERVE_MB - 8) * 1_000_000))
        (tmp_path / "sent").mkdir()
        with NodeProcess(tmp_path / "node", configuration) as node:
            taken, (status, comment) = filled_up(node.port, tmp_path / "sent", disk)
            assert status == 0xA700
            assert "storage is not available" in comment
            assert free_mb(disk) >= RESERVE_MB - 1, "the reserve is for the ledger, not for images"
            assert [path for path in (node.spool / "tmp").iterdir() if path.suffix == ".part"] == []
            assert node.idle()["received"] == len(taken), "what was taken goes on its way on a full disk"
            # A sender that is told to come back does, and is taken as soon as there is room.
            with Senders(node.port, tmp_path / "sent", seed=1, own=1, stock=1, objects=3) as senders:
                wait_until(lambda: senders.unanswered > 1, what="further refusals")
                ballast.unlink()
                senders.wait()
            node.idle()
            node.stop()
            account = account_of(
                taken | senders.acknowledged,
                ledger_url=url,
                spool=node.spool,
                arrived=arrived_at_storescp(pacs.files()),
            )
    assert account.wrong == []
    assert account.balanced


def test_a_disk_that_is_filled_by_somebody_else_leaves_nothing_half_written(tmp_path: Path) -> None:
    """Not even the reserve is there any more: the write itself fails, in the middle."""
    with small_disk(tmp_path / "node" / "data", DISK_MB) as disk:
        configuration = f'[node]\ndisk_reserve = "0B"\n[ledger]\nurl = "sqlite:///{tmp_path}/ledger.sqlite"\n' + model(
            write_tiny_model(tmp_path / "tiny.onnx")
        )
        (tmp_path / "sent").mkdir()
        with NodeProcess(tmp_path / "node", configuration) as node:
            first = new_sample(tmp_path / "sent", Random(1))
            assert answer_to(node.port, first)[0] == 0
            with pytest.raises(OSError, match="No space"), (disk / "ballast").open("wb", buffering=0) as ballast:
                while True:
                    ballast.write(bytes(1024))
            second = new_sample(tmp_path / "sent", Random(2))
            assert answer_to(node.port, second)[0] == 0xA700
            files = [path for path in node.spool.rglob("*") if path.is_file()]
            assert len([path for path in files if path.name != MARK and path.parent.name != "nodes"]) == 1
            (disk / "ballast").unlink()
            assert answer_to(node.port, second)[0] == 0
            assert node.settled(2)["received"] == 2
