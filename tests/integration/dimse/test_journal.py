"""What is told of associations: nothing that was taken goes untold, nor anybody who was turned away."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO

import pytest
from pydicom.uid import ImplicitVRLittleEndian

from dicom_node.dimse.scp import ScpSettings, StoreScp
from dicom_node.instance import Incoming, Receipt
from tests.associations import Handler
from tests.dimse_objects import incoming
from tests.raw_peers import ABORT, LAST_OF_COMMAND, PDATA, REJECT, accepted, connected, heard, pdata, request, storing
from tests.servers.programs import wait_until

# An A-ASSOCIATE-RQ: type, reserved, four bytes of length; then two of protocol version, two reserved, and the AE titles
# of called and caller, 16 bytes each (PS3.8 section 9.3.2).
VERSION, CALLING = slice(6, 8), slice(26, 42)


class Witness:
    """Keeps watch, and notes down what it is told."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def stored(self, association: int, incoming: Incoming, receipt: Receipt) -> None:
        self.seen.append("stored")

    def ended(self, association: int) -> None:
        self.seen.append("ended")

    def refused(self, *, peer: str, calling_ae: str, why: str) -> None:
        self.seen.append(why)


@pytest.fixture
def witness() -> Witness:
    return Witness()


@contextmanager
def watched(handler: Handler, witness: Witness) -> Iterator[StoreScp]:
    scp = StoreScp(ScpSettings(ae_title="REGION"), handler, witness)
    scp.start()
    try:
        yield scp
    finally:
        scp.stop(timedelta(0))


@pytest.mark.parametrize(
    "nonsense",
    [pdata(LAST_OF_COMMAND, b"\xff" * 40), bytes([PDATA, 0, 0, 0, 0, 5, 0, 0, 0, 1, 1])],
    ids=["a command that is none", "a value without its header"],
)
def test_what_was_acknowledged_before_a_peer_said_nonsense_is_told_all_the_same(
    handler: Handler, witness: Witness, log: StringIO, nonsense: bytes
) -> None:
    """It is in the spool, and the audit trail and the log have to have it too."""
    with watched(handler, witness) as scp, accepted(scp.port) as peer:
        peer.sendall(storing(incoming(syntax=ImplicitVRLittleEndian)))
        assert heard(peer)[0] == PDATA
        peer.sendall(nonsense)
        assert heard(peer)[0] == ABORT
        wait_until(lambda: "association_aborted" in log.getvalue(), what="its line in the log")
        assert witness.seen[:2] == ["stored", "ended"]
    (line,) = [line for line in log.getvalue().splitlines() if "association_aborted" in line]
    assert '"stored": 1' in line


def _with(where: slice, what: bytes) -> bytes:
    asked = bytearray(request())
    asked[where] = what
    return bytes(asked)


@pytest.mark.parametrize(
    ("asked", "answer", "why"),
    [
        (_with(VERSION, b"\x00\x02"), REJECT, "another version of the upper layer protocol"),
        (_with(CALLING, b" " * 16), ABORT, "no request for an association that can be understood"),
        (request()[:6] + bytes(len(request()) - 6), ABORT, "no request for an association that can be understood"),
    ],
    ids=["another protocol version", "no calling AE title", "garbage"],
)
def test_who_is_refused_by_the_protocol_alone_is_told_to_the_log_and_the_watch(
    handler: Handler, witness: Witness, log: StringIO, asked: bytes, answer: int, why: str
) -> None:
    with watched(handler, witness) as scp, connected(scp.port) as peer:
        peer.sendall(asked)
        assert heard(peer)[0] == answer
        wait_until(lambda: why in " ".join(witness.seen), what="word of it")
        assert [seen for seen in witness.seen if seen != "ended"] == [witness.seen[0]]
    (line,) = [line for line in log.getvalue().splitlines() if why in line]
    assert "127.0.0.1" in line
