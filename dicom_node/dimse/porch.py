"""Where connections wait until they have said something: none costs a thread, or a place, before it asks for one.

pynetdicom gives every connection two threads at once. Here they wait together, in one, until a whole A-ASSOCIATE-RQ
(or a whole TLS ClientHello) lies in their socket, unread: the kernel says so, by SO_RCVLOWAT (socket(7)). Whoever
connects and says nothing, or says it byte by byte, keeps nobody else out: each has only so long, and when the porch is
full, the one that has waited longest goes. So does, in the end, one that has asked and for which there is no room.
"""

import select
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from struct import unpack
from time import monotonic

import structlog

log = structlog.get_logger(__name__)

PLACES = 400
# From connecting to a whole request; a real sender takes milliseconds.
PATIENCE_SECONDS = 10.0
TICK_SECONDS = 0.5

_HEADER = 6  # of a PDU (PS3.8 section 9.3.1): type, reserved, four bytes of length
_TLS_HEADER = 5  # of a record (RFC 8446 section 5.1): type, two of version, two of length
_ASSOCIATE_RQ, _TLS_HANDSHAKE = 0x01, 0x16
# Requests with 128 contexts are below this; what is longer is let in, and read under the receiver's own limits.
LONGEST_WAITED_FOR = 64 << 10


@dataclass(kw_only=True)
class _Caller:
    """One connection, and what is to be done with it once `needed` bytes are there."""

    raw: socket.socket
    address: str
    let_in: Callable[[], None]
    until: float
    has_room: Callable[[], bool]
    on_no_room: Callable[[], None]
    has_asked: bool = False  # and waits for room, its socket unwatched: it would be readable all the while
    needed: int = _HEADER
    can_wait: bool = False  # whether the kernel tells when all of it is there; else it is let in at its first bytes


