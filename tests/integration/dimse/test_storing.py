"""The receiver, asked by stock senders: what is acknowledged is stored, and what is not is told why."""

import socket
import time
from datetime import timedelta
from errno import EMFILE
from io import StringIO
from pathlib import Path
from typing import Never

import pytest
from pydicom import dcmread
from pydicom.uid import ImplicitVRLittleEndian, generate_uid

from dicom_node.config import load_config
from dicom_node.dimse import arriving
from dicom_node.dimse.contexts import VERIFICATION
from dicom_node.dimse.scp import ScpSettings, StoreScp
from dicom_node.dimse.status import (
    LEDGER_AWAY,
    MISMATCH,
    NOT_AUTHORISED,
    NOT_UNDERSTOOD,
    OUT_OF_RESOURCES,
    STATUSES,
    UNFORESEEN,
    UNNAMED,
    WRONG_CONTEXT,
    Status,
)
from dicom_node.dimse.watch import NobodyWatches
from dicom_node.errors import (
    LedgerError,
    MismatchError,
    NotAuthorisedError,
    NotUnderstoodError,
    OutOfResourcesError,
    PermanentError,
    UnnamedError,
    WrongContextError,
)
from dicom_node.instance import Incoming, Receipt
from dicom_node.part10 import digest_of, incoming_from_file
from dicom_node.receiving import Receiver
from dicom_node.spool import Spool
from dicom_node.testing import MemoryLedger
from tests.associations import Handler, answer_to, scp_with, sender_to
from tests.dimse_objects import CR, bundled_objects, cr, incoming, written
from tests.raw_peers import PDATA, accepted, heard, request, storing
from tests.servers.dcmtk import dcmsend, storescu
from tests.servers.programs import wait_until
from tests.stories import NOON

DX = "1.2.840.10008.5.1.4.1.1.1.1"
STATUS = bytes.fromhex("0000 0009 02000000")  # (0000,0900), two bytes long


def test_every_object_of_pydicom_is_stored_byte_for_byte_and_none_is_lost(
    scp: StoreScp, spool: Spool, ledger: MemoryLedger, tmp_path: Path
) -> None:
    sent = 0
    with sender_to(scp) as scu:
        for name, item in bundled_objects():
            scu.send(written(tmp_path, item))
            instance = ledger.intake.find(item.sop_instance_uid, digest_of(item))
            assert instance is not None, name
            stored = spool.path(instance.path).read_bytes()
            assert stored.endswith(item.dataset), name
            assert instance.size == len(item.dataset)
            sent += 1
    assert sent > 150


def test_real_objects_of_every_compression_are_stored_byte_for_byte(
    scp: StoreScp, spool: Spool, ledger: MemoryLedger, shared: Path
) -> None:
    paths = sorted((shared / "data" / "dicom").glob("*.dcm"))
    assert paths
    with sender_to(scp) as scu:
        for path in paths:
            scu.send(path)
            item = incoming_from_file(path, calling_ae="", called_ae="", peer="")
            instance = ledger.intake.find(item.sop_instance_uid, digest_of(item))
            assert instance is not None, path.name
            assert spool.path(instance.path).read_bytes().endswith(item.dataset)


@pytest.mark.server
def test_storescu_sends_a_folder_and_every_object_is_in_the_ledger(
    scp: StoreScp, ledger: MemoryLedger, tmp_path: Path
) -> None:
    uids = [str(generate_uid()) for _ in range(20)]
    for uid in uids:
        written(tmp_path, incoming(uid))
    done = storescu(scp.port, [tmp_path], options=["+sd"])
    assert done.returncode == 0, done.stderr
    assert all(ledger.records.find(uid) for uid in uids)


