"""C-STORE requests whose command names no object, or several: they get an answer, as every request does.

pynetdicom says nothing to a request without its Affected SOP Instance UID, so that its sender waits until it gives up;
of several UIDs it takes the first; and over one that is too long it aborts, at which a sender tries again for ever.
Here all of these come to the handler of EVT_C_STORE with an empty UID.
"""

from typing import Any

from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event, EventHandlerType

LONGEST_UID = 64  # PS3.5 section 9.1


def hear_the_unnamed() -> list[EventHandlerType]:
    return [(evt.EVT_CONN_OPEN, _serve_the_unnamed), (evt.EVT_DIMSE_RECV, _take_away_what_names_no_object)]


def _take_away_what_names_no_object(event: Event) -> None:
    """In the command, before pynetdicom reads it."""
    if not isinstance(event.message, C_STORE_RQ):
        return
    element = event.message.command_set.get("AffectedSOPInstanceUID")
    uid = element if element is not None else ""
    if not isinstance(uid, str) or len(uid) > LONGEST_UID:
        event.message.command_set.AffectedSOPInstanceUID = ""


def _serve_the_unnamed(event: Event) -> None:
    association = event.assoc
    serve = association._serve_request  # noqa: SLF001 - what every request goes through, in whichever thread

    def serve_also_the_unnamed(request: Any, context_id: int) -> None:
        if isinstance(request, C_STORE) and request.AffectedSOPInstanceUID is None:
            request._affected_sop_instance_uid = UID("")  # noqa: SLF001 - its setter would make None of it again
        serve(request, context_id)

    setattr(association, "_serve_request", serve_also_the_unnamed)  # noqa: B010 - mypy forbids the plain assignment
