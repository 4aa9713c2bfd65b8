"""The receiver: C-ECHO and C-STORE for every storage class in every transfer syntax (PS3.4 annexes A and B).

The protocol is pynetdicom's; here are the lifecycle, who may come in, and one handler whose outcome is the reply.
"""

import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from socketserver import TCPServer
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

import structlog
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event, EventHandlerType
from pynetdicom.pdu_primitives import SOPClassCommonExtendedNegotiation
from pynetdicom.transport import ThreadedAssociationServer

from dicom_node.dimse.contexts import acceptable, served_as_storage
from dicom_node.dimse.library import set_up_pynetdicom
from dicom_node.dimse.requests import incoming_of, peer_of, proposal_of
from dicom_node.dimse.status import SUCCESS, UNFORESEEN, Status, status_of
from dicom_node.dimse.wire import receive_promptly
from dicom_node.errors import ConfigError, NodeError
from dicom_node.instance import Incoming, Receipt
from dicom_node.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

log = structlog.get_logger(__name__)

# A-ASSOCIATE-RJ (PS3.8 table 9-21): result, source, reason.
CALLING_AE_NOT_RECOGNISED = (0x01, 0x01, 0x03)
CALLED_AE_NOT_RECOGNISED = (0x01, 0x01, 0x07)
NO_REASON_GIVEN = (0x01, 0x01, 0x01)


@dataclass(frozen=True, kw_only=True)
class ScpSettings:
    """Where to listen and whom to let in; empty lists let everybody in.

    `port` 0 takes a free one. `idle_timeout`: how long a peer may be silent, in the middle of a message as well, before
    its association is aborted. `reuse_port`: several receiver processes share the port (SO_REUSEPORT, Linux).
    """

    ae_title: str
    host: str = "127.0.0.1"
    port: int = 0
    max_associations: int = 100
    called_aes: tuple[str, ...] = ()
    calling_aes: tuple[str, ...] = ()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    max_pdu: int = 128 << 10
    idle_timeout: timedelta = timedelta(seconds=60)
    association_timeout: timedelta = timedelta(seconds=30)
    reuse_port: bool = False


@dataclass(kw_only=True)
class _Tally:
    """What came over one association, for its line in the log."""

    began: float
    stored: int = 0
    refused: int = 0
    octets: int = 0


