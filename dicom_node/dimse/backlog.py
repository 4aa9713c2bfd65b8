"""No more is read from a peer than can be worked on: what it sends without waiting for answers stays on its own side.

A peer has to wait for the answer to each request, since no asynchronous operations are negotiated (PS3.7 D.3.3.3).
pynetdicom reads on all the same, keeps whole objects in a queue without bounds, and serves each report of storage
commitment in a thread of its own.
"""

import threading
from typing import Any

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import N_EVENT_REPORT_RQ
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.events import Event, EventHandlerType

from dicom_node.dimse.wire import read_only_while

# Reports in work at once. A peer that keeps to the standard has one.
MOST_REPORTS = 2


class _Backlog:
    """What one association has in hand. Filled by the thread that reads, emptied by those that serve."""

    def __init__(self, association: Association) -> None:
        self._association = association
        self._lock = threading.Lock()
        self._reports = 0

    def has_room(self) -> bool:
        """Whether to read on: one request may wait while another is served."""
        if not self._association.is_established:
            return True
        return self._association.dimse.msg_queue.empty() and self._reports < MOST_REPORTS

    def heard(self, event: Event) -> None:
        if isinstance(event.message, N_EVENT_REPORT_RQ):
            with self._lock:
                self._reports += 1

    def served(self, request: Any) -> None:
        if isinstance(request, N_EVENT_REPORT):
            with self._lock:
                self._reports = max(0, self._reports - 1)


def read_in_step() -> EventHandlerType:
    """The handler that lets an association be read so; to come after the one that replaces `recv`."""

    def begin(event: Event) -> None:
        association = event.assoc
        backlog = _Backlog(association)
        association.bind(evt.EVT_DIMSE_RECV, backlog.heard)
        serve = association._serve_request  # noqa: SLF001 - what every request goes through, in whichever thread

        def serve_and_note(request: Any, context_id: int) -> None:
            try:
                serve(request, context_id)
            finally:
                backlog.served(request)

        setattr(association, "_serve_request", serve_and_note)  # noqa: B010 - mypy forbids the plain assignment
        read_only_while(event, backlog.has_room)

    return evt.EVT_CONN_OPEN, begin
