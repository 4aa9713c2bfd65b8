"""How long the receiver bears with a peer that gets nowhere, by timers of its own.

pynetdicom's idle timer starts again with every PDU and is not looked at while a read blocks, so that a peer that sends
a byte now and then keeps its association for ever. Here it counts what gets done: a message, or a good piece of one.
"""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

import structlog
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import A_P_ABORT
from pynetdicom.transport import AssociationSocket

from dicom_node.dimse.wire import receive_promptly

log = structlog.get_logger(__name__)

# As much of a message in one idle time-out is progress. Over the slowest line, a modem's, that is less than 3 s.
A_GOOD_PIECE = 16 << 10
# A-ABORT by the service provider, no reason given (PS3.8 section 9.3.8).
_ABORT = bytes([7, 0, 0, 0, 0, 4, 0, 0, 2, 0])
# States of PS3.8 table 9-10 in which there is no association to be aborted: none yet, or none any more.
_BEFORE_OR_AFTER = ("Sta1", "Sta2", "Sta13")
# For a peer that was rejected, released or aborted to close its end.
_HANGING_UP_SECONDS = 5.0
# `reap` is called more often than this, unless the whole process did not run.
_STOOD_STILL_SECONDS = 2.0


class Progress:
    """How far one peer has come. Written by its own threads, read by the one that looks after all of them."""

    def __init__(self) -> None:
        self.at = monotonic()
        self.over = False  # it was rejected, has ended or was ended, and is only still hanging up
        self._octets = 0
        self._lock = threading.Lock()
        self._served = 0  # requests of it that are being worked on, so that it waits for us: by more than one thread

    @property
    def busy(self) -> bool:
        return self._served > 0

    @contextmanager
    def serving(self) -> Iterator[None]:
        with self._lock:
            self._served += 1
        try:
            yield
        finally:
            self.done()
            with self._lock:
                self._served -= 1

    def read(self, octets: int) -> None:
        self._octets += octets
        if self._octets >= A_GOOD_PIECE:
            self.done()

    def done(self) -> None:
        self.at = monotonic()
        self._octets = 0


class Patience:
    """Looks after the associations of one receiver. `idle`: seconds without progress after which one is ended; `spare`:
    after which it may be ended when another peer needs its place.
    """

    def __init__(self, *, idle: float, spare: float) -> None:
        self._idle = idle
        self._spare = spare
        self._lock = threading.Lock()
        self._room = threading.Lock()
        self._looked_at = monotonic()
        self._progress: WeakKeyDictionary[Association, Progress] = WeakKeyDictionary()

    def begin(self, event: Event) -> None:
        """Handler of EVT_CONN_OPEN."""
        progress = Progress()
        with self._lock:
            self._progress[event.assoc] = progress
        receive_promptly(event, patience=self._idle, on_read=progress.read)
        _end_on_nonsense(event.assoc)
        _note_serving(event.assoc, progress)

    def got_on(self, event: Event) -> None:
        """Handler of EVT_DIMSE_RECV and EVT_DIMSE_SENT: a whole message is here, or goes out."""
        self._of(event.assoc).done()

    def over(self, association: Association) -> None:
        """It is to end now: a peer that goes on talking is not listened to for long."""
        progress = self._of(association)
        progress.done()
        progress.over = True

    def reap(self) -> None:
        """End every association that got nowhere for too long, and cut off those that were to end and have not.

        To be called every second or so. Time in which the process itself stood still is nobody's idleness: what the
        peers sent meanwhile lies unread.
        """
        self._forgive_our_own_silence()
        for association, progress, idle_for in self._waiting():
            if _waits_in_vain(association):
                _wake(association)
            elif progress.over and idle_for > _HANGING_UP_SECONDS:
                _cut(association)
            elif not progress.over and idle_for > self._idle:
                log.warning("association_reaped", peer=association.requestor.address, idle_seconds=round(idle_for, 1))
                self._end(association)

    def end_the_quiet(self, quiet: float) -> None:
        """End the associations whose peer has said nothing for so many seconds, and is not in the middle of a message.

        At once: none of them waits for another's end.
        """
        for association, progress, idle_for in self._waiting():
            if idle_for < quiet or association.dimse.message is not None:
                continue
            if progress.over:
                _cut(association)
            else:
                self._end(association)

    def end_all(self) -> None:
        """End whatever runs; what is being stored is stored, but nobody will hear so."""
        with self._lock:
            running = [one for one in self._progress if one.is_alive()]
        for association in running:
            self._end(association)

    def _forgive_our_own_silence(self) -> None:
        now = monotonic()
        silent = now - self._looked_at
        self._looked_at = now
        if silent < _STOOD_STILL_SECONDS:
            return
        with self._lock:
            for progress in self._progress.values():
                progress.at = min(progress.at + silent, now)

    def has_place(self, association: Association, places: int) -> bool:
        """Whether an association has one of so many places; if need be, that of the one that has got nowhere for
        longest, if that is long enough, and which is ended for its sake.
        """
        with self._room:
            waiting = [one for one in self._waiting() if not one[1].over]
            if self._count_open() <= places:
                return True
            for other, _, idle_for in waiting:
                if other is association:
                    continue
                if idle_for < self._spare:
                    return False
                log.warning("association_made_room", peer=other.requestor.address, idle_seconds=round(idle_for, 1))
                self._end(other)
                return True
        return False

    def _end(self, association: Association) -> None:
        self.over(association)
        _tell(association)
        _cut(association)

    def _count_open(self) -> int:
        with self._lock:
            return sum(one.is_alive() and not progress.over for one, progress in self._progress.items())

    def _of(self, association: Association) -> Progress:
        with self._lock:
            return self._progress.setdefault(association, Progress())

    def _waiting(self) -> list[tuple[Association, Progress, float]]:
        """Associations that wait for their peer, with the seconds for which they do, the longest first."""
        now = monotonic()
        with self._lock:
            waiting = [(one, progress, now - progress.at) for one, progress in self._progress.items()]
        alive = (entry for entry in waiting if entry[0].is_alive() and not _waits_for_us(*entry[:2]))
        return sorted(alive, key=lambda entry: -entry[2])


