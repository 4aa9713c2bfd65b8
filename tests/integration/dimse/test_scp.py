"""The receiver, asked by stock senders: what is acknowledged is stored, and what is not is told why."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from ipaddress import ip_network
from pathlib import Path

import pytest
import structlog
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context

from dicom_node.dimse.scp import ScpSettings, StoreScp
from dicom_node.dimse.scu import Peer, StoreScu
from dicom_node.dimse.status import (
    LEDGER_AWAY,
    MISMATCH,
    NOT_AUTHORISED,
    NOT_UNDERSTOOD,
    OUT_OF_RESOURCES,
    STATUSES,
    UNFORESEEN,
    Status,
)
from dicom_node.errors import (
    ConfigError,
    LedgerError,
    MismatchError,
    NotAuthorisedError,
    NotUnderstoodError,
    OutOfResourcesError,
    PermanentError,
    TransientError,
)
from dicom_node.instance import Incoming, Receipt
from dicom_node.part10 import digest_of, incoming_from_file
from dicom_node.receive import receive
from dicom_node.spool import Spool
from dicom_node.testing import MemoryLedger
from tests.dimse_objects import CR, bundled_objects, cr, incoming, written
from tests.servers.dcmtk import dcmsend, echoscu, storescu
from tests.stories import NOON

Handler = Callable[[Incoming], Receipt]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", reserve_bytes=0)


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
def handler(spool: Spool, ledger: MemoryLedger) -> Handler:
    return lambda item: receive(item, spool=spool, intake=ledger.intake, now=NOON)


@contextmanager
def scp_with(handler: Handler, **settings) -> Iterator[StoreScp]:
    scp = StoreScp(ScpSettings(**({"ae_title": "REGION"} | settings)), handler)
    scp.start()
    try:
        yield scp
    finally:
        scp.stop(timedelta(seconds=2))


@pytest.fixture
def scp(handler: Handler) -> Iterator[StoreScp]:
    with scp_with(handler) as running:
        yield running


@contextmanager
def sender_to(scp: StoreScp, calling: str = "MODALITY", called: str = "REGION") -> Iterator[StoreScu]:
    scu = StoreScu(Peer(host="127.0.0.1", port=scp.port, ae_title=called), calling_ae=calling)
    try:
        yield scu
    finally:
        scu.close()


def answer_to(scp: StoreScp, ds: Dataset, sop_class: str = CR) -> Dataset:
    """The response to a C-STORE of `ds`, over an association of its own."""
    entity = AE("MODALITY")
    association = entity.associate("127.0.0.1", scp.port, [build_context(sop_class, ExplicitVRLittleEndian)])
    assert association.is_established
    try:
        ds.file_meta = Dataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        return association.send_c_store(ds)
    finally:
        association.release()


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


@pytest.mark.server
def test_echoscu_is_answered_by_any_name_unless_names_are_configured(scp: StoreScp) -> None:
    assert echoscu(scp.port, called="WHATEVER").returncode == 0


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OutOfResourcesError("full"), OUT_OF_RESOURCES),
        (LedgerError("away"), LEDGER_AWAY),
        (MismatchError("other"), MISMATCH),
        (NotUnderstoodError("what"), NOT_UNDERSTOOD),
        (NotAuthorisedError("no"), NOT_AUTHORISED),
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
    expected = {OutOfResourcesError: 0xA7, LedgerError: 0xA7, MismatchError: 0xA9, NotAuthorisedError: 0x01}
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


@pytest.mark.parametrize("sop_class", ["1.3.12.2.1107.5.9.1", "1.2.840.10008.5.1.4.1.1.9", "1.2.840.10008.5.1.4.38.1"])
def test_private_retired_and_patientless_classes_are_stored(
    scp: StoreScp, ledger: MemoryLedger, sop_class: str
) -> None:
    answer = answer_to(scp, cr("1.2.3.77", SOPClassUID=sop_class), sop_class)
    assert answer.Status == 0
    assert len(ledger.records.find("1.2.3.77")) == 1


@pytest.mark.parametrize(
    ("settings", "calling", "called"),
    [
        ({"calling_aes": ("CR1",)}, "STRANGER", "REGION"),
        ({"called_aes": ("REGION", "REGION2")}, "CR1", "OTHER"),
        ({"networks": (ip_network("192.0.2.0/24"),)}, "CR1", "REGION"),
    ],
)
def test_who_is_not_on_a_list_is_rejected_for_good(handler: Handler, settings: dict, calling: str, called: str) -> None:
    with scp_with(handler, **settings) as scp, sender_to(scp, calling, called) as scu, pytest.raises(PermanentError):
        scu.echo()


def test_who_is_on_every_list_comes_in(handler: Handler) -> None:
    lists = {"calling_aes": ("CR1",), "called_aes": ("A", "B"), "networks": (ip_network("127.0.0.0/8"),)}
    with scp_with(handler, **lists) as scp, sender_to(scp, "CR1", "B") as scu:
        scu.echo()


def test_one_association_too_many_is_rejected_as_passing_and_comes_in_later(handler: Handler, tmp_path: Path) -> None:
    path = written(tmp_path, incoming())
    with scp_with(handler, max_associations=1) as scp, sender_to(scp) as first, sender_to(scp) as second:
        first.send(path)
        with pytest.raises(TransientError, match="rejected"):
            second.send(path)
        first.close()
        _until(lambda: not scp.associations)
        second.send(path)


def test_a_peer_with_too_many_associations_is_told_to_come_back_and_another_peer_is_not(
    handler: Handler, tmp_path: Path
) -> None:
    path = written(tmp_path, incoming())
    with scp_with(handler, max_associations_per_peer=1) as scp, sender_to(scp) as first, sender_to(scp) as second:
        first.send(path)
        with pytest.raises(TransientError, match="Transient; Local limit exceeded"):
            second.send(path)
        other = AE("OTHER").associate("127.0.0.1", scp.port, [build_context(CR)], bind_address=("127.0.0.2", 0))
        assert other.is_established
        other.release()
        first.close()
        _until(lambda: not scp.associations)
        second.send(path)


def test_a_peer_that_opens_associations_too_fast_is_told_of_congestion(handler: Handler) -> None:
    with scp_with(handler, associations_per_minute=2) as scp, sender_to(scp) as scu:
        scu.echo()
        scu.echo()
        with pytest.raises(TransientError, match="Transient; Temporary congestion"):
            scu.echo()


def _until(happened: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(500):
        if happened():
            return
        waiting.wait(0.01)
    raise TimeoutError


def test_a_silent_peer_loses_its_association(handler: Handler, tmp_path: Path) -> None:
    with scp_with(handler, idle_timeout=timedelta(seconds=0.3)) as scp:
        closed = threading.Event()
        association = AE("MODALITY").associate(
            "127.0.0.1",
            scp.port,
            [build_context(CR)],
            evt_handlers=[(evt.EVT_ABORTED, lambda event: closed.set())],
        )
        assert association.is_established
        assert closed.wait(10)


@pytest.mark.parametrize(
    "said",
    [b"", b"\x04\x00\x00\x00\x10\x00half", b"GET / HTTP/1.1\r\n\r\n", b"\x01\x00\xff\xff\xff\xff"],
    ids=["nothing", "half a PDU", "HTTP", "a PDU of 4 GiB"],
)
def test_a_connection_that_falls_silent_or_speaks_otherwise_is_closed(handler: Handler, said: bytes) -> None:
    timeouts = {"idle_timeout": timedelta(seconds=0.3), "association_timeout": timedelta(seconds=0.3)}
    with scp_with(handler, **timeouts) as scp, socket.create_connection(("127.0.0.1", scp.port), 10) as peer:
        peer.sendall(said)
        try:
            while peer.recv(4096):
                pass
        except ConnectionResetError:
            pass
        _until(lambda: not scp.associations)


def test_stopping_lets_the_store_in_hand_finish_and_takes_no_new_association(
    spool: Spool, ledger: MemoryLedger, tmp_path: Path
) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def slow(item: Incoming) -> Receipt:
        arrived.set()
        go_on.wait(10)
        return receive(item, spool=spool, intake=ledger.intake, now=NOON)

    scp = StoreScp(ScpSettings(ae_title="REGION"), slow)
    scp.start()
    outcome: list[object] = []

    def send() -> None:
        with sender_to(scp) as scu:
            outcome.append(scu.send(written(tmp_path, incoming())))

    sending = threading.Thread(target=send)
    port = scp.port
    sending.start()
    assert arrived.wait(10)
    stopping = threading.Thread(target=scp.stop)
    stopping.start()
    _until(lambda: _refuses(port))
    go_on.set()
    sending.join(10)
    stopping.join(10)
    assert not stopping.is_alive()
    assert outcome == [None]
    assert ledger.records.counts().received == 1


def _refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_port_in_use_is_a_configuration_error_that_names_it(scp: StoreScp, handler: Handler) -> None:
    with pytest.raises(ConfigError, match=str(scp.port)):
        StoreScp(ScpSettings(ae_title="REGION", port=scp.port), handler).start()


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="needs SO_REUSEPORT")
def test_two_receivers_share_a_port_when_they_are_told_to(handler: Handler) -> None:
    with scp_with(handler, reuse_port=True) as first, scp_with(handler, reuse_port=True, port=first.port) as second:
        assert second.port == first.port


def test_the_log_has_a_line_per_store_and_association_and_no_patient(scp: StoreScp, tmp_path: Path) -> None:
    out = StringIO()
    previous = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(out),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )
    try:
        with sender_to(scp) as scu:
            scu.send(written(tmp_path, incoming()))
        _until(lambda: "association_released" in out.getvalue())
    finally:
        structlog.configure(**previous)
    lines = out.getvalue()
    assert lines.count('"stored"') >= 1
    assert "1.2.3.4" in lines
    assert "SECRET" not in lines


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