class StoreScp:
    """A storage SCP. `handler` gets each object and returns once it is durable; what it raises becomes the status."""

    def __init__(self, settings: ScpSettings, handler: Callable[[Incoming], Receipt]) -> None:
        self._settings = settings
        self._handler = handler
        self._tallies: WeakKeyDictionary[Association, _Tally] = WeakKeyDictionary()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen; when this returns, the port answers. Raises ConfigError when the port cannot be had."""
        settings = self._settings
        try:
            server: Any = self._entity().make_server(
                (settings.host, settings.port),
                evt_handlers=self._handlers(),
                server_class=_Server,
                reuse_port=settings.reuse_port,
            )
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ConfigError(f"cannot listen on {settings.host} port {settings.port}: {reason}") from error
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, name="receiver", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port on which it listens."""
        if self._server is None:
            raise RuntimeError("the receiver has not been started")
        return int(self._server.server_address[1])

    @property
    def associations(self) -> int:
        """How many associations are open now."""
        return len(self._server.active_associations) if self._server is not None else 0

    def stop(self, timeout: timedelta = timedelta(seconds=10)) -> None:
        """Take no new associations, let the running ones finish for `timeout`, abort those that have not."""
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        server.shutdown()
        self._thread.join()
        deadline = monotonic() + timeout.total_seconds()
        for association in server.active_associations:
            association.join(max(0.0, deadline - monotonic()))
        for association in server.active_associations:
            association.abort()

    def _entity(self) -> AE:
        set_up_pynetdicom()
        settings = self._settings
        entity = AE(ae_title=settings.ae_title)
        entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        entity.maximum_pdu_size = settings.max_pdu
        entity.maximum_associations = settings.max_associations
        entity.network_timeout = settings.idle_timeout.total_seconds()
        entity.acse_timeout = settings.association_timeout.total_seconds()
        # What an association really accepts is told when its proposal is known, in `_requested`.
        entity.supported_contexts = acceptable(())
        return entity

    def _handlers(self) -> list[EventHandlerType]:
        return [
            (evt.EVT_CONN_OPEN, receive_promptly),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_SOP_COMMON, _services),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_RELEASED, self._ended),
            (evt.EVT_ABORTED, self._ended),
            (evt.EVT_REJECTED, self._rejected),
        ]

    def _requested(self, event: Event) -> None:
        """Reject who may not come in; else fit the accepted contexts to the proposal."""
        association = event.assoc
        self._tallies[association] = _Tally(began=monotonic())
        reason = self._refusal(association)
        if reason is None:
            proposed = proposal_of(association).presentation_context_definition_list
            association.acceptor.supported_contexts = acceptable(proposed)
            return
        association.acse.send_reject(*reason)
        self._rejected(event)
        association.kill()

    def _refusal(self, association: Association) -> tuple[int, int, int] | None:
        settings, proposal = self._settings, proposal_of(association)
        if settings.networks and not _within(association.requestor.address, settings.networks):
            return NO_REASON_GIVEN
        if settings.calling_aes and proposal.calling_ae_title.strip() not in settings.calling_aes:
            return CALLING_AE_NOT_RECOGNISED
        if settings.called_aes and proposal.called_ae_title.strip() not in settings.called_aes:
            return CALLED_AE_NOT_RECOGNISED
        return None

    def _store(self, event: Event) -> Dataset:
        """The reply to one C-STORE: success once the handler has returned, else the status of what it raised."""
        began = monotonic()
        incoming = incoming_of(event)
        tally = self._tallies.setdefault(event.assoc, _Tally(began=began))
        try:
            receipt = self._handler(incoming)
        except Exception as error:  # noqa: BLE001 - a sender gets a storage status whatever happens
            tally.refused += 1
            status = status_of(error)
            _log_refusal(incoming, error, status)
            return _response(status)
        tally.stored += 1
        tally.octets += len(incoming.dataset)
        took = round(1000 * (monotonic() - began), 1)
        size = len(incoming.dataset)
        log.info("stored", **_names(incoming), size=size, duplicate=receipt.duplicate, milliseconds=took)
        return _response(SUCCESS)

    def _ended(self, event: Event) -> None:
        tally = self._tallies.pop(event.assoc, None)
        if tally is None:
            return
        log.info(
            "association_released" if event.event is evt.EVT_RELEASED else "association_aborted",
            **peer_of(event.assoc),
            stored=tally.stored,
            refused=tally.refused,
            bytes=tally.octets,
            seconds=round(monotonic() - tally.began, 3),
        )

    def _rejected(self, event: Event) -> None:
        self._tallies.pop(event.assoc, None)
        answer = event.assoc.acceptor.primitive
        log.warning("association_rejected", **peer_of(event.assoc), reason=answer.reason_str if answer else "")


class _Server(ThreadedAssociationServer):
    """pynetdicom's server, with a backlog for many senders."""

    request_queue_size = 128

    def __init__(self, *args: Any, reuse_port: bool = False, **kwargs: Any) -> None:
        self._reuse_port = reuse_port
        super().__init__(*args, **kwargs)

    def server_bind(self) -> None:
        if self._reuse_port and self.socket is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the signature is socketserver's
        log.error("connection_failed", peer=client_address[0], kind=type(sys.exception()).__name__)

    def shutdown(self) -> None:
        # As pynetdicom's, for a server that its entity did not start and so does not list.
        TCPServer.shutdown(self)
        self.server_close()


def _services(event: Event) -> dict[str, SOPClassCommonExtendedNegotiation]:
    return served_as_storage(proposal_of(event.assoc).presentation_context_definition_list)


def _response(status: Status) -> Dataset:
    response = Dataset()
    response.Status = status.code
    if status.comment:
        response.ErrorComment = status.comment
    return response


def _log_refusal(incoming: Incoming, error: Exception, status: Status) -> None:
    """Our own errors carry no patient data; what is unforeseen may, so that only its type and place are told."""
    known = str(error) if isinstance(error, NodeError) else _place(error)
    level = log.error if status is UNFORESEEN else log.warning
    level("refused", **_names(incoming), status=f"{status.code:04X}", kind=type(error).__name__, error=known)


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""


def _names(incoming: Incoming) -> dict[str, str]:
    return {
        "sop_instance_uid": incoming.sop_instance_uid,
        "sop_class_uid": incoming.sop_class_uid,
        "transfer_syntax_uid": incoming.transfer_syntax_uid,
        "peer": incoming.peer,
        "calling_ae": incoming.calling_ae,
    }


def _within(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    peer = ip_address(address)
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped is not None:
        peer = peer.ipv4_mapped
    return any(peer in network for network in networks)