@pytest.mark.server
def test_dcmsend_sends_compressed_objects_in_their_own_syntax(
    scp: StoreScp, ledger: MemoryLedger, spool: Spool, tmp_path: Path
) -> None:
    compressed = [item for name, item in bundled_objects() if name in ("JPEG2000.dcm", "MR_small_RLE.dcm")]
    files = [written(tmp_path, item) for item in compressed]
    done = dcmsend(scp.port, files)
    assert done.returncode == 0, done.stderr
    assert len(compressed) == 2
    for item, file in zip(compressed, files, strict=True):
        (record,) = ledger.records.find(item.sop_instance_uid)
        assert record.instance.transfer_syntax_uid == item.transfer_syntax_uid
        # dcmsend itself writes the header anew, without group lengths; the pixels are as they were.
        assert dcmread(spool.path(record.instance.path)).PixelData == dcmread(file).PixelData


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OutOfResourcesError("full"), OUT_OF_RESOURCES),
        (LedgerError("away"), LEDGER_AWAY),
        (MismatchError("other"), MISMATCH),
        (NotUnderstoodError("what"), NOT_UNDERSTOOD),
        (NotAuthorisedError("no"), NOT_AUTHORISED),
        (UnnamedError("who"), UNNAMED),
        (WrongContextError("not here"), WRONG_CONTEXT),
        (MemoryError("SECRET^PATIENT"), OUT_OF_RESOURCES),
        (PermissionError(13, "Permission denied", "/SECRET^PATIENT"), OUT_OF_RESOURCES),
        (OSError(24, "Too many open files"), OUT_OF_RESOURCES),
        (ZeroDivisionError("SECRET^PATIENT"), UNFORESEEN),
    ],
)
def test_each_error_reaches_the_sender_as_its_status_with_a_comment(error: Exception, status: Status) -> None:
    def refuse(item: Incoming) -> Receipt:
        raise error

    with scp_with(refuse) as scp:
        answer = answer_to(scp, cr())
    assert answer.Status == status.code
    assert answer.ErrorComment == status.comment


def test_the_table_is_within_the_standards_ranges_and_has_no_warning() -> None:
    expected = {OutOfResourcesError: 0xA7, LedgerError: 0xA7, MismatchError: 0xA9}
    expected |= {NotAuthorisedError: 0x01, UnnamedError: 0x01, WrongContextError: 0x01}
    for kind, status in STATUSES.items():
        assert status.code >> 8 == expected.get(kind, status.code >> 8)
        assert status.code >> 12 in (0x0, 0xA, 0xC)
        assert 0 < len(status.comment) <= 64
        assert status.comment.isascii()
    assert UNFORESEEN.code >> 12 == 0xC


def test_a_data_set_of_another_object_is_refused_with_a900(scp: StoreScp, ledger: MemoryLedger, tmp_path: Path) -> None:
    with sender_to(scp) as scu, pytest.raises(PermanentError, match="A900"):
        scu.send(written(tmp_path, incoming("1.2.3.4", SOPInstanceUID="1.2.3.5")))
    assert ledger.records.counts().received == 0


