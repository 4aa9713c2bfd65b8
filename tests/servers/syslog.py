"""A syslog server behind TLS, in threads of the test's own process."""

import socket
import ssl
import threading
from collections.abc import Callable

LOCAL = "127.0.0.1"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # what follows the header is UTF-8 (RFC 5424 section 6.4)


class SyslogServer:
    """Takes octet-counted messages over TLS (RFC 5425), and can be closed and opened again on its port."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.records: list[bytes] = []
        self.port = 0
        self._context = context
        self._connections: list[ssl.SSLSocket] = []

    def open(self) -> None:
        self._listener = socket.create_server((LOCAL, self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    @property
    def messages(self) -> list[bytes]:
        """What the records say, without their headers."""
        return [record.split(BYTE_ORDER_MARK, 1)[1] for record in self.records]

    @property
    def processes(self) -> set[bytes]:
        """The process identifiers (PROCID) of who sent them."""
        return {record.split(b" ")[4] for record in self.records}

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            try:
                connection = self._context.wrap_socket(raw, server_side=True)
            except OSError:
                continue
            self._connections.append(connection)
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: ssl.SSLSocket) -> None:
        with connection.makefile("rb") as stream:
            try:
                while digits := _until_space(stream.read):
                    self.records.append(stream.read(int(digits)))
            except (OSError, ValueError):
                return


def _until_space(read: Callable[[int], bytes]) -> bytes:
    digits = b""
    while (octet := read(1)) not in (b" ", b""):
        digits += octet
    return digits
