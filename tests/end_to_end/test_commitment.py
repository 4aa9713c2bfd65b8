"""Storage commitment with real peers: Orthanc as the PACS that commits, and as the modality that asks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import generate_uid

from tests.certificates import Authority
from tests.configurations import destination, model
from tests.servers.dcmtk import storescu
from tests.servers.node import NodeProcess
from tests.servers.orthanc import OrthancProcess
from tests.servers.postgres import PostgresProcess
from tests.servers.programs import wait_until
from tests.synthetic import bright

pytestmark = pytest.mark.server

SOON = '[commitment]\nlinger = "200ms"\ngather = "200ms"\n'
FIRST_PAUSE = {"first": "200ms"}


def states(node: NodeProcess, uid: str) -> list[str]:
    return [way["state"] for record in node.instances(uid) for way in record["deliveries"]]


def pacs_row(node: NodeProcess) -> dict:
    (row,) = node.status()["destinations"]
    return row


def wait_for_state(node: NodeProcess, uid: str, state: str) -> None:
    wait_until(lambda: states(node, uid) == [state], what=f"an image that is {state}", seconds=120)


@pytest.fixture
def orthanc(tmp_path):
    """An Orthanc of this test's own, since it gets to know the node."""
    with OrthancProcess(tmp_path / "pacs") as process:
        yield process


@pytest.fixture
def node_of(tmp_path, tiny_model):
    """A node that delivers to a PACS and asks it to commit itself; further lines of its configuration."""

    def make(port: int, more: str = "", **keys: object) -> NodeProcess:
        way = destination("pacs", port, storage_commitment=True, retry=FIRST_PAUSE, **keys)
        return NodeProcess(tmp_path / "node", model(tiny_model) + SOON + more + way)

    return make


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a node is set up with: its configuration, its destination's keys, Orthanc's settings, storescu's options."""

    sections: str = ""
    keys: dict[str, object] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)


def over_tls(folder: Path) -> Surroundings:
    """Certificates both ways: of the node, of Orthanc and of the modality."""
    ca = Authority(folder)
    own, theirs, modality = ca.issue("127.0.0.1", "localhost"), ca.issue("127.0.0.1"), ca.issue("cr1.example.org")
    return Surroundings(
        sections=f'[tls]\ncertificate = "{own.certificate}"\nkey = "{own.key}"\nca = "{ca.file}"\n',
        keys={"tls": True},
        settings={
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": str(theirs.certificate),
            "DicomTlsPrivateKey": str(theirs.key),
            "DicomTlsTrustedCertificates": str(ca.file),
        },
        options=["+tls", str(modality.key), str(modality.certificate), "+cf", str(ca.file)],
    )


@pytest.fixture(params=["plain", "over TLS", "two receivers", "PostgreSQL"])
def surroundings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Surroundings]:
    if request.param == "PostgreSQL":
        with PostgresProcess() as server:
            yield Surroundings(sections=f'[ledger]\nurl = "{server.new_database()}"\n')
    elif request.param == "over TLS":
        yield over_tls(tmp_path)
    else:
        yield Surroundings(sections=f"[node]\nreceivers = {2 if request.param == 'two receivers' else 1}\n")


def test_what_orthanc_has_committed_itself_to_is_delivered_and_orthanc_is_told_what_the_node_keeps(
    node_of: Callable[..., NodeProcess], surroundings: Surroundings, tmp_path: Path, file_of
) -> None:
    """Both roles. Each question and report is an association of its own, which any receiver may get."""
    images = [bright(), bright()]
    with (
        OrthancProcess(tmp_path / "pacs", settings=surroundings.settings) as orthanc,
        node_of(orthanc.dicom_port, surroundings.sections, **surroundings.keys) as node,
    ):
        orthanc.know("region", aet="REGION", port=node.port)
        for image in images:
            assert storescu(node.port, [file_of(image)], options=surroundings.options).returncode == 0
            kept = report_of(orthanc, [[image.SOPClassUID, image.SOPInstanceUID]])
            assert (kept["Status"], kept["Failures"]) == ("Success", [])
        assert report_of(orthanc, [[images[0].SOPClassUID, str(generate_uid())]])["Status"] == "Failure"
        for image in images:
            wait_for_state(node, image.SOPInstanceUID, "delivered")
            (record,) = node.instances(image.SOPInstanceUID)
            assert [event["kind"] for event in record["events"]] == ["received", "settled", "sent", "delivered"]
        assert node.status()["forwarded"] == len(images)
        wait_until(lambda: node.status()["unreported"] == 0, what="the end of all promises", seconds=120)


def test_copies_and_reports_are_committed_under_their_own_uids(node_of, orthanc, file_of) -> None:
    """In mode annotate the delivery is two objects, and both have to be kept."""
    image = bright()
    with node_of(orthanc.dicom_port, mode="annotate") as node:
        orthanc.know("region", aet="REGION", port=node.port)
        storescu(node.port, [file_of(image)])
        wait_for_state(node, image.SOPInstanceUID, "delivered")
        assert len(orthanc.instances()) == 2


