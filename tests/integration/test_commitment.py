"""Storage commitment with peers that behave oddly: each a process of its own, the node the real one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import generate_uid

from tests.configurations import destination, model
from tests.radiographs import as_file
from tests.servers.committing import CommittingPeer
from tests.servers.dcmtk import storescu
from tests.servers.node import NodeProcess
from tests.servers.programs import wait_until
from tests.synthetic import bright
from tests.unit.model.tiny import write_tiny_model

pytestmark = pytest.mark.server

STRANGE = 0x0115
NOBODY = [["1.2.840.10008.5.1.4.1.1.1", "1.2.3"]]


class House:
    """A node with one image that its PACS has taken and was asked for."""

    def __init__(self, folder: Path, pacs: CommittingPeer, more: str = "") -> None:
        self.pacs = pacs
        way = destination("pacs", pacs.port, ae_title=pacs.aet, storage_commitment=True, retry={"first": "200ms"})
        section = f'[commitment]\nlinger = "200ms"\ngather = "100ms"\nsendings = 2\n{more}'
        self.node = NodeProcess(folder / "node", model(write_tiny_model(folder / "tiny.onnx")) + section + way)
        self.image = bright()
        self._file = as_file(self.image, folder)

    def send(self) -> None:
        storescu(self.node.port, [self._file])

    def state(self) -> str:
        (record,) = self.node.instances(self.image.SOPInstanceUID)
        return record["deliveries"][0]["state"] if record["deliveries"] else ""

    def wait_for(self, state: str) -> None:
        wait_until(lambda: self.state() == state, what=f"an image that is {state}", seconds=120)


@pytest.fixture
def pacs() -> Iterator[CommittingPeer]:
    with CommittingPeer(aet="PACS") as peer:
        yield peer


@pytest.fixture
def house(tmp_path, pacs) -> Iterator[House]:
    made = House(tmp_path, pacs)
    with made.node:
        made.send()
        yield made


def test_only_the_right_peer_with_the_right_transaction_is_believed_and_twice_is_as_good_as_once(house: House) -> None:
    asked = house.pacs.next("asked")
    port, uid, kept = house.node.port, asked["transaction"], asked["references"]
    assert kept == [[house.image.SOPClassUID, house.image.SOPInstanceUID]]
    assert house.pacs.report(port, str(generate_uid()), committed=kept) == STRANGE
    assert house.pacs.report(port, uid, committed=kept, calling="INTRUDER") == STRANGE
    assert house.state() == "sent"
    assert house.pacs.report(port, uid, committed=kept) == 0
    assert house.state() == "delivered"
    assert house.pacs.report(port, uid, failed=kept) == 0
    assert house.state() == "delivered"


def test_a_refusal_is_sent_again_and_then_fails(house: House) -> None:
    for _ in range(2):
        asked = house.pacs.next("asked")
        assert house.pacs.report(house.node.port, asked["transaction"], failed=asked["references"]) == 0
    house.wait_for("failed")
    assert "0112" in house.node.status()["destinations"][0]["last_error"]


def test_a_pacs_that_never_answers_is_asked_again_and_a_late_answer_to_the_first_question_counts(
    tmp_path, pacs: CommittingPeer
) -> None:
    made = House(tmp_path, pacs, 'answer_within = "1s"\n')
    with made.node:
        made.send()
        first, second = pacs.next("asked"), pacs.next("asked")
        assert first["transaction"] != second["transaction"]
        assert first["references"] == second["references"]
        row = made.node.status()["destinations"][0]
        assert row["uncommitted"] == 1
        assert "did not say in time" in row["last_error"]
        assert pacs.report(made.node.port, first["transaction"], committed=first["references"]) == 0
        assert made.state() == "delivered"


def test_a_report_on_the_node_s_own_association_is_taken_and_answered_before_the_node_leaves(tmp_path) -> None:
    with CommittingPeer(aet="PACS", at_once=True) as pacs:
        made = House(tmp_path, pacs, "")
        made.node.file.write_text(made.node.file.read_text().replace('linger = "200ms"', 'linger = "20s"'))
        with made.node:
            made.send()
            assert pacs.next("answered")["status"] == 0
            made.wait_for("delivered")


def test_a_commitment_that_comes_after_the_node_was_killed_is_understood(house: House) -> None:
    asked = house.pacs.next("asked")
    house.node.kill()
    with house.node:
        assert house.pacs.report(house.node.port, asked["transaction"], committed=asked["references"]) == 0
        assert house.state() == "delivered"


def test_only_a_destination_that_is_configured_here_is_let_off_its_commitment(tmp_path, pacs: CommittingPeer) -> None:
    """Another node on the same ledger may be asking those that this one does not know."""
    made = House(tmp_path, pacs)
    with made.node:
        made.send()
        pacs.next("asked")
    config = made.node.file.read_text()
    made.node.file.write_text(config.replace('name = "pacs"', 'name = "other"'))
    with made.node:
        assert made.state() == "sent"
    made.node.file.write_text(config.replace("storage_commitment = true", "storage_commitment = false"))
    with made.node:
        assert made.state() == "delivered"


def test_a_modality_that_stays_gets_its_report_on_its_own_association(house: House) -> None:
    """It has no address that the node knows of, and verifies meanwhile that the node is there."""
    with CommittingPeer(aet="CR1") as modality:
        kept = [[house.image.SOPClassUID, house.image.SOPInstanceUID]]
        assert modality.ask(house.node.port, "1.4.1", kept + NOBODY, stay=True, echoes=3) == 0
        report = modality.next("reported")
        assert (report["transaction"], report["type"], report["here"]) == ("1.4.1", 2, True)
        assert report["committed"] == kept
        assert report["failed"] == [[*NOBODY[0], 0x0112]]
        modality.release()
        wait_until(lambda: house.node.status()["unreported"] == 0, what="the end of the promise", seconds=120)


def test_a_modality_that_asks_twice_and_stays_gets_both_reports_on_its_own_association(house: House) -> None:
    """Its answer to the first is no reason to wait with the second."""
    with CommittingPeer(aet="CR1") as modality:
        for transaction in ("1.4.1", "1.4.2"):
            assert modality.ask(house.node.port, transaction, NOBODY, stay=True, here=transaction == "1.4.2") == 0
        wait_until(lambda: house.node.status()["unreported"] == 0, what="the end of both promises", seconds=15)
        reports = [modality.next("reported") for _ in range(2)]
        assert [(report["transaction"], report["here"]) for report in reports] == [("1.4.1", True), ("1.4.2", True)]
        modality.release()


def test_a_modality_without_an_address_that_leaves_is_shown_until_it_is_named(tmp_path, pacs: CommittingPeer) -> None:
    """Asking twice is one promise; killing the node between the question and its report loses nothing."""
    made = House(tmp_path, pacs)
    with CommittingPeer(aet="CR1") as modality:
        with made.node:
            for _ in range(2):
                assert modality.ask(made.node.port, "1.4.1", NOBODY, stay=False) == 0
            wait_until(
                lambda: any(row["last_error"] for row in made.node.status()["promises"]), what="an error", seconds=120
            )
            (row,) = made.node.status()["promises"]
            assert "[[commitment_peers]]" in row["last_error"]
            assert modality.ask(made.node.port, "1.4.1", [["1.2", "1.2.9"]], stay=False) == STRANGE
            made.node.kill()
        peer = f'[[commitment_peers]]\nae_title = "CR1"\nhost = "127.0.0.1"\nport = {modality.port}\n'
        made.node.file.write_text(made.node.file.read_text() + peer)
        with made.node:
            report = modality.next("reported")
            assert (report["transaction"], report["here"]) == ("1.4.1", False)
            wait_until(lambda: made.node.status()["unreported"] == 0, what="the end of the promise", seconds=120)
