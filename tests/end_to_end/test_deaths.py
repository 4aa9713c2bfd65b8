"""What is left when processes of a node are killed, and who takes their place: on the same port, at once."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from pydicom import FileDataset

from dicom_node.dimse.scu import Peer, StoreScu
from dicom_node.errors import TransientError
from dicom_node.owner import own_name
from tests.configurations import destination, model
from tests.servers.dcmtk import StoreScpProcess, storescu
from tests.servers.node import NodeProcess
from tests.servers.programs import wait_until
from tests.synthetic import bright, dark

pytestmark = pytest.mark.server

QUICK = {"first": "100ms", "longest": "300ms"}


class Modality:
    """A sender that keeps its association open between its images."""

    def __init__(self, port: int) -> None:
        peer = Peer(host="127.0.0.1", port=port, ae_title="REGION")
        self._scu = StoreScu(peer, calling_ae="CR1", timeout=timedelta(seconds=20))

    def acknowledged(self, file: Path) -> bool:
        try:
            self._scu.send(file)
        except TransientError:
            return False
        return True

    def close(self) -> None:
        self._scu.close()


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[StoreScpProcess]:
    with StoreScpProcess(tmp_path / "pacs") as process:
        yield process


@pytest.fixture
def node(tmp_path: Path, tiny_model: Path, pacs: StoreScpProcess) -> NodeProcess:
    """One receiver. What a sender leaves with a process that is about to end, the next one finds by itself."""
    config = (
        "[node]\nreceivers = 1\n"
        + model(tiny_model)
        + '[schedule]\nleases = "200ms"\n'
        + destination("pacs", pacs.port, retry=QUICK)
    )
    made = NodeProcess(tmp_path / "node", config)
    made.keep_port()
    return made


@pytest.fixture
def modality(node: NodeProcess) -> Iterator[Modality]:
    with node:
        made = Modality(node.port)
        yield made
        made.close()


def check_all_there(node: NodeProcess, pacs: StoreScpProcess, images: list[FileDataset]) -> None:
    """Each once in the ledger, with its file, and at the PACS."""
    assert node.settled(len(images))["received"] == len(images)
    node.idle()
    records = [record for image in images for record in node.instances(image.SOPInstanceUID)]
    assert len({record["path"] for record in records}) == len(records) == len(images)
    assert all((node.spool / record["path"]).is_file() for record in records)
    arrived = {path.name.split(".", 1)[1] for path in pacs.files()}
    assert arrived == {image.SOPInstanceUID for image in images}


def ready(node: NodeProcess) -> bool:
    answer = httpx.get(f"http://127.0.0.1:{node.web_port}/readyz", timeout=30)
    assert answer.status_code == 200 or "no receiver answers" in answer.text
    return answer.status_code == 200


def leave_half_a_file(node: NodeProcess, pid: int) -> None:
    """What a process leaves that is killed while it writes: a temporary file with its name (`dicom_node.owner`)."""
    started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    name = "~".join((*own_name().split("~")[:3], str(pid), started))
    (node.spool / "tmp" / f"{name}--half.part").write_bytes(b"half")


def test_the_only_receiver_is_replaced_on_its_port_and_the_node_is_not_ready_until_then(
    node: NodeProcess, modality: Modality, pacs: StoreScpProcess, file_of
) -> None:
    images = [bright() if number % 2 else dark() for number in range(6)]
    files = [file_of(image) for image in images]
    port, killed = node.port, set()

    def struck() -> bool:
        """Whether nobody answers; a successor that came up unseen is killed as well."""
        if not ready(node):
            return True
        for pid in node.receiver_pids():
            killed.add(pid)
            with suppress(ProcessLookupError, FileNotFoundError):
                leave_half_a_file(node, pid)
                os.kill(pid, signal.SIGKILL)
        return False

    assert ready(node)
    assert all(modality.acknowledged(file) for file in files[:4])
    wait_until(struck, what="a node without a receiver", seconds=60)
    wait_until(lambda: ready(node), what="another receiver", seconds=120)
    assert killed
    assert killed.isdisjoint(node.receiver_pids())
    assert list((node.spool / "tmp").iterdir()) == []
    assert modality.acknowledged(files[4])
    assert storescu(port, files[5:]).returncode == 0
    check_all_there(node, pacs, images)


def test_a_node_that_is_killed_and_started_at_once_has_its_port_again_and_everything_acknowledged(
    node: NodeProcess, modality: Modality, pacs: StoreScpProcess, file_of
) -> None:
    """Its receiver outlives it for a moment, with an association on which images still come."""
    images = [bright() if number % 2 else dark() for number in range(14)]
    files = [file_of(image) for image in images]
    port = node.port
    assert storescu(port, files[:11]).returncode == 0
    assert modality.acknowledged(files[11])
    node.kill()
    node.start()
    assert node.port == port
    wait_until(lambda: modality.acknowledged(files[12]), what="an acknowledgement", seconds=60)
    assert storescu(port, files[13:]).returncode == 0
    check_all_there(node, pacs, images)
