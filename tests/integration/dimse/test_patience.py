"""Peers that hang, idle or dribble lose their place in time, and keep no good sender out meanwhile."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep

import pytest
from pynetdicom import AE
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification

from dicom_node.dimse.scp import ScpSettings, StoreScp
from dicom_node.dimse.scu import Peer, StoreScu
from dicom_node.instance import Incoming, Receipt
from dicom_node.receive import receive
from dicom_node.spool import Spool
from dicom_node.testing import MemoryLedger
from tests import associations
from tests.beside import beside
from tests.dimse_objects import cr, incoming, written
from tests.raw_peers import connected, dribbling, established, request
from tests.servers.node import NodeProcess
from tests.servers.programs import wait_until
from tests.stories import NOON

SLOW_SECONDS = 3.0  # for one image on a machine that does other things; alone it takes milliseconds
ABORT, REJECT, RELEASED = 7, 3, 6
# Implicit VR Little Endian: Command Field, Message ID Being Responded To, no data set (PS3.7 table 9.3-10); and the
# Command Field of a C-ECHO-RQ without the Message ID that an answer would bear.
UNANSWERED = {
    "C-CANCEL": "0000 0001 02000000 ff0f  0000 2001 02000000 0100  0000 0008 02000000 0101",
    "a request without its Message ID": "0000 0001 02000000 3000  0000 0008 02000000 0101",
}


@contextmanager
def scp_with(tmp_path: Path, **settings) -> Iterator[tuple[StoreScp, MemoryLedger]]:
    ledger, spool = MemoryLedger(), Spool(tmp_path / "spool", reserve_bytes=0)
    scp = StoreScp(
        ScpSettings(ae_title="REGION", **settings),
        lambda item: receive(item, spool=spool, intake=ledger.intake, now=NOON),
    )
    scp.start()
    try:
        yield scp, ledger
    finally:
        scp.stop(timeout=timedelta(0))


def seconds_to_send(scp: StoreScp, path: Path) -> float:
    scu = StoreScu(Peer(host="127.0.0.1", port=scp.port, ae_title="REGION"), calling_ae="GOOD")
    began = monotonic()
    scu.send(path)
    scu.close()
    return monotonic() - began


@pytest.mark.parametrize("way", ["silent", "dribbling their request"])
def test_200_connections_that_ask_for_nothing_keep_no_sender_out(tmp_path: Path, way: str) -> None:
    """They have no place and no thread, although only 10 may be in at once."""
    with scp_with(tmp_path, max_associations=10) as (scp, ledger), ExitStack() as stack:
        peers = [stack.enter_context(connected(scp.port)) for _ in range(200)]
        stack.enter_context(dribbling(peers, lambda: b"" if way == "silent" else request()[:-1] * 1000))
        for number in range(5):
            path = written(tmp_path, incoming(f"1.2.{number}"))
            assert seconds_to_send(scp, path) < SLOW_SECONDS
        assert threading.active_count() < 60
        assert ledger.records.counts().received == 5


@pytest.mark.parametrize("way", ["idle", "dribbling an object"])
def test_200_associations_that_get_nowhere_make_room_for_a_sender(tmp_path: Path, way: str) -> None:
    """They fill every place, and each asks again as soon as it is sent away."""
    settings = {"max_associations": 50, "spare_after": timedelta(seconds=0.3)}
    with scp_with(tmp_path, **settings) as (scp, _), ExitStack() as stack:
        peers = []
        for _ in range(200):
            peer = stack.enter_context(connected(scp.port))
            peer.sendall(request())
            peers.append(peer)
        # A P-DATA-TF of 64 KiB that never ends.
        words = b"" if way == "idle" else b"\x04\x00\x00\x01\x00\x00" + bytes(1000)
        stack.enter_context(dribbling(peers, lambda: words))
        wait_until(lambda: scp.associations >= 50, what="a full house")
        path = written(tmp_path, incoming())

        def taken() -> bool:
            try:
                seconds_to_send(scp, path)
            except Exception:  # noqa: BLE001 - told to come back, as long as everybody is new
                return False
            return True

        wait_until(taken, what="a place for a good sender", seconds=20)


def test_a_full_receiver_rejects_as_local_limit_exceeded_for_the_time_being(tmp_path: Path) -> None:
    with scp_with(tmp_path, max_associations=2) as (scp, _), ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(established(scp.port))
        third = stack.enter_context(connected(scp.port))
        third.sendall(request())
        answer = third.recv(10)
        # PS3.8 table 9-21: rejected-transient, by the presentation provider, local limit exceeded.
        assert (answer[0], *answer[7:10]) == (REJECT, 2, 3, 2)


@pytest.mark.parametrize(
    "words",
    [b"", b"\x04\x00\x00\x01\x00\x00" + bytes(1000), b"\x04\x00\x00\x00\x00\x07\x00\x00\x00\x03\x01\x00\x00" * 100],
    ids=["idle", "a PDU byte by byte", "PDUs of one byte each"],
)
def test_an_association_that_gets_nowhere_is_ended_with_an_abort(tmp_path: Path, words: bytes) -> None:
    """However busy its line is: pynetdicom's timer would start again with every byte or PDU."""
    with scp_with(tmp_path, idle_timeout=timedelta(seconds=1)) as (scp, _), established(scp.port) as peer:
        peer.recv(1 << 16)
        with dribbling([peer], lambda: words):
            peer.settimeout(10)
            assert peer.recv(1)[0] == ABORT
        wait_until(lambda: not scp.associations, what="the end of its threads")


