"""pynetdicom's server as the node needs it: one port for several processes, a thread for each handshake."""

import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from socketserver import TCPServer
from typing import Any

import structlog
from pynetdicom.transport import ThreadedAssociationServer

from dicom_node.dimse.admission import STRANGE_NETWORK
from dicom_node.dimse.porch import LONGEST_WAITED_FOR, Porch
from dicom_node.dimse.requests import calling_ae_in
from dicom_node.dimse.secure import NO_PLACE, Greeter
from dicom_node.tls import explained

log = structlog.get_logger(__name__)


class Server(ThreadedAssociationServer):
    """pynetdicom's server, with a backlog for many senders."""

    request_queue_size = 128
    daemon_threads = True  # so that nobody who is slow to shake hands holds up the end

    def __init__(
        self,
        *args: Any,
        reuse_port: bool = False,
        greeter: Greeter | None = None,
        on_tls_failure: Callable[[str, str], None] = lambda _peer, _why: None,
        is_strange: Callable[[str], bool] = lambda _address: False,
        on_stranger: Callable[[str, str], None] = lambda _peer, _calling_ae: None,
        porch: Porch,
        **kwargs: Any,
    ) -> None:
        self._porch = porch
        self._reuse_port = reuse_port
        self._greeter = greeter
        self._on_tls_failure = on_tls_failure
        self._is_strange = is_strange
        self._on_stranger = on_stranger
        self._closed = threading.Event()
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:
        # Not before it has asked for something does a connection get threads, and a stranger's never does.
        address = client_address[0]
        begin = partial(super().process_request, request, client_address)
        if not self._is_strange(address):
            self._receive(request, address, begin)
        elif self._greeter is None:
            self._porch.wait_for_words(request, address, partial(self._reject, request, address))
        else:  # to be told why would take a handshake
            self._on_stranger(address, "")
            self.shutdown_request(request)

    def _receive(self, request: socket.socket, address: str, begin: Callable[[], None]) -> None:
        if self._greeter is None:
            self._porch.wait_for_words(request, address, begin)
            return
        self._porch.wait_for_words(
            request,
            address,
            partial(self._begin_handshake, address, begin),
            has_room=partial(self._greeter.take_place, address),
            on_no_room=partial(self._on_tls_failure, address, NO_PLACE),
        )

    def _begin_handshake(self, address: str, begin: Callable[[], None]) -> None:
        try:
            begin()
        except BaseException:  # there is no thread for it
            self._end_handshake(address)
            raise

    def _end_handshake(self, address: str) -> None:
        assert self._greeter is not None
        self._greeter.leave_place(address)
        self._porch.room_again()

    def _reject(self, request: socket.socket, address: str) -> None:
        """Answer a stranger whose request lies there. In the porch's thread, so that nothing may wait."""
        asked = b""
        with suppress(OSError):
            request.setblocking(False)
            asked = request.recv(LONGEST_WAITED_FOR)
            request.send(STRANGE_NETWORK.pdu)
        self.shutdown_request(request)
        self._on_stranger(address, calling_ae_in(asked))

    def finish_request(self, request: Any, client_address: Any) -> None:
        # In a thread of the connection's own.
        if self._greeter is not None:
            try:
                request = self._greeter.shake(request)
            except OSError as error:
                self._on_tls_failure(client_address[0], explained(error))
                self.shutdown_request(request)
                return
            finally:
                self._end_handshake(client_address[0])
        if self._closed.is_set():
            self.shutdown_request(request)
            return
        super().finish_request(request, client_address)

    def server_bind(self) -> None:
        if self._reuse_port and self.socket is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the signature is socketserver's
        log.error("connection_failed", peer=client_address[0], kind=type(sys.exception()).__name__)

    def shutdown(self) -> None:
        # As pynetdicom's, for a server that its entity did not start and so does not list.
        self._closed.set()
        TCPServer.shutdown(self)
        self.server_close()
