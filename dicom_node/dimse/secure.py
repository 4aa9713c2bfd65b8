"""TLS under an association: the handshake on either side, and telling TLS from plain DICOM where a side is set wrongly.

pynetdicom shakes hands in its accept loop, so that one silent client would stop all others; here each connection does
so in its own thread, for a limited time.
"""

import socket
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from time import monotonic
from typing import Any, cast

import structlog
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.transport import AssociationSocket

from dicom_node.tls import Contexts, TlsClient, TlsServer, explained, looks_like_tls, names_of

log = structlog.get_logger(__name__)

# Threads that may wait for a peer's handshake at once, and how many of them for one address, which may be a proxy's; a
# real handshake takes milliseconds. More of them that run out of time together would fight for Python's lock.
HANDSHAKES = 32
FOR_ONE_ADDRESS = HANDSHAKES // 4
LAST_WORDS_SECONDS = 1.0

SPEAKS_TLS = "it speaks TLS, and this port is plain DICOM: turn TLS off there, or set [tls] here"
WANTS_TLS = "it speaks TLS, and is called without: set `tls` for this destination, or use its plain port"
NO_PLACE = "no place came free for its TLS handshake: too many at once, from its own address or from all of them"
SILENT = "it closed the connection without an answer: it may expect TLS, or may not accept our address or certificate"


class Greeter:
    """The server's half of handshakes, with a place for each of those that go on at once."""

    def __init__(self, tls: TlsServer, *, patience: float) -> None:
        """Raises ConfigError. `patience`: seconds for a whole handshake."""
        self._contexts = Contexts(tls)
        self._patience = patience
        self._taken: Counter[str] = Counter()
        self._counting = Lock()

    def take_place(self, address: str) -> bool:
        """Whether there is a place for a peer at this address; then it is its own until `leave_place`."""
        with self._counting:
            if self._taken.total() >= HANDSHAKES or self._taken[address] >= FOR_ONE_ADDRESS:
                return False
            self._taken[address] += 1
            return True

    def leave_place(self, address: str) -> None:
        with self._counting:
            self._taken[address] -= 1
            self._taken += Counter()  # addresses without a place are forgotten

    def shake(self, raw: socket.socket) -> ssl.SSLSocket:
        """The socket to go on with. Raises OSError when the handshake fails."""
        raw.settimeout(self._patience)
        wrapped = self._contexts.current().wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
        try:
            wrapped.do_handshake()
        except OSError:
            _part(wrapped)
            raise
        return wrapped


def _part(wrapped: ssl.SSLSocket) -> None:
    """Close so that the peer gets our alert: TCP throws away what was sent where something is left unread."""
    with socket.socket(fileno=wrapped.detach()) as raw, suppress(OSError):
        raw.shutdown(socket.SHUT_WR)
        raw.settimeout(LAST_WORDS_SECONDS)
        deadline = monotonic() + LAST_WORDS_SECONDS
        while monotonic() < deadline and raw.recv(1 << 16):
            pass


class Caller:
    """The client's half. pynetdicom takes it for an SSLContext, of which it uses `wrap_socket` alone, and swallows
    what goes wrong; here it is kept in `trouble`, as a sentence.
    """

    def __init__(self, tls: TlsClient | None, host: str) -> None:
        """Raises ConfigError when the files cannot be used."""
        self._contexts = Contexts(tls) if tls is not None else None
        self._name = (tls.server_name if tls is not None else None) or host
        self.trouble: str | None = None

    @property
    def tls_args(self) -> tuple[Any, str] | None:
        """What AE.associate takes as `tls_args`."""
        self.trouble = None
        return (self, self._name) if self._contexts is not None else None

    def wrap_socket(self, raw: socket.socket, *, server_side: bool, server_hostname: str) -> ssl.SSLSocket:
        assert self._contexts is not None
        context = self._contexts.current()
        context.sslsocket_class = _ReportingSocket
        wrapped = context.wrap_socket(
            raw, server_side=server_side, server_hostname=server_hostname, do_handshake_on_connect=False
        )
        cast("_ReportingSocket", wrapped).report = self._note
        return wrapped

    def look(self, event: Event) -> None:
        """Handler of EVT_CONN_OPEN, after the one that replaces `recv`: watch the first words of the peer."""
        watch_first_words(
            event,
            on_error=self._on_first_error,
            on_tls=lambda: self._say(WANTS_TLS),
            on_end=lambda: self._say(SILENT),
        )

    def _note(self, error: OSError) -> None:
        self._say(explained(error))

    def _on_first_error(self, error: OSError) -> None:
        # In TLS 1.3 a server says only now that it does not accept our certificate.
        if isinstance(error, ssl.SSLError):
            self._note(error)
        elif isinstance(error, ConnectionError):
            self._say(SILENT)

    def _say(self, sentence: str) -> None:
        self.trouble = self.trouble or sentence


class _ReportingSocket(ssl.SSLSocket):
    """Connects and shakes hands; the report is of the handshake alone."""

    report: Callable[[OSError], None] | None = None

    def connect(self, addr: Any) -> None:
        super().connect(addr)
        try:
            self.do_handshake()
        except OSError as error:
            if self.report is not None:
                self.report(error)
            raise


def watch_first_words(
    event: Event,
    *,
    on_error: Callable[[OSError], None] = lambda _: None,
    on_tls: Callable[[], None],
    on_end: Callable[[], None] = lambda: None,
) -> None:
    """Look at the first bytes that come over a new connection, and never again."""
    wrapped = cast("AssociationSocket", event.assoc.dul.socket)
    receive = wrapped.recv

    def first(size: int) -> bytearray:
        _set_recv(wrapped, receive)
        try:
            head = receive(size)
        except OSError as error:
            on_error(error)
            raise
        if not head:
            on_end()
        elif looks_like_tls(head):
            on_tls()
            raise OSError("TLS where plain DICOM was expected")
        return head

    _set_recv(wrapped, first)


def _set_recv(wrapped: AssociationSocket, receive: Callable[[int], bytearray]) -> None:
    setattr(wrapped, "recv", receive)  # noqa: B010 - mypy forbids the plain assignment


def certified_names(association: Association) -> frozenset[str]:
    """What the peer's certificate calls it; nothing without TLS or without a certificate."""
    wrapped = association.dul.socket
    raw = wrapped.socket if wrapped is not None else None
    certificate = raw.getpeercert(binary_form=True) if isinstance(raw, ssl.SSLSocket) else None
    return names_of(certificate) if certificate else frozenset()