def _note_serving(association: Association, progress: Progress) -> None:
    """The answer would not tell the end of the work: to some requests, C-CANCEL for one, pynetdicom gives none."""
    serve = association._serve_request  # noqa: SLF001 - what every request goes through, in whichever thread

    def serve_and_note(*request: Any) -> None:
        with progress.serving():
            serve(*request)

    setattr(association, "_serve_request", serve_and_note)  # noqa: B010 - mypy forbids the plain assignment


def _waits_for_us(association: Association, progress: Progress) -> bool:
    return progress.busy or not association.dimse.msg_queue.empty()


def _end_on_nonsense(association: Association) -> None:
    """What a peer may not say ends its association; pynetdicom's thread would die of it with a traceback, and the one
    that serves its requests would hear nothing of it.
    """
    machine = association.dul.state_machine
    act = machine.do_action

    def act_or_end(event: str) -> None:
        try:
            act(event)
        except Exception as error:  # noqa: BLE001 - a PDU out of turn, or one that says what cannot be
            log.warning("association_broken", peer=association.requestor.address, kind=type(error).__name__)
            if machine.current_state not in _BEFORE_OR_AFTER:
                association.dul.to_user_queue.put(_no_more())
            _tell(association)
            _cut(association)
            association.dul.kill_dul()

    setattr(machine, "do_action", act_or_end)  # noqa: B010 - mypy forbids the plain assignment


def _no_more() -> A_P_ABORT:
    """The indication that the provider has ended an association."""
    abort = A_P_ABORT()
    abort.provider_reason = 0
    return abort


def _waits_in_vain(association: Association) -> bool:
    """Whether it waits for a request over a line that has ended: pynetdicom tells it nothing of that."""
    if association.requestor.primitive is not None:
        return False
    if association.dul.ident is None:
        return False  # it has just begun: the thread that reads its line has yet to start
    return _raw(association) is None or not association.dul.is_alive()


def _wake(association: Association) -> None:
    """As if the time for the request were over."""
    association.dul.to_user_queue.put(None)


def _tell(association: Association) -> None:
    raw = _raw(association)
    if raw is not None and not isinstance(raw, ssl.SSLSocket):  # two threads may not use one TLS session
        with suppress(OSError):
            raw.send(_ABORT, socket.MSG_DONTWAIT)


def _cut(association: Association) -> None:
    """End the line, and with it any read: pynetdicom's own abort would wait for one that may take for ever."""
    raw = _raw(association)
    if raw is not None:
        with suppress(OSError):  # the peer was quicker
            socket.socket.shutdown(raw, socket.SHUT_RDWR)
    if association.requestor.primitive is None:
        _wake(association)


def _raw(association: Association) -> socket.socket | None:
    wrapped: AssociationSocket | None = association.dul.socket
    return wrapped.socket if wrapped is not None else None