def test_a_slow_sender_that_gets_somewhere_is_left_alone(tmp_path: Path) -> None:
    """An image that takes several idle time-outs, in pieces of 20 kB."""
    path = written(tmp_path, incoming(PixelData=bytes(200_000), Rows=250, Columns=400))
    with scp_with(tmp_path, idle_timeout=timedelta(seconds=1)) as (scp, ledger), _slow_line(scp.port) as port:
        StoreScu(Peer(host="127.0.0.1", port=port, ae_title="REGION"), calling_ae="SLOW").send(path)
        assert ledger.records.counts().received == 1


@contextmanager
def _slow_line(port: int) -> Iterator[int]:
    """A line of 100 kB/s to a port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def pump(source: socket.socket, sink: socket.socket, pause: float) -> None:
            with suppress(OSError):
                while piece := source.recv(20_000):
                    sink.sendall(piece)
                    threading.Event().wait(pause)

        def serve() -> None:
            near, _ = server.accept()
            far = connected(port)
            threading.Thread(target=pump, args=(far, near, 0.0), daemon=True).start()
            pump(near, far, 0.2)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_nobody_is_sent_away_who_comes_in_while_the_receiver_looks_around(tmp_path: Path) -> None:
    with scp_with(tmp_path) as (scp, _), looking_around_all_the_time(scp):
        for _ in range(30):
            StoreScu(Peer(host="127.0.0.1", port=scp.port, ae_title="REGION"), calling_ae="GOOD").echo()


@contextmanager
def looking_around_all_the_time(scp: StoreScp) -> Iterator[None]:
    """What the porch does twice a second, so often that it meets every association at every point of its way."""

    def look(enough: threading.Event) -> None:
        while not enough.is_set():
            scp._patience.reap()

    with beside(look):
        yield


def test_a_node_that_stood_still_does_not_blame_its_peers(tmp_path: Path) -> None:
    with NodeProcess(tmp_path, '[node]\nidle_timeout = "2s"\n') as node, established(node.port) as peer:
        peer.recv(1 << 16)  # the rest of its answer
        processes = [node.pid, *node.receiver_pids()]
        _signal(processes, signal.SIGSTOP)
        sleep(4)
        peer.sendall(release())
        _signal(processes, signal.SIGCONT)
        assert peer.recv(1)[0] == RELEASED


def _signal(processes: list[int], number: signal.Signals) -> None:
    assert len(processes) > 1
    for process in processes:
        os.kill(process, number)


def release() -> bytes:
    return bytes([5, 0, 0, 0, 0, 4, 0, 0, 0, 0])


def test_verification_over_a_kept_association_counts_as_progress(tmp_path: Path) -> None:
    """Some modalities keep an association, and ask C-ECHO now and then to keep it alive."""
    with scp_with(tmp_path, idle_timeout=timedelta(seconds=1)) as (scp, _):
        association = AE("KEEPER").associate("127.0.0.1", scp.port, [build_context(Verification)])
        for _ in range(6):
            assert association.send_c_echo().Status == 0
            threading.Event().wait(0.4)
        association.release()


@pytest.mark.parametrize("command", UNANSWERED.values(), ids=UNANSWERED)
def test_who_says_what_is_not_answered_is_reaped_and_makes_room_as_others(tmp_path: Path, command: str) -> None:
    path = written(tmp_path, incoming())
    with scp_with(tmp_path, idle_timeout=timedelta(seconds=1)) as (scp, _), established(scp.port) as peer:
        peer.recv(1 << 16)
        peer.sendall(said(command))
        peer.settimeout(10)
        assert peer.recv(1)[0] == ABORT
    settings = {"max_associations": 1, "spare_after": timedelta(seconds=0.3)}
    with scp_with(tmp_path, **settings) as (scp, _), established(scp.port) as peer:
        peer.sendall(said(command))
        sleep(0.5)
        seconds_to_send(scp, path)


def said(command: str) -> bytes:
    """A command in a P-DATA-TF (PS3.8 section 9.3.5), over the first presentation context."""
    value = b"\x01\x03" + bytes.fromhex(command)
    item = len(value).to_bytes(4, "big") + value
    return b"\x04\x00" + len(item).to_bytes(4, "big") + item


def test_nobody_is_reaped_while_its_object_is_being_stored(handler: associations.Handler) -> None:
    """Three idle time-outs long, and for nobody who would like the place either."""

    def slowly(item: Incoming) -> Receipt:
        sleep(3)
        return handler(item)

    settings = {"idle_timeout": timedelta(seconds=1), "spare_after": timedelta(seconds=0.3), "max_associations": 1}
    with associations.scp_with(slowly, **settings) as scp, connected(scp.port) as other:
        threading.Timer(1.5, other.sendall, [request()]).start()
        assert associations.answer_to(scp, cr()).Status == 0
        assert other.recv(1)[0] == REJECT
