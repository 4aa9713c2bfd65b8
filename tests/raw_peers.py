"""Peers that are no more than a socket, and say exactly what they are told."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, MaximumLengthNotification
from pynetdicom.presentation import build_context

from tests.beside import beside
from tests.dimse_objects import CR

ACCEPT = 2  # the type of an A-ASSOCIATE-AC (PS3.8 section 9.3.3)


def request() -> bytes:
    """An A-ASSOCIATE-RQ as it goes over the wire."""
    asked = A_ASSOCIATE()
    asked.application_context_name = "1.2.840.10008.3.1.1.1"
    asked.calling_ae_title, asked.called_ae_title = "DRIBBLER", "REGION"
    context = build_context(CR)
    context.context_id = 1
    asked.presentation_context_definition_list = [context]
    longest = MaximumLengthNotification()
    longest.maximum_length_received = 16384
    asked.user_information = [longest]
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