class Porch:
    """A thread with the connections that have not asked for anything yet. `on_tick` is called twice a second."""

    def __init__(
        self, *, patience: float = PATIENCE_SECONDS, places: int = PLACES, on_tick: Callable[[], None] = lambda: None
    ) -> None:
        self._patience = patience
        self._places = places
        self._on_tick = on_tick
        self._lock = threading.Lock()
        self._new: list[_Caller] = []
        self._callers: dict[socket.socket, _Caller] = {}  # the longest waiting first
        self._selector = selectors.DefaultSelector()
        self._bell, self._rope = socket.socketpair()
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._stopping = False
        self._is_room_again = False
        self._thread = threading.Thread(target=self._run, name="porch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close what still waits."""
        self._stopping = True
        self._ring()
        self._thread.join()
        for caller in [*self._new, *self._callers.values()]:
            caller.raw.close()
        self._selector.close()
        self._bell.close()
        self._rope.close()

    def wait_for_words(
        self,
        raw: socket.socket,
        address: str,
        let_in: Callable[[], None],
        *,
        has_room: Callable[[], bool] = lambda: True,
        on_no_room: Callable[[], None] = lambda: None,
    ) -> None:
        """Call `let_in` from the porch's thread when the connection has asked for something and `has_room` says that
        it may come in, or close it, and call `on_no_room` if that was what it waited for.
        """
        until = monotonic() + self._patience
        caller = _Caller(raw=raw, address=address, let_in=let_in, until=until, has_room=has_room, on_no_room=on_no_room)
        with self._lock:
            self._new.append(caller)
        self._ring()

    def room_again(self) -> None:
        """Ask `has_room` anew for those who wait for it."""
        self._is_room_again = True
        self._ring()

    def _ring(self) -> None:
        with suppress(OSError):
            self._rope.send(b"!")

    def _run(self) -> None:
        next_tick = monotonic()
        while not self._stopping:
            for key, _ in self._selector.select(TICK_SECONDS):
                if key.fileobj is self._bell:
                    self._bell.recv(4096)
                    self._take_the_new()
                elif key.fileobj in self._callers:  # the one before it may have sent it away
                    self._attend(self._look_at, key.data)
            if self._is_room_again:
                self._is_room_again = False
                self._let_in_who_asked()
            if monotonic() >= next_tick:
                next_tick = monotonic() + TICK_SECONDS
                self._send_away_the_slow()
                self._tick()

    def _take_the_new(self) -> None:
        with self._lock:
            new, self._new = self._new, []
        for caller in new:
            self._attend(self._take_in, caller)

    def _let_in_who_asked(self) -> None:
        for caller in [caller for caller in self._callers.values() if caller.has_asked]:
            self._attend(self._let_in, caller)

    def _attend(self, act: Callable[[_Caller], None], caller: _Caller) -> None:
        """Whatever goes wrong with one connection (no thread for it, say), the others still need their porch."""
        try:
            act(caller)
        except Exception as error:  # noqa: BLE001 - see above
            log.error("porch_trouble", peer=caller.address, kind=type(error).__name__)
            self._send_away(caller, None)

    def _take_in(self, caller: _Caller) -> None:
        if len(self._callers) >= self._places:
            self._send_away(next(iter(self._callers.values())), "the porch is full")
        caller.can_wait = _wake_at(caller.raw, _HEADER)
        self._selector.register(caller.raw, selectors.EVENT_READ, caller)
        self._callers[caller.raw] = caller

    def _look_at(self, caller: _Caller) -> None:
        try:
            there = caller.raw.recv(caller.needed, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            there = b""
        needed = _needed(there) if len(there) >= _TLS_HEADER else _HEADER
        if caller.needed < needed:
            caller.needed = needed
            caller.can_wait = _wake_at(caller.raw, needed)
            if caller.can_wait:
                return
        if not there or (len(there) < needed and caller.can_wait and _has_hung_up(caller.raw)):
            self._send_away(caller, None)
            return
        self._let_in(caller)

    def _let_in(self, caller: _Caller) -> None:
        if caller.has_room():
            self._forget(caller)
            _wake_at(caller.raw, 1)
            caller.let_in()
        elif not caller.has_asked:
            self._selector.unregister(caller.raw)
            caller.has_asked = True

    def _send_away_the_slow(self) -> None:
        now = monotonic()
        for caller in list(self._callers.values()):
            if caller.until > now:
                return
            self._attend(partial(self._send_away, why="it asked for nothing in time"), caller)

    def _send_away(self, caller: _Caller, why: str | None) -> None:
        self._forget(caller)
        with suppress(OSError):
            caller.raw.close()
        if why is not None and caller.has_asked:
            caller.on_no_room()
        elif why is not None:
            log.warning("connection_sent_away", peer=caller.address, reason=why)

    def _forget(self, caller: _Caller) -> None:
        if self._callers.pop(caller.raw, None) is not None and not caller.has_asked:
            self._selector.unregister(caller.raw)

    def _tick(self) -> None:
        try:
            self._on_tick()
        except Exception as error:  # noqa: BLE001 - whatever it is, connections still need their porch
            log.error("porch_trouble", kind=type(error).__name__)


def _needed(there: bytes) -> int:
    """How many bytes a connection's first request has, told from its head."""
    if there[0] == _TLS_HANDSHAKE:
        (length,) = unpack(">H", there[3:5])
        return min(_TLS_HEADER + int(length), LONGEST_WAITED_FOR)
    if there[0] == _ASSOCIATE_RQ and len(there) >= _HEADER:
        (length,) = unpack(">L", there[2:6])
        return min(_HEADER + int(length), LONGEST_WAITED_FOR)
    return len(there)


def _has_hung_up(raw: socket.socket) -> bool:
    """Whether its peer will say no more. A kernel short of memory wakes us early for one that will."""
    poll = select.poll()
    poll.register(raw, getattr(select, "POLLRDHUP", 0))
    return bool(poll.poll(0))


def _wake_at(raw: socket.socket, octets: int) -> bool:
    """Let the socket be readable when so much is there; False where that cannot be set."""
    try:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, octets)
    except (OSError, AttributeError):
        return False
    return True
