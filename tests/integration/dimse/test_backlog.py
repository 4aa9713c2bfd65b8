"""Peers that do not wait for answers: what they send stays on their side, and nothing of it is lost."""

import threading
from datetime import timedelta

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.events import Event

from dicom_node.dimse.contexts import PUSH_MODEL
from dicom_node.dimse.scp import ScpSettings, StoreScp
from dicom_node.instance import Incoming, Receipt
from dicom_node.testing import MemoryLedger
from tests.associations import Handler, scp_with
from tests.beside import beside
from tests.dimse_objects import incoming
from tests.raw_peers import PDATA, accepted, heard, reporting, request, storing
from tests.servers.programs import wait_until

OBJECTS, REPORTS = 30, 100
MANY = 2 << 20  # bytes of one object
# Of objects: one in work, one that waits, and what lies in the buffers of a loopback connection.
MOST_TAKEN = 12 * MANY


def test_objects_that_come_without_waiting_for_answers_do_not_pile_up_in_memory_and_are_all_stored(
    handler: Handler, ledger: MemoryLedger
) -> None:
    go_on = threading.Event()

    def slowly(item: Incoming) -> Receipt:
        go_on.wait(20)
        return handler(item)

    images = [
        storing(incoming(f"1.2.{number}", syntax=ImplicitVRLittleEndian, PixelData=bytes(MANY)))
        for number in range(OBJECTS)
    ]
    words = memoryview(b"".join(images))
    with scp_with(slowly) as scp, accepted(scp.port) as peer:
        peer.settimeout(1)
        sent = 0
        with pytest.raises(TimeoutError):
            while True:
                sent += peer.send(words[sent:])
        assert sent < MOST_TAKEN
        peer.settimeout(20)
        go_on.set()
        with beside(lambda _: peer.sendall(words[sent:])):
            assert [heard(peer)[0] for _ in images] == [PDATA] * OBJECTS
    assert ledger.records.counts().received == OBJECTS


def test_reports_that_come_without_waiting_for_answers_are_worked_on_two_at_a_time(handler: Handler) -> None:
    """Each has a thread of its own."""
    go_on, working = threading.Event(), threading.Semaphore(0)

    def report(event: Event) -> tuple[Dataset, None]:
        working.release()
        go_on.wait(20)
        answer = Dataset()
        answer.Status = 0
        return answer, None

    scp = StoreScp(ScpSettings(ae_title="REGION"), handler, commitment=[(evt.EVT_N_EVENT_REPORT, report)])
    scp.start()
    try:
        with accepted(scp.port, request(16384, PUSH_MODEL)) as peer:
            before = threading.active_count()
            peer.sendall(reporting() * REPORTS)
            assert working.acquire(timeout=10)
            assert working.acquire(timeout=10)
            assert not working.acquire(timeout=1)
            assert threading.active_count() <= before + 2  # one that let the peer in may have ended meanwhile
            go_on.set()
            assert [heard(peer)[0] for _ in range(REPORTS)] == [PDATA] * REPORTS
        wait_until(lambda: not scp.associations, what="the end of its threads")
    finally:
        scp.stop(timedelta(0))
