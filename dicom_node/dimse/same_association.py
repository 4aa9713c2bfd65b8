"""Reports over the association on which they were asked for (PS3.4 J.3.3 leaves that to the SCP), if it stays open.

Most peers release at once and take the report on an association that we open. One that does not may have no port of
its own. So each waits a while, in one thread, and what could not be told here is handed on.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from queue import Empty
from time import monotonic, sleep
from typing import cast

import structlog
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import N_EVENT_REPORT_RSP
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode
from pynetdicom.events import Event, EventHandlerType

from dicom_node.commitment import CommitmentReport, Promise
from dicom_node.dimse.commitment import event_type_of, report_dataset
from dicom_node.dimse.contexts import PUSH_MODEL, PUSH_MODEL_INSTANCE
from dicom_node.errors import reason

log = structlog.get_logger(__name__)

# A peer that goes on sending gets its report when it pauses, but waits no longer than this for it.
LONGEST_WAIT_SECONDS = 20.0
ANSWER_SECONDS = 10.0
# After which somebody else has to report, whatever became of this process: all of the above, and some room. A report
# that has not begun by then, for all the others before it, is left to them.
HELD_SECONDS = 45.0


@dataclass(kw_only=True)
class _Waiting:
    association: Association
    promise: Promise
    at: float
    until: float
    held_until: float
    # A request of the peer is being worked on: pynetdicom's loop counts as paused then, and is not.
    busy: bool = True


class SameAssociation:
    """`linger`: seconds of silence before a report goes out. `report_on` makes it, or says by None that the peer knows;
    then one of `told` and `hand_on` hears what became of it; neither does when the process dies.
    """

    def __init__(
        self,
        *,
        linger: float,
        report_on: Callable[[Promise], CommitmentReport | None],
        told: Callable[[Promise], None],
        hand_on: Callable[[Promise], None],
    ) -> None:
        self._linger = linger
        self._report_on = report_on
        self._told = told
        self._hand_on = hand_on
        self._changed = threading.Condition()
        self._waiting: list[_Waiting] = []
        self._settling: _Waiting | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="same-association", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What waits here is left to the next start."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def expect(self, association: Association, promise: Promise) -> None:
        """A peer has asked, over this association; for what it has asked before, it is told once all the same."""
        now = monotonic()
        until = now + LONGEST_WAIT_SECONDS
        waiting = _Waiting(
            association=association, promise=promise, at=until, until=until, held_until=now + HELD_SECONDS
        )
        with self._changed:
            before = [one for one in self._waiting if one.promise.id == promise.id]
            if self._settling in before:
                return
            for one in before:
                self._waiting.remove(one)
            self._waiting.append(waiting)
            self._changed.notify()

    def handlers(self) -> list[EventHandlerType]:
        ended = (evt.EVT_RELEASED, evt.EVT_ABORTED, evt.EVT_CONN_CLOSE)
        heard, sent = (evt.EVT_DIMSE_RECV, self._heard), (evt.EVT_DIMSE_SENT, self._answered)
        return [heard, sent, *((kind, self._ended) for kind in ended)]

    def _heard(self, event: Event) -> None:
        """The peer goes on: let it. Its answer to a report of ours is not that."""
        if isinstance(event.message, N_EVENT_REPORT_RSP):
            return
        with self._changed:
            for waiting in self._of(event):
                waiting.busy = True
                waiting.at = waiting.until

    def _answered(self, event: Event) -> None:
        """The next word is the peer's, and if it says nothing for a while, ours."""
        with self._changed:
            for waiting in self._of(event):
                waiting.busy = False
                waiting.at = min(monotonic() + self._linger, waiting.until)
            self._changed.notify()

    def _ended(self, event: Event) -> None:
        with self._changed:
            for waiting in self._of(event):
                waiting.at = 0.0
            self._changed.notify()

    def _of(self, event: Event) -> list[_Waiting]:
        return [waiting for waiting in self._waiting if waiting.association is event.assoc]

    def _run(self) -> None:
        while (waiting := self._next()) is not None:
            try:
                self._settle(waiting)
            except Exception as error:  # noqa: BLE001 - its time for this comes again, from the ledger
                log.error("commitment_report_trouble", error=reason(error))
            with self._changed:
                self._waiting.remove(waiting)
                self._settling = None

    def _next(self) -> _Waiting | None:
        """The one whose time has come, once there is one; None when all is over."""
        with self._changed:
            while not self._stopping:
                first = min(self._waiting, key=lambda waiting: waiting.at, default=None)
                left = None if first is None else first.at - monotonic()
                if first is not None and left is not None and left <= 0:
                    self._settling = first
                    return first
                self._changed.wait(left)
        return None

    def _settle(self, waiting: _Waiting) -> None:
        if monotonic() > waiting.held_until:
            return
        if not waiting.association.is_established or waiting.busy:
            self._hand_on(waiting.promise)
            return
        report = self._report_on(waiting.promise)
        if report is None:
            return
        if _tell(waiting, report):
            log.info("commitment_told", calling_ae=waiting.promise.calling_ae, over="the same association")
            self._told(waiting.promise)
        else:
            self._hand_on(waiting.promise)


def _tell(waiting: _Waiting, report: CommitmentReport) -> bool:
    """Send a report, serving what the peer asks for meanwhile; whether it confirmed it.

    pynetdicom's own `send_n_event_report` takes the next message for the answer, while a peer that knows nothing of our
    report may be in the middle of a request.
    """
    association = waiting.association
    accepted = [each for each in association.accepted_contexts if each.abstract_syntax == PUSH_MODEL]
    if not accepted:
        return False
    association._reactor_checkpoint.clear()  # noqa: SLF001 - how pynetdicom's own methods pause its loop
    try:
        while not association._is_paused:  # noqa: SLF001 - the same
            if not association.is_alive():
                return False
            sleep(0.001)
        if waiting.busy:
            return False
        syntax, context_id = accepted[0].transfer_syntax[0], cast("int", accepted[0].context_id)
        association.dimse.send_msg(_request(report, syntax), context_id)
        return _confirmed(association)
    except (OSError, RuntimeError, ValueError, AttributeError):
        return False
    finally:
        association._reactor_checkpoint.set()  # noqa: SLF001 - the same


def _confirmed(association: Association) -> bool:
    deadline = monotonic() + ANSWER_SECONDS
    while monotonic() < deadline and association.dul.is_alive():
        if association.dul.peek_next_pdu() is not None:
            return False  # it releases or aborts, and pynetdicom's loop has to see to that
        try:
            context_id, message = association.dimse.msg_queue.get(timeout=0.05)
        except Empty:
            continue
        if message is None:
            return False
        if isinstance(message, N_EVENT_REPORT) and not message.is_valid_request:
            return bool(message.Status == 0)
        association._serve_request(message, cast("int", context_id))  # noqa: SLF001 - what its loop would do
    return False


def _request(report: CommitmentReport, syntax: UID) -> N_EVENT_REPORT:
    request = N_EVENT_REPORT()
    request.MessageID = 1
    request.AffectedSOPClassUID = PUSH_MODEL
    request.AffectedSOPInstanceUID = PUSH_MODEL_INSTANCE
    request.EventTypeID = event_type_of(report)
    encoded = encode(report_dataset(report), syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
    request.EventInformation = BytesIO(encoded or b"")
    return request
