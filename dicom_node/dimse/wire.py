"""How the node reads from and writes to an association's socket: without pauses, and never waiting for ever.

A stock sender writes the command and the data set of a C-STORE in separate segments and leaves Nagle's algorithm on:
its next segment waits until the last one is acknowledged, and Linux holds that acknowledgement back for 40 ms. That
is 22 images a second where the wire could carry hundreds. Linux forgets TCP_QUICKACK by itself (tcp(7)), so it is set
again before each read. Elsewhere the option does not exist and nothing changes.

pynetdicom reads through `AssociationSocket.recv`; EVT_CONN_OPEN is where an association's socket is known and no byte
has been read yet, so that is where `recv` is replaced, for that one object. With it `ready`, which asks `select`: to
that no descriptor from 1024 on is known, and pynetdicom takes each such connection for a closed one.
"""

import select
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import cast

from pynetdicom.events import Event
from pynetdicom.transport import AssociationSocket

_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
# pynetdicom reads 4 KiB at a time: 2000 turns for one radiograph.
_AT_ONCE = 256 << 10
# P-DATA is bound by our maximum PDU size, and no other PDU comes near this; a peer that is not DICOM may claim 4 GiB.
LONGEST_PDU = 8 << 20


def receive_promptly(event: Event, *, patience: float | None, on_read: Callable[[int], object] = int) -> None:
    """In a handler of EVT_CONN_OPEN: read in large pieces, acknowledge each at once, and give up on a peer that died.

    pynetdicom's own timers do not see a peer that falls silent in the middle of a PDU; here, one read waits `patience`
    seconds at most. `on_read` is told of every piece, how many bytes it has.
    """
    wrapped, raw = _sockets(event)
    raw.settimeout(patience)
    setattr(wrapped, "__class__", PolledSocket)  # noqa: B010 - `ready` is a property, which only a class can have
    setattr(wrapped, "recv", partial(_receive, raw, on_read))  # noqa: B010 - mypy forbids the plain assignment


def send_promptly(event: Event) -> None:
    """Handler of EVT_CONN_OPEN for senders: as above, and no segment of ours waits for an acknowledgement."""
    receive_promptly(event, patience=event.assoc.network_timeout)
    _sockets(event)[1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def read_only_while(event: Event, has_room: Callable[[], bool]) -> None:
    """In a handler of EVT_CONN_OPEN, after the above: as long as there is no room, nothing is there to be read."""
    wrapped = _sockets(event)[0]
    if isinstance(wrapped, PolledSocket):
        wrapped.has_room = has_room


class PolledSocket(AssociationSocket):
    """pynetdicom's own, with another `ready`."""

    has_room: Callable[[], bool] = staticmethod(lambda: True)

    @property
    def ready(self) -> bool:
        """Whether there is something to read, be it the end, and room for it."""
        raw = self.socket
        if raw is None or not self._is_connected or not self.has_room():
            return False
        try:
            return _is_readable(raw)
        except (OSError, ValueError):
            self.event_queue.put("Evt17")  # transport connection closed (PS3.8 table 9-10)
            return False


def _is_readable(raw: socket.socket) -> bool:
    if isinstance(raw, ssl.SSLSocket) and raw.pending():
        return True
    poller = select.poll()
    poller.register(raw, select.POLLIN)
    return bool(poller.poll(0))


def _sockets(event: Event) -> tuple[AssociationSocket, socket.socket]:
    wrapped = cast("AssociationSocket", event.assoc.dul.socket)
    return wrapped, cast("socket.socket", wrapped.socket)


def _receive(raw: socket.socket, on_read: Callable[[int], object], size: int) -> bytearray:
    """Read `size` bytes, or fewer when the peer closes; as AssociationSocket.recv. Raises OSError."""
    if size > LONGEST_PDU:
        raise OSError(f"the peer announces a PDU of {size} bytes: it does not speak DICOM, or speaks it through TLS")
    received = bytearray()
    while len(received) < size:
        if _QUICKACK is not None:
            raw.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        piece = raw.recv(min(size - len(received), _AT_ONCE))
        if not piece:
            break
        on_read(len(piece))
        received.extend(piece)
    return received
