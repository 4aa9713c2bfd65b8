"""Associations asked for in a way that the standard does not allow: each gets an answer, and ends no thread."""

import socket
import struct
import threading
from pathlib import Path

import pytest

from dicom_node.dimse.scp import ScpSettings, StoreScp
from dicom_node.receive import receive
from dicom_node.spool import Spool
from dicom_node.testing import MemoryLedger
from tests.dimse_objects import CR
from tests.servers.programs import wait_until
from tests.stories import NOON

ABORT, ACCEPT = 7, 2
ABSTRACT, TRANSFER = 0x30, 0x40


def item(kind: int, content: bytes) -> bytes:
    """An item of PS3.8 section 9.3.2."""
    return struct.pack(">BxH", kind, len(content)) + content


def request(*syntaxes: bytes) -> bytes:
    """An A-ASSOCIATE-RQ with one presentation context of these items."""
    context = item(0x20, b"\x01\x00\x00\x00" + b"".join(syntaxes))
    longest = item(0x50, item(0x51, struct.pack(">I", 16384)))
    titles = b"REGION".ljust(16) + b"FUZZER".ljust(16) + bytes(32)
    body = struct.pack(">HH", 1, 0) + titles + item(0x10, b"1.2.840.10008.3.1.1.1") + context + longest
    return struct.pack(">BxI", 1, len(body)) + body


def answer(port: int, words: bytes) -> int:
    with socket.create_connection(("127.0.0.1", port), 10) as peer:
        peer.sendall(words)
        return peer.recv(4096)[0]


@pytest.mark.parametrize(
    ("syntaxes", "expected"),
    [
        ((item(ABSTRACT, CR.encode()), item(TRANSFER, b"1.2.840.10008.1.2")), ACCEPT),
        ((item(TRANSFER, b"1.2.840.10008.1.2"),), ABORT),
        ((item(ABSTRACT, b""), item(TRANSFER, b"1.2.840.10008.1.2")), ABORT),
        ((item(ABSTRACT, CR.encode()),), ABORT),
        ((), ABORT),
    ],
    ids=["whole", "no abstract syntax", "an empty one", "no transfer syntax", "neither"],
)
def test_half_a_presentation_context_is_answered_and_ends_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syntaxes: tuple[bytes, ...], expected: int
) -> None:
    died: list[object] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    ledger, spool = MemoryLedger(), Spool(tmp_path / "spool", reserve_bytes=0)
    scp = StoreScp(
        ScpSettings(ae_title="REGION"), lambda one: receive(one, spool=spool, intake=ledger.intake, now=NOON)
    )
    scp.start()
    try:
        assert answer(scp.port, request(*syntaxes)) == expected
        wait_until(lambda: not scp.associations, what="the end of its threads")
    finally:
        scp.stop()
    assert not died
