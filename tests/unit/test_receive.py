"""The story of an arrival: what is taken, what is refused, and what is on disk and in the ledger after each."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_node.errors import LedgerError, MismatchError, NotUnderstoodError, OutOfResourcesError
from dicom_node.instance import Arrival, DeliveryState, Instance, InstanceState, Receipt
from dicom_node.part10 import IMPLEMENTATION_CLASS_UID, digest_of
from dicom_node.receive import receive
from dicom_node.spool import Spool
from dicom_node.testing import MemoryLedger
from tests.contract.ledger.racing import due, to, verdict
from tests.dimse_objects import cr, encoded, incoming, incoming_bytes
from tests.stories import NOON


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", reserve_bytes=0)


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


class LedgerThatFails:
    """A ledger whose commit does not come through."""

    def find(self, sop_instance_uid: str, digest: str) -> Instance | None:
        return None

    def add(self, arrival: Arrival) -> Receipt:
        raise LedgerError("the database is away")


def stored_files(spool: Spool) -> list[Path]:
    return list(spool.path("").rglob("*.dcm"))


def test_an_arrival_is_on_disk_byte_for_byte_and_in_the_ledger_as_received(spool: Spool, ledger: MemoryLedger) -> None:
    item = incoming("1.2.3.4")
    receipt = receive(item, spool=spool, intake=ledger.intake, now=NOON)
    instance = receipt.instance
    assert not receipt.duplicate
    assert instance.state is InstanceState.RECEIVED
    assert (instance.study_uid, instance.series_uid) == ("1.2.3.1", "1.2.3.2")
    assert (instance.modality, instance.body_part) == ("CR", "HAND")
    assert (instance.digest, instance.size) == (digest_of(item), len(item.dataset))
    assert (instance.calling_ae, instance.called_ae, instance.peer) == ("MODALITY", "REGION", "192.0.2.1")
    assert instance.received_at == NOON
    assert spool.path(instance.path).read_bytes().endswith(item.dataset)


def test_the_stored_file_is_a_dicom_file_with_our_own_file_meta(spool: Spool, ledger: MemoryLedger) -> None:
    instance = receive(incoming(), spool=spool, intake=ledger.intake, now=NOON).instance
    meta = dcmread(spool.path(instance.path)).file_meta
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName.startswith("REGION_NODE_")
    assert meta.MediaStorageSOPInstanceUID == "1.2.3.4"
    assert meta.SourceApplicationEntityTitle == "MODALITY"


def test_the_same_content_again_is_a_duplicate_and_is_not_written_again(spool: Spool, ledger: MemoryLedger) -> None:
    first = receive(incoming(), spool=spool, intake=ledger.intake, now=NOON).instance
    before = spool.path(first.path).stat()
    again = receive(incoming(), spool=spool, intake=ledger.intake, now=NOON)
    assert again.duplicate
    assert again.instance == first
    assert spool.path(first.path).stat().st_ino == before.st_ino


@pytest.mark.parametrize("left", [0, 300, -1])
def test_good_bytes_that_come_again_take_the_place_of_a_file_that_broke_off(
    spool: Spool, ledger: MemoryLedger, left: int
) -> None:
    """And they go out again: what a destination has got meanwhile may have been the damaged ones."""
    first = receive(incoming(), spool=spool, intake=ledger.intake, now=NOON).instance
    ledger.work.settle(first.id, verdict(), recognition=None, deliveries=to("PACS"))
    ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.2.3.4", written=None, now=NOON)
    whole = spool.path(first.path).read_bytes()
    spool.path(first.path).write_bytes(whole[:left])
    assert receive(incoming(), spool=spool, intake=ledger.intake, now=NOON).duplicate
    assert spool.path(first.path).read_bytes() == whole
    assert len(due(ledger)) == 1


def test_what_failed_over_a_file_that_was_back_by_then_is_put_right_by_requeue_and_not_by_sending_it_again(
    spool: Spool, ledger: MemoryLedger
) -> None:
    """As when its good bytes came between the look at the damaged ones and the note of the failure."""
    first = receive(incoming(), spool=spool, intake=ledger.intake, now=NOON).instance
    ledger.work.settle(first.id, verdict(), recognition=None, deliveries=to("PACS"))
    (in_hand,) = due(ledger)
    spool.path(first.path).write_bytes(b"half")
    receive(incoming(), spool=spool, intake=ledger.intake, now=NOON)
    ledger.outbox.fail(in_hand.id, error="the instance's file in the spool is damaged", now=NOON)
    assert receive(incoming(), spool=spool, intake=ledger.intake, now=NOON).duplicate
    assert due(ledger) == []
    assert ledger.outbox.requeue(state=DeliveryState.FAILED, uids=["1.2.3.4"], now=NOON) == 1
    assert len(due(ledger)) == 1


def test_the_same_uid_with_other_content_is_kept_beside_the_first_and_flagged(
    spool: Spool, ledger: MemoryLedger
) -> None:
    receive(incoming(BodyPartExamined="HAND"), spool=spool, intake=ledger.intake, now=NOON)
    other = receive(incoming(BodyPartExamined="FOOT"), spool=spool, intake=ledger.intake, now=NOON)
    assert other.instance.conflict
    assert len(stored_files(spool)) == 2


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID"])
def test_a_data_set_that_contradicts_the_command_is_refused_and_nothing_is_kept(
    spool: Spool, ledger: MemoryLedger, keyword: str
) -> None:
    with pytest.raises(MismatchError):
        receive(incoming(**{keyword: "1.2.9.9"}), spool=spool, intake=ledger.intake, now=NOON)
    assert stored_files(spool) == []


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID"])
def test_what_the_data_set_leaves_out_is_taken_from_the_command(
    spool: Spool, ledger: MemoryLedger, keyword: str
) -> None:
    instance = receive(incoming(**{keyword: None}), spool=spool, intake=ledger.intake, now=NOON).instance
    assert instance.sop_instance_uid == "1.2.3.4"


@pytest.mark.parametrize(
    "dataset",
    [b"", b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", bytes(64), b"\xff" * 64],
    ids=["nothing", "text", "zeros", "ones"],
)
def test_what_is_not_dicom_is_not_understood_and_not_kept(spool: Spool, ledger: MemoryLedger, dataset: bytes) -> None:
    with pytest.raises(NotUnderstoodError):
        receive(incoming_bytes(dataset), spool=spool, intake=ledger.intake, now=NOON)
    assert stored_files(spool) == []


def test_a_disk_at_its_reserve_refuses_before_anything_else(tmp_path: Path, ledger: MemoryLedger) -> None:
    spool = Spool(tmp_path, reserve_bytes=1 << 60)
    with pytest.raises(OutOfResourcesError):
        receive(incoming_bytes(b"not even DICOM"), spool=spool, intake=ledger.intake, now=NOON)


def test_after_a_crash_between_file_and_ledger_sending_again_makes_it_whole(spool: Spool, ledger: MemoryLedger) -> None:
    with pytest.raises(LedgerError):
        receive(incoming(), spool=spool, intake=LedgerThatFails(), now=NOON)
    receipt = receive(incoming(), spool=spool, intake=ledger.intake, now=NOON)
    assert not receipt.duplicate
    assert stored_files(spool) == [spool.path(receipt.instance.path)]


def test_a_file_that_retention_takes_just_before_its_row_is_restored_is_written_again(
    spool: Spool, ledger: MemoryLedger
) -> None:
    first = receive(incoming(), spool=spool, intake=ledger.intake, now=NOON).instance
    ledger.repairs.lose(first.id, now=NOON)

    class QuickRetention:
        def restore(self, instance_id: int, **how) -> None:
            spool.remove(first.path)
            ledger.intake.restore(instance_id, **how)

        def __getattr__(self, name: str):
            return getattr(ledger.intake, name)

    assert receive(incoming(), spool=spool, intake=QuickRetention(), now=NOON).duplicate
    assert spool.path(first.path).read_bytes().endswith(incoming().dataset)


def test_the_same_bytes_in_another_syntax_are_another_object() -> None:
    dataset = encoded(cr())
    item = incoming_bytes(dataset)
    assert digest_of(item) != digest_of(replace(item, transfer_syntax_uid="1.2.840.10008.1.2"))
