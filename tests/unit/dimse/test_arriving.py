"""Data sets that are too large for memory: they arrive as they are, over the spool's disk, and a full disk is told."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import pytest

from dicom_node.content import in_pieces
from dicom_node.dimse import arriving
from dicom_node.dimse.arriving import Arriving, spilling
from dicom_node.dimse.scp import ScpSettings, StoreScp
from dicom_node.dimse.scu import Peer, StoreScu
from dicom_node.errors import OutOfResourcesError, TransientError
from dicom_node.part10 import digest_of
from dicom_node.receive import receive
from dicom_node.spool import Spool
from dicom_node.testing import MemoryLedger
from tests.dimse_objects import incoming, written
from tests.raw_peers import established, is_closed
from tests.servers.programs import wait_until
from tests.stories import NOON

LARGE = os.urandom(3 << 20)


@pytest.fixture(autouse=True)
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "IN_MEMORY", 1 << 20)
    monkeypatch.setattr(arriving, "LOOK_EVERY", 1 << 20)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", reserve_bytes=0)


def arrived(spool: Spool, content: bytes, piece: int = 100_000) -> Arriving:
    buffer = Arriving(spool.unnamed, spool.check_room)
    for start in range(0, len(content), piece):
        buffer.write(content[start : start + piece])
    return buffer


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, len(LARGE)])
def test_what_arrives_is_what_was_sent_however_large_it_is(spool: Spool, size: int) -> None:
    content = arrived(spool, LARGE[:size]).content()
    assert b"".join(in_pieces(content)) == LARGE[:size]
    assert isinstance(content, bytes) == (size <= 1 << 20)


def test_the_room_is_looked_at_before_the_disk_takes_more_and_the_reserve_stays(tmp_path: Path) -> None:
    asked: list[int] = []

    def check_room(size: int) -> None:
        asked.append(size)
        if len(asked) > 2:
            raise OutOfResourcesError("make room")

    full = Arriving(Spool(tmp_path, 0).unnamed, check_room)
    for _ in range(40):
        full.write(bytes(100_000))
    assert max(asked) < 3 << 20
    assert len(asked) == 3  # and not once for each piece that follows
    with pytest.raises(OutOfResourcesError, match="make room"):
        full.content()


@contextmanager
def receiver(spool: Spool, ledger: MemoryLedger) -> Iterator[StoreScp]:
    scp = StoreScp(
        ScpSettings(ae_title="REGION"),
        lambda item: receive(item, spool=spool, intake=ledger.intake, now=NOON),
        spilling=[spilling(spool.unnamed, spool.check_room)],
    )
    scp.start()
    try:
        yield scp
    finally:
        scp.stop(timedelta(0))


@contextmanager
def sender_to(spool: Spool, ledger: MemoryLedger) -> Iterator[StoreScu]:
    with receiver(spool, ledger) as scp:
        scu = StoreScu(Peer(host="127.0.0.1", port=scp.port, ae_title="REGION"), calling_ae="MODALITY")
        try:
            yield scu
        finally:
            scu.close()


def test_a_large_object_is_stored_byte_for_byte_and_leaves_nothing_else(spool: Spool, tmp_path: Path) -> None:
    ledger, large, small = MemoryLedger(), incoming("1.2.3.5", PixelData=LARGE), incoming("1.2.3.6")
    with sender_to(spool, ledger) as scu:
        for item in (large, small):
            scu.send(written(tmp_path, item))
    for item in (large, small):
        (record,) = ledger.records.find(item.sop_instance_uid)
        assert record.instance.digest == digest_of(item)
        assert spool.path(record.instance.path).read_bytes().endswith(item.dataset)
    assert list((spool.path("tmp")).iterdir()) == []


def test_the_sender_of_what_the_disk_does_not_take_is_told_to_come_again_and_the_next_one_is_stored(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = MemoryLedger()
    with sender_to(spool, ledger) as scu:
        monkeypatch.setattr("dicom_node.spool.TemporaryFile", _no_space)
        with pytest.raises(Exception, match="A700"):
            scu.send(written(tmp_path, incoming("1.2.3.5", PixelData=LARGE)))
        scu.send(written(tmp_path, incoming("1.2.3.6")))
    assert ledger.records.find("1.2.3.5") == []
    assert len(ledger.records.find("1.2.3.6")) == 1


def _no_space(**_: object) -> None:
    raise OSError(28, "No space left on device")


always_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's disk that is always full")


@always_full
@pytest.mark.parametrize("size", [2000, 20_000], ids=["in the end", "on its way"])
def test_a_disk_that_turns_out_to_be_full_is_told_although_the_file_cannot_even_be_closed(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """What lies in the file's buffer is written when it is closed, and fails for the second time."""
    monkeypatch.setattr(arriving, "IN_MEMORY", 100)
    full = Arriving(_full, lambda _: None)
    for _ in range(size // 1000):
        full.write(bytes(1000))
    with pytest.raises(OutOfResourcesError, match="No space left"):
        full.content()


@always_full
def test_the_sender_of_the_last_bytes_for_which_there_was_no_room_is_told_to_come_again(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "IN_MEMORY", 100)
    monkeypatch.setattr(spool, "unnamed", _full)
    with sender_to(spool, MemoryLedger()) as scu, pytest.raises(TransientError, match="A700"):
        scu.send(written(tmp_path, incoming(PixelData=bytes(2000))))


def _full() -> BinaryIO:
    return Path("/dev/full").open("wb")


def test_a_command_without_end_ends_its_association(spool: Spool) -> None:
    """It would fill the memory: 64 KiB of a command that goes on (PS3.8 annex E.2), again and again."""
    piece = b"\x01\x01" + bytes(64 << 10)
    item = len(piece).to_bytes(4, "big") + piece
    pdu = b"\x04\x00" + len(item).to_bytes(4, "big") + item
    with receiver(spool, MemoryLedger()) as scp, established(scp.port) as peer:
        peer.recv(1 << 16)
        with suppress(ConnectionError):
            for _ in range(200):
                peer.sendall(pdu)
        wait_until(lambda: is_closed(peer), what="the end of the line", seconds=5)
