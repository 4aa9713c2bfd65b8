"""A destination that is no more than a socket: it takes an association and an object, and answers what it is told."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pynetdicom.pdu import A_ASSOCIATE_RQ

from dicom_node.dimse.line import Peer
from tests.dimse_objects import CR

_DATA, _RELEASE = 4, 5  # types of PDUs (PS3.8 section 9.3)
_LAST_OF_A_DATA_SET = 2
_RELEASED = struct.pack(">BxI4x", 6, 4)


def response(field: int = 0x8001, status: int = 0, to: int = 1) -> bytes:
    """The command set of a response, by default a C-STORE-RSP (PS3.7 section 9.3.1.2); `to`: its message's ID."""
    elements = [(0x0002, CR.encode() + b"\0"), (0x0100, _us(field)), (0x0120, _us(to)), (0x0800, _us(0x0101))]
    elements += [(0x0900, _us(status))]
    content = b"".join(struct.pack("<HHI", 0, element, len(value)) + value for element, value in elements)
    return struct.pack("<HHII", 0, 0, 4, len(content)) + content


def command(content: bytes) -> Callable[[int], bytes]:
    """An answer that is one whole command in the context of the question."""
    return lambda context: _pdu(_DATA, struct.pack(">IBB", len(content) + 2, context, 3) + content)


@contextmanager
def raw_pacs(answer: Callable[[int], bytes], *, longest: int | None = 16384) -> Iterator[Peer]:
    """`answer`: context -> what is said to each object. `longest`: its Maximum Length; None: it names none."""
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_take_all, args=(listener, answer, longest))
    thread.start()
    try:
        yield Peer(host="127.0.0.1", port=listener.getsockname()[1], ae_title="PACS")
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(20)


def _take_all(listener: socket.socket, answer: Callable[[int], bytes], longest: int | None) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(20)
            try:
                _take(connection, answer, longest)
            except OSError:
                continue


def _take(connection: socket.socket, answer: Callable[[int], bytes], longest: int | None) -> None:
    _, asked = _read(connection)
    connection.sendall(_accepted(asked, longest))
    while True:
        kind, content = _read(connection)
        if kind == _RELEASE:
            connection.sendall(_RELEASED)
        if kind != _DATA:
            return
        if content[5] == _LAST_OF_A_DATA_SET:
            connection.sendall(answer(content[4]))


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


def _read(connection: socket.socket) -> tuple[int, bytes]:
    kind, length = struct.unpack(">BxI", _exactly(connection, 6))
    return kind, _exactly(connection, length)


def _exactly(connection: socket.socket, length: int) -> bytes:
    content = b""
    while len(content) < length:
        piece = connection.recv(length - len(content))
        if not piece:
            raise ConnectionResetError
        content += piece
    return content


def _pdu(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxI", kind, len(content)) + content


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def _us(value: int) -> bytes:
    return struct.pack("<H", value)
