"""Audit messages to a syslog server over TLS: RFC 5424 messages, framed by octet counting (RFC 5425 section 4.3)."""

import os
import select
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime

from dicom_node.errors import TransientError
from dicom_node.tls import Contexts, TlsClient, explained

# Facility 10 (security/authorization), severity 5 (notice): PS3.15 A.6 leaves it open, and IHE ATNA says this.
PRIORITY = 10 * 8 + 5
MESSAGE_ID = "DICOM+RFC3881"  # PS3.15 A.6
TIMEOUT_SECONDS = 10.0


class SyslogSink:
    """One TLS connection that is kept, opened anew when it has gone. Raises ConfigError for unusable files."""

    def __init__(self, *, host: str, port: int, tls: TlsClient, source_host: str, now: Callable[[], datetime]) -> None:
        self._host = host
        self._port = port
        self._name = tls.server_name or host
        self._contexts = Contexts(tls)
        self._source_host = source_host
        self._now = now
        self._connection: ssl.SSLSocket | None = None

    def write(self, message: bytes) -> None:
        """Send a message. Raises TransientError when the server is away or not who it should be.

        Syslog has no acknowledgement: what is on its way when the connection breaks is lost without a sign.
        """
        framed = self._framed(message)
        try:
            self._open().sendall(framed)
        except OSError as error:
            self.close()
            raise TransientError(f"the syslog server {self._host}:{self._port}: {_why(error)}") from error

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> ssl.SSLSocket:
        if self._connection is not None and _closed_by_peer(self._connection):
            self.close()
        if self._connection is None:
            raw = socket.create_connection((self._host, self._port), TIMEOUT_SECONDS)
            try:
                self._connection = self._contexts.current().wrap_socket(raw, server_hostname=self._name)
            except BaseException:
                raw.close()
                raise
        return self._connection

    def _framed(self, message: bytes) -> bytes:
        at = self._now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        header = f"<{PRIORITY}>1 {at} {self._source_host or '-'} dicom-node {os.getpid()} {MESSAGE_ID} - "
        # The byte order mark says that what follows is UTF-8 (RFC 5424 section 6.4).
        record = header.encode("ascii", "replace") + b"\xef\xbb\xbf" + message
        return str(len(record)).encode("ascii") + b" " + record


def _closed_by_peer(connection: ssl.SSLSocket) -> bool:
    """A syslog server says nothing: what can be read is a session ticket, or the end."""
    try:
        poller = select.poll()  # `select.select` knows no descriptor from 1024 on
        poller.register(connection, select.POLLIN)
        if not connection.pending() and not poller.poll(0):
            return False
        connection.settimeout(0.0)
        return not connection.recv(1024)
    except (ssl.SSLWantReadError, BlockingIOError):
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(TIMEOUT_SECONDS)


def _why(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, ssl.SSLError | TimeoutError | ConnectionError):
        return explained(error).replace("plain DICOM", "plain syslog")
    return error.strerror or type(error).__name__
