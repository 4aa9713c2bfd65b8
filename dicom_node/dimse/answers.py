"""What a destination says to a request of ours: an answer to that very request, or nothing that can be believed.

pynetdicom takes the next message for the answer, whatever it is and to whatever; and where a destination says what no
peer may say, it lets whoever waits for an answer wait on, or a thread die with a traceback.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

import structlog
from pynetdicom.association import Association
from pynetdicom.events import Event

from dicom_node.errors import AbortedError

log = structlog.get_logger(__name__)

# States and events of PS3.8 section 9.2. Aborted: until the peer has closed its end.
_WE_WAIT_FOR_ITS_WORD, _PEER_RELEASES = ("Sta5", "Sta6", "Sta7"), "Sta8"
_IDLE, _ABORTED = "Sta1", "Sta13"
_WE_ABORT = "Evt15"

_nonsense: WeakSet[Association] = WeakSet()


@contextmanager
def only_answers(association: Association, kind: type, to: int) -> Iterator[None]:
    """Within this context, what is waited for is a response of this kind to the message `to` (PS3.7 section 9.3.1.2).

    Raises AbortedError in the end where another message came, or what is no message at all. Then the association is
    over.
    """
    get, heard = association.dimse.get_msg, []

    def get_answer(block: bool = False) -> tuple[Any, Any]:  # noqa: FBT001, FBT002 - as pynetdicom's own
        if not block:
            # pynetdicom's own loop, which should be paused: when it has just been let go after the request before, it
            # looks once more, and would throw the answer away.
            return None, None
        context_id, message = get(block)
        if message is None:
            return context_id, message
        heard.append(message)
        return (context_id, message) if _is_answer(message, kind, to) else (None, None)

    setattr(association.dimse, "get_msg", get_answer)  # noqa: B010 - mypy forbids the plain assignment
    try:
        yield
    finally:
        setattr(association.dimse, "get_msg", get)  # noqa: B010 - the same
    if heard and not _is_answer(heard[-1], kind, to):
        raise AbortedError(
            f"the peer answered our {_name(kind)} with a {_name(type(heard[-1]))} that is no answer to it"
        )
    if not heard and spoke_nonsense(association):
        raise AbortedError("the peer answered with what no DICOM peer may say")


def _is_answer(message: Any, kind: type, to: int) -> bool:
    of_the_kind = isinstance(message, kind)
    return bool(of_the_kind and message.is_valid_response and message.MessageIDBeingRespondedTo == to)


def _name(kind: type) -> str:
    return kind.__name__.replace("_", "-")


def spoke_nonsense(association: Association) -> bool:
    """Whether an association was ended by `end_on_nonsense`."""
    return association in _nonsense


def end_on_nonsense(event: Event) -> None:
    """Handler of EVT_CONN_OPEN for senders: what may not be said ends the association, and nobody waits any longer."""
    association = event.assoc
    machine = association.dul.state_machine
    act = machine.do_action

    def act_or_end(what: str) -> None:
        before = machine.current_state
        try:
            act(what)
        except Exception as error:  # noqa: BLE001 - a message that cannot be read, or one in no state that there is
            _end(association, before, type(error).__name__)
            return
        if before in _WE_WAIT_FOR_ITS_WORD and machine.current_state == _ABORTED and what != _WE_ABORT:
            _end(association, before, "a PDU out of turn")
        elif machine.current_state == _PEER_RELEASES:
            association.dimse.msg_queue.put((None, None))

    setattr(machine, "do_action", act_or_end)  # noqa: B010 - the same


def _end(association: Association, state: str, kind: str) -> None:
    if state not in (_IDLE, _ABORTED):  # what comes after the end was said to nobody
        _nonsense.add(association)
        log.warning("association_broken", peer=association.acceptor.address, kind=kind)
    wrapped = association.dul.socket
    if wrapped is not None and wrapped.socket is not None:
        with suppress(OSError):  # the peer was quicker
            socket.socket.shutdown(wrapped.socket, socket.SHUT_RDWR)
    association.dul.kill_dul()
    association.dimse.msg_queue.put((None, None))
    association.dul.to_user_queue.put(None)
