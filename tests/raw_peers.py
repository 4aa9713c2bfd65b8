"""Peers that are no more than a socket, and say exactly what they are told."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO

from pydicom.uid import UID
from pynetdicom.dimse_messages import C_STORE_RQ, N_EVENT_REPORT_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_STORE, N_EVENT_REPORT
from pynetdicom.pdu import A_ASSOCIATE_RQ, P_DATA_TF
from pynetdicom.pdu_primitives import A_ASSOCIATE, MaximumLengthNotification
from pynetdicom.presentation import build_context

from dicom_node.dimse.contexts import PUSH_MODEL, PUSH_MODEL_INSTANCE
from dicom_node.instance import Incoming
from tests.beside import beside
from tests.dimse_objects import CR

ACCEPT, REJECT, PDATA, ABORT = 2, 3, 4, 7  # types of PDUs (PS3.8 section 9.3.1)
LAST_OF_COMMAND, LAST_OF_DATA = 3, 2  # message control headers (PS3.8 section E.2)


def request(longest: int | None = 16384, *sop_classes: str) -> bytes:
    """An A-ASSOCIATE-RQ as it goes over the wire, with a context for CR or for each of others, in Implicit VR first;
    `longest`: the Maximum Length.
    """
    asked = A_ASSOCIATE()
    asked.application_context_name = "1.2.840.10008.3.1.1.1"
    asked.calling_ae_title, asked.called_ae_title = "DRIBBLER", "REGION"
    contexts = [build_context(sop_class) for sop_class in sop_classes or (CR,)]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    asked.presentation_context_definition_list = contexts
    if longest is not None:
        item = MaximumLengthNotification()
        item.maximum_length_received = longest
        asked.user_information = [item]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(asked)
    return pdu.encode()


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 10)


def established(port: int) -> socket.socket:
    """An association of which nothing more will come by itself."""
    peer = connected(port)
    peer.sendall(request())
    assert peer.recv(1)[0] == ACCEPT
    return peer


def accepted(port: int, asked: bytes | None = None) -> socket.socket:
    """An association whose answer has been read to its end."""
    peer = connected(port)
    peer.sendall(asked or request())
    assert heard(peer)[0] == ACCEPT
    return peer


def pdata(header: int, value: bytes) -> bytes:
    """A P-DATA-TF with one value, over the first presentation context."""
    item = bytes([1, header]) + value
    item = len(item).to_bytes(4, "big") + item
    return bytes([PDATA, 0]) + len(item).to_bytes(4, "big") + item


def storing(item: Incoming, named: str | None = None) -> bytes:
    """The PDUs of a C-STORE, over the first presentation context; `named`: as the command calls it instead."""
    primitive = C_STORE()
    primitive.MessageID, primitive.Priority = 1, 0
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = item.sop_class_uid, item.sop_instance_uid
    primitive.DataSet = BytesIO(item.dataset)
    if named is not None:
        primitive._affected_sop_instance_uid = UID(named)
    return _pdus(C_STORE_RQ(), primitive)


def reporting() -> bytes:
    """The PDUs of an N-EVENT-REPORT of storage commitment that says nothing, over the first presentation context."""
    primitive = N_EVENT_REPORT()
    primitive.MessageID, primitive.EventTypeID = 1, 1
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = PUSH_MODEL, PUSH_MODEL_INSTANCE
    return _pdus(N_EVENT_REPORT_RQ(), primitive)


def _pdus(message: DIMSEMessage, primitive: object) -> bytes:
    message.primitive_to_message(primitive)
    return b"".join(P_DATA_TF(piece).encode() for piece in message.encode_msg(1, 128 << 10))


def heard(peer: socket.socket) -> tuple[int, bytes]:
    """The next PDU of the receiver: its type, and what follows its length."""
    head = _exactly(peer, 6)
    return head[0], _exactly(peer, int.from_bytes(head[2:], "big"))


def _exactly(peer: socket.socket, size: int) -> bytes:
    octets = b""
    while len(octets) < size:
        piece = peer.recv(size - len(octets))
        if not piece:
            raise EOFError
        octets += piece
    return octets


def is_closed(peer: socket.socket) -> bool:
    peer.settimeout(0)
    try:
        return peer.recv(1 << 16) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@contextmanager
def dribbling(peers: list[socket.socket], words: Callable[[], bytes]) -> Iterator[None]:
    """A byte of `words` to each peer, again and again; who is gone is gone."""

    def dribble(enough: threading.Event) -> None:
        for octet in words():
            for peer in peers:
                try:
                    peer.send(bytes([octet]))
                except OSError:
                    continue
            if enough.wait(0.05):
                return

    with beside(dribble):
        yield
