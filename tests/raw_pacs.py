"""A destination that is no more than a socket: it takes an association and an object, and answers what it is told."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pynetdicom.pdu import A_ASSOCIATE_RQ

from dicom_node.dimse.line import Peer
from tests.dimse_objects import CR
from tests.raw_peers import heard

# (context, message) -> what is said to it.
Answer = Callable[[int, int], bytes]

_DATA, _RELEASE = 4, 5  # types of PDUs (PS3.8 section 9.3)
_LAST_OF_A_DATA_SET, _LAST_OF_A_COMMAND = 2, 3
_RELEASED = struct.pack(">BxI4x", 6, 4)


def response(field: int = 0x8001, status: int | None = 0, to: int = 1) -> bytes:
    """The command set of a response, by default a C-STORE-RSP (PS3.7 section 9.3.1.2); `to`: its message's ID."""
    elements = [(0x0002, CR.encode() + b"\0"), (0x0100, _us(field)), (0x0120, _us(to)), (0x0800, _us(0x0101))]
    elements += [] if status is None else [(0x0900, _us(status))]
    content = b"".join(struct.pack("<HHI", 0, element, len(value)) + value for element, value in elements)
    return struct.pack("<HHII", 0, 0, 4, len(content)) + content


def command(content: bytes) -> Answer:
    """An answer that is one whole command in the context of the question."""
    return lambda context, _: _pdu(_DATA, struct.pack(">IBB", len(content) + 2, context, 3) + content)


def stored(context: int, message_id: int) -> bytes:
    """The answer of a destination that has an object."""
    return command(response(to=message_id))(context, message_id)


@contextmanager
def raw_pacs(
    answer: Answer, *, longest: int | None = 16384, to_commands: bool = False, greeting: bytes = b""
) -> Iterator[Peer]:
    """`answer`: to each object, or to each command. `longest`: its Maximum Length; None: it
    names none. `greeting`: what it says to a request for an association, instead of taking it.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    last = _LAST_OF_A_COMMAND if to_commands else _LAST_OF_A_DATA_SET

    def take(connection: socket.socket) -> None:
        _, asked = heard(connection)
        connection.sendall(greeting or _accepted(asked, longest))
        message_id = 0
        while True:
            kind, content = heard(connection)
            if kind == _RELEASE:
                connection.sendall(_RELEASED)
            if kind != _DATA:
                return
            if content[5] == _LAST_OF_A_COMMAND:
                message_id = _message_id(content[6:])
            if content[5] == last:
                connection.sendall(answer(content[4], message_id))

    thread = threading.Thread(target=_take_all, args=(listener, take))
    thread.start()
    try:
        yield Peer(host="127.0.0.1", port=listener.getsockname()[1], ae_title="PACS")
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(20)


def _take_all(listener: socket.socket, take: Callable[[socket.socket], None]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(20)
            with suppress(OSError, EOFError):
                take(connection)


def _accepted(asked: bytes, longest: int | None) -> bytes:
    """An A-ASSOCIATE-AC that takes the first transfer syntax of every context."""
    request = A_ASSOCIATE_RQ()
    request.decode(_pdu(1, asked))
    contexts = b"".join(
        _item(0x21, bytes([context.context_id, 0, 0, 0]) + _item(0x40, context.transfer_syntax[0].encode()))
        for context in request.presentation_context
    )
    limit = b"" if longest is None else _item(0x51, struct.pack(">I", longest))
    user = _item(0x50, limit + _item(0x52, b"1.2.3.4"))
    return _pdu(2, asked[:36] + bytes(32) + _item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + user)


def _message_id(command_set: bytes) -> int:
    """Message ID (0000,0110); 0 where the command came in more than one piece, and this is but its last."""
    start = command_set.find(bytes([0, 0, 0x10, 1, 2, 0, 0, 0]))
    return int.from_bytes(command_set[start + 8 : start + 10], "little") if start >= 0 else 0


def _pdu(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxI", kind, len(content)) + content


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def _us(value: int) -> bytes:
    return struct.pack("<H", value)
