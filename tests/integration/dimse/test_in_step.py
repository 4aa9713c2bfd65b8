"""However large an object is and however slow its destination, little of it is in memory while it is sent."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from pynetdicom import evt
from pynetdicom.events import Event
from pynetdicom.pdu import P_DATA_TF

from dicom_node.dimse import scu as scu_module
from dicom_node.dimse.in_step import BYTES_AHEAD, LONGEST_SENT
from dicom_node.errors import AbortedError, TransientError
from tests.dimse_objects import incoming, written
from tests.stock_receiver import Received, receiver, sender

LARGE = 40 << 20


@pytest.fixture
def large(tmp_path: Path) -> Path:
    return written(tmp_path, incoming(PixelData=bytes(range(256)) * (LARGE // 256)))


@pytest.mark.parametrize("longest", [0, 64 << 10, 16 << 20])
def test_a_sender_is_never_further_ahead_than_its_measure(longest: int, large: Path) -> None:
    """0: the peer has no limit, and gets pieces all the same."""
    received: Received = []
    waiting, lengths = [0], [0]

    def look(event: Event) -> None:
        if isinstance(event.pdu, P_DATA_TF):
            association = scu._association
            waiting.append(len(association.dul.to_provider_queue.queue) if association else 0)
            lengths.append(event.pdu.pdu_length)

    more = [(evt.EVT_PDU_RECV, look)]
    with receiver(received=received, more=more, maximum_pdu_size=longest) as peer, sender(peer) as scu:
        scu.send(large)
    assert large.read_bytes().endswith(received[0][1])
    assert max(waiting) * max(lengths) <= BYTES_AHEAD
    assert LONGEST_SENT // 16 - 10 <= max(lengths) <= LONGEST_SENT


def test_a_peer_that_takes_no_more_is_given_up(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scu_module, "SLOWEST_BYTES_PER_SECOND", 1 << 40)
    enough = threading.Event()

    def stall(event: Event) -> None:
        if isinstance(event.pdu, P_DATA_TF):
            enough.wait(30)

    # The peer reads on before the socket's own patience ends, which else could be the first to give up.
    release = threading.Timer(5.0, enough.set)
    patience = {"timeout": timedelta(seconds=2), "idle_after": timedelta(seconds=15)}
    with receiver(more=[(evt.EVT_PDU_RECV, stall)]) as peer, sender(peer, **patience) as scu:
        release.start()
        with pytest.raises(TransientError, match="take an object"):
            scu.send(large)


def test_a_peer_that_breaks_off_in_the_middle_is_found_so(large: Path) -> None:
    def break_off(event: Event) -> None:
        if isinstance(event.pdu, P_DATA_TF):
            event.assoc.dul.socket.close()

    with receiver(more=[(evt.EVT_PDU_RECV, break_off)]) as peer, sender(peer) as scu, pytest.raises(AbortedError):
        scu.send(large)