def test_what_orthanc_has_lost_before_it_was_asked_is_sent_again(tmp_path, tiny_model, orthanc, file_of) -> None:
    image = bright()
    slow = '[commitment]\nlinger = "200ms"\ngather = "4s"\n'
    way = destination("pacs", orthanc.dicom_port, storage_commitment=True, retry=FIRST_PAUSE)
    with NodeProcess(tmp_path / "node", model(tiny_model) + slow + way) as node:
        orthanc.know("region", aet="REGION", port=node.port)
        storescu(node.port, [file_of(image)])
        wait_for_state(node, image.SOPInstanceUID, "sent")
        orthanc.delete_all()
        wait_for_state(node, image.SOPInstanceUID, "delivered")
        (record,) = node.instances(image.SOPInstanceUID)
        kinds = [event["kind"] for event in record["events"]]
        assert kinds == ["received", "settled", "sent", "uncommitted", "sent", "delivered"]
        assert len(orthanc.find(image.SOPInstanceUID)) == 1


def test_a_node_that_is_killed_while_it_waits_for_a_commitment_gets_it_after_all(node_of, orthanc, file_of) -> None:
    """Orthanc cannot reach the node, which dies; the next one asks again, and retention had to leave the file alone."""
    image = bright()
    more = 'answer_within = "2s"\n[retention]\nkeep = "0s"\n[schedule]\nretention = "200ms"\n'
    node = node_of(orthanc.dicom_port, more)
    node.start()
    storescu(node.port, [file_of(image)])
    wait_for_state(node, image.SOPInstanceUID, "sent")
    wait_until(lambda: pacs_row(node)["last_error"] is not None, what="a question that was in vain", seconds=120)
    assert len(list(node.spool.rglob("*.dcm"))) == 1
    node.kill()
    with node:
        orthanc.know("region", aet="REGION", port=node.port)
        wait_for_state(node, image.SOPInstanceUID, "delivered")
        wait_until(lambda: not list(node.spool.rglob("*.dcm")), what="retention", seconds=120)


def test_orthanc_as_a_modality_is_told_what_the_node_keeps(tmp_path, tiny_model, orthanc, file_of) -> None:
    """It opens no port to the answer but its own, and asks on an association that it closes at once."""
    image, other = bright(), bright()
    peer = f'[[commitment_peers]]\nae_title = "PACS"\nhost = "127.0.0.1"\nport = {orthanc.dicom_port}\n'
    with NodeProcess(tmp_path / "node", model(tiny_model) + SOON + peer) as node:
        orthanc.know("region", aet="REGION", port=node.port)
        storescu(node.port, [file_of(image)])
        wrong = [pydicom.uid.DigitalXRayImageStorageForPresentation, image.SOPInstanceUID]
        kept = report_of(orthanc, [[image.SOPClassUID, image.SOPInstanceUID]])
        assert (kept["Status"], kept["Failures"]) == ("Success", [])
        partly = report_of(
            orthanc, [[image.SOPClassUID, image.SOPInstanceUID], [other.SOPClassUID, other.SOPInstanceUID]]
        )
        assert partly["Status"] == "Failure"
        assert [failure["SOPInstanceUID"] for failure in partly["Failures"]] == [other.SOPInstanceUID]
        assert partly["Failures"][0]["FailureReason"] == 0x0112
        conflict = report_of(orthanc, [wrong])
        assert conflict["Failures"][0]["FailureReason"] == 0x0119
        wait_until(lambda: node.status()["unreported"] == 0, what="the end of all promises", seconds=120)


def report_of(orthanc: OrthancProcess, references: list[list[str]]) -> dict:
    """What Orthanc hears when it asks the node for storage commitment."""
    asked = orthanc.post_json("/modalities/region/storage-commitment", {"DicomInstances": references})
    wait_until(
        lambda: orthanc.get_json(asked["Path"])["Status"] != "Pending", what="a storage commitment report", seconds=120
    )
    return dict(orthanc.get_json(asked["Path"]))


def test_a_promise_outlives_the_node_and_a_modality_that_is_away(tmp_path, tiny_model, orthanc) -> None:
    """Nobody listens where the modality should; it is told after the node was killed and its address put right."""
    nowhere = '[[commitment_peers]]\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 1\ntimeout = "1s"\n'
    node = NodeProcess(tmp_path / "node", model(tiny_model) + SOON + nowhere)
    with node:
        orthanc.know("region", aet="REGION", port=node.port)
        asked = orthanc.post_json(
            "/modalities/region/storage-commitment",
            {"DicomInstances": [["1.2.840.10008.5.1.4.1.1.1", str(generate_uid())]]},
        )
        wait_until(lambda: any(row["last_error"] for row in node.status()["promises"]), what="an attempt", seconds=120)
        assert "PACS at 127.0.0.1:1" in node.status()["promises"][0]["last_error"]
        node.kill()
    node.file.write_text(node.file.read_text().replace("port = 1\n", f"port = {orthanc.dicom_port}\n"))
    with node:
        wait_until(lambda: orthanc.get_json(asked["Path"])["Status"] == "Failure", what="the report", seconds=120)
        wait_until(lambda: node.status()["unreported"] == 0, what="the end of all promises", seconds=120)