def test_a_refusal_is_counted_though_the_object_never_became_whole(
    tmp_path: Path, ledger: MemoryLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for most DX images on a full disk: what is above 8 MiB arrives over it."""
    monkeypatch.setattr(arriving, "IN_MEMORY", 100)
    counted: list[str] = []
    receiver = Receiver(
        load_config(None, {"DICOM_NODE_NODE__DATA_DIR": str(tmp_path)}),
        port=0,
        ledger=ledger,
        spool=Spool(tmp_path / "spool", reserve_bytes=1 << 60),
        now=lambda: NOON,
        count=counted.append,
    )
    receiver.start()
    try:
        assert answer_to(receiver, cr()).Status == OUT_OF_RESOURCES.code
    finally:
        receiver.stop()
    assert counted == ["refused OutOfResourcesError"]


@pytest.mark.parametrize(
    ("error", "status", "counted_as"),
    [
        (RuntimeError("a fault"), UNFORESEEN, "unforeseen"),
        (OSError("as pydicom raises it over an object"), UNFORESEEN, "unforeseen"),
        (MemoryError(), OUT_OF_RESOURCES, "OutOfResourcesError"),
        (OSError(EMFILE, "too many open files"), OUT_OF_RESOURCES, "OutOfResourcesError"),
        (LedgerError("away"), LEDGER_AWAY, "LedgerError"),
    ],
)
def test_every_refusal_is_counted_by_what_the_sender_is_told(
    tmp_path: Path, ledger: MemoryLedger, error: Exception, status: Status, counted_as: str
) -> None:
    """At an unforeseen fault (C211) modalities give an image up."""

    def fail() -> Never:
        raise error

    counted: list[str] = []
    receiver = Receiver(
        load_config(None, {"DICOM_NODE_NODE__DATA_DIR": str(tmp_path)}),
        port=0,
        ledger=ledger,
        spool=Spool(tmp_path / "spool", reserve_bytes=0),
        now=fail,
        count=counted.append,
    )
    receiver.start()
    try:
        assert answer_to(receiver, cr()).Status == status.code
    finally:
        receiver.stop()
    assert counted == [f"refused {counted_as}"]


@pytest.mark.parametrize("uid", ["", "1.2.3.4.5\\1.2", "1." * 32 + "1"], ids=["none", "two", "65 characters"])
def test_a_command_that_names_no_single_object_is_answered_as_an_invalid_instance(
    scp: StoreScp, ledger: MemoryLedger, uid: str
) -> None:
    with accepted(scp.port) as peer:
        peer.settimeout(5)
        peer.sendall(storing(incoming("1.2.3.4", syntax=ImplicitVRLittleEndian), named=uid))
        kind, answer = heard(peer)
        peer.sendall(storing(incoming("1.2.3.5", syntax=ImplicitVRLittleEndian)))
        heard(peer)
    assert kind == PDATA
    assert STATUS + UNNAMED.code.to_bytes(2, "little") in answer
    assert ledger.records.find("1.2.3.4") == []
    assert len(ledger.records.find("1.2.3.5")) == 1  # over the same association


def test_an_image_over_the_context_of_verification_is_refused_and_over_that_of_another_image_is_stored(
    scp: StoreScp, ledger: MemoryLedger
) -> None:
    """The one was never meant for images; of the other, a modality may have mixed up its own."""
    image = incoming(syntax=ImplicitVRLittleEndian)
    for context, code in ((VERIFICATION, WRONG_CONTEXT.code), (DX, 0)):
        with accepted(scp.port, request(16384, context, CR)) as peer:
            peer.sendall(storing(image))
            _, answer = heard(peer)
            assert STATUS + code.to_bytes(2, "little") in answer
    assert len(ledger.records.find(image.sop_instance_uid)) == 1


@pytest.mark.parametrize("sop_class", ["1.3.12.2.1107.5.9.1", "1.2.840.10008.5.1.4.1.1.9", "1.2.840.10008.5.1.4.38.1"])
def test_private_retired_and_patientless_classes_are_stored(
    scp: StoreScp, ledger: MemoryLedger, sop_class: str
) -> None:
    answer = answer_to(scp, cr("1.2.3.77", SOPClassUID=sop_class), sop_class)
    assert answer.Status == 0
    assert len(ledger.records.find("1.2.3.77")) == 1


def test_the_log_has_a_line_per_store_and_association_and_no_patient(
    scp: StoreScp, tmp_path: Path, log: StringIO
) -> None:
    with sender_to(scp) as scu:
        scu.send(written(tmp_path, incoming()))
    wait_until(lambda: "association_released" in log.getvalue(), what="the line of the association")
    lines = log.getvalue()
    assert lines.count('"stored"') >= 1
    assert "1.2.3.4" in lines
    assert "SECRET" not in lines


def test_an_object_is_acknowledged_though_whoever_keeps_watch_cannot_take_it(handler: Handler, log: StringIO) -> None:
    """It is durable: a sender that hears anything else sends it again for ever."""

    class Broken(NobodyWatches):
        def stored(self, association, incoming, receipt) -> None:
            raise ValueError("SECRET")

    scp = StoreScp(ScpSettings(ae_title="REGION"), handler, Broken())
    scp.start()
    try:
        assert answer_to(scp, cr("1.2.3.77")).Status == 0
    finally:
        scp.stop(timedelta(seconds=2))
    assert "stored_but_not_told" in log.getvalue()
    assert "SECRET" not in log.getvalue()


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="needs Linux's TCP_QUICKACK")
@pytest.mark.server
def test_a_stock_sender_is_not_held_up_by_delayed_acknowledgements(scp: StoreScp, tmp_path: Path) -> None:
    for _ in range(50):
        written(tmp_path, incoming(str(generate_uid())))
    began = time.monotonic()
    assert storescu(scp.port, [tmp_path], options=["+sd"]).returncode == 0
    # 40 ms for each object is what the acknowledgement alone costs without TCP_QUICKACK.
    assert (time.monotonic() - began) / 50 < 0.040


def test_implicit_vr_is_taken_from_whoever_offers_it_alone(scp: StoreScp, ledger: MemoryLedger, tmp_path: Path) -> None:
    with sender_to(scp) as scu:
        scu.send(written(tmp_path, incoming("1.2.3.9", syntax=ImplicitVRLittleEndian)))
    (record,) = ledger.records.find("1.2.3.9")
    assert record.instance.transfer_syntax_uid == ImplicitVRLittleEndian


def test_a_data_set_that_could_not_be_read_for_want_of_memory_is_to_be_sent_again() -> None:
    def refuse(item: Incoming) -> Receipt:
        raise NotUnderstoodError("the data set cannot be parsed: MemoryError") from MemoryError()

    with scp_with(refuse) as scp:
        assert answer_to(scp, cr()).Status == OUT_OF_RESOURCES.code
