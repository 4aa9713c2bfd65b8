"""The receiver's port from start to stop, and connections on which nothing comes of anything."""

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from io import StringIO
from pathlib import Path
from time import monotonic

import pytest
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context

from dicom_node.dimse import scp as scp_module
from dicom_node.dimse.scp import ScpSettings, StoreScp
from dicom_node.errors import StartError
from dicom_node.instance import Incoming, Receipt
from dicom_node.receive import receive
from dicom_node.spool import Spool
from dicom_node.testing import MemoryLedger
from dicom_node.tls import TlsServer
from tests.associations import Handler, scp_with, sender_to
from tests.certificates import Authority
from tests.dimse_objects import CR, incoming, written
from tests.raw_peers import ABORT, PDATA, accepted, connected, heard, storing
from tests.servers.programs import wait_until
from tests.stories import NOON


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
        wait_until(lambda: not scp.associations, what="the end of its threads")


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
    wait_until(lambda: _refuses(port), what="a closed port")
    go_on.set()
    sending.join(10)
    stopping.join(10)
    assert not stopping.is_alive()
    assert outcome == [None]
    assert ledger.records.counts().received == 1


def test_stopping_ends_idle_associations_at_once_and_all_together(
    handler: Handler, monkeypatch: pytest.MonkeyPatch, log: StringIO
) -> None:
    """A node that is to end has some seconds; then it is killed, and what its audit trail had queued is lost."""
    monkeypatch.setattr(scp_module, "QUIET_SECONDS", 0.5)
    with scp_with(handler, max_associations=200) as scp, ExitStack() as stack:
        peers = [stack.enter_context(accepted(scp.port)) for _ in range(100)]
        began = monotonic()
        scp.stop(timedelta(seconds=60))
        assert monotonic() - began < 10  # by themselves they would stay for the minute
        assert {heard(peer)[0] for peer in peers} == {ABORT}
    assert log.getvalue().count('"association_aborted"') == 100


def test_stopping_waits_for_a_sender_that_is_in_the_middle_of_an_object(
    handler: Handler, ledger: MemoryLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scp_module, "QUIET_SECONDS", 0.2)
    words = storing(incoming(syntax=ImplicitVRLittleEndian))
    with scp_with(handler) as scp, accepted(scp.port) as slow, accepted(scp.port) as idle:
        command = 6 + int.from_bytes(words[2:6], "big")
        slow.sendall(words[:command])
        stopping = threading.Thread(target=scp.stop)
        stopping.start()
        assert heard(idle)[0] == ABORT
        slow.sendall(words[command:])
        assert heard(slow)[0] == PDATA
        stopping.join(10)
    assert ledger.records.counts().received == 1


def test_whoever_does_not_shake_hands_does_not_hold_up_the_end(serve: Callable[..., StoreScp], ca: Authority) -> None:
    scp = serve(TlsServer(credentials=ca.issue("localhost"), ca=ca.file), association_timeout=timedelta(seconds=60))
    with connected(scp.port) as peer:
        peer.sendall(bytes([0x16, 3, 1, 0, 1, 1]))  # the head of a ClientHello, and no more than a byte of it
        wait_until(lambda: any("process_request" in one.name for one in threading.enumerate()), what="its thread")
        began = monotonic()
        scp.stop(timedelta(seconds=5))
        assert monotonic() - began < 5


def _refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_port_in_use_is_a_configuration_error_that_names_it(scp: StoreScp, handler: Handler) -> None:
    with pytest.raises(StartError, match=str(scp.port)):
        StoreScp(ScpSettings(ae_title="REGION", port=scp.port), handler).start()


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="needs SO_REUSEPORT")
def test_two_receivers_share_a_port_when_they_are_told_to(handler: Handler) -> None:
    with scp_with(handler, reuse_port=True) as first, scp_with(handler, reuse_port=True, port=first.port) as second:
        assert second.port == first.port
