"""The receiver: C-ECHO and C-STORE for every storage class in every transfer syntax (PS3.4 annexes A and B).

The protocol is pynetdicom's; here are the lifecycle, who may come in, and what is told of each association. How an
object is answered: `dicom_node.dimse.storing`.
"""

import errno
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

import structlog
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event, EventHandlerType
from pynetdicom.pdu_primitives import SOPClassCommonExtendedNegotiation

from dicom_node.dimse.admission import FULL, TROUBLE, Admission, Refusal
from dicom_node.dimse.contexts import acceptable, served_as_storage
from dicom_node.dimse.library import set_up_pynetdicom
from dicom_node.dimse.patience import Patience
from dicom_node.dimse.porch import PATIENCE_SECONDS, Porch
from dicom_node.dimse.promptness import serve_when_needed, wake_when_needed
from dicom_node.dimse.requests import peer_of, proposal_of
from dicom_node.dimse.secure import SPEAKS_TLS, Greeter, watch_first_words
from dicom_node.dimse.server import Server
from dicom_node.dimse.storing import Tally, reply_to_store
from dicom_node.dimse.watch import NobodyWatches, Watch
from dicom_node.errors import StartError
from dicom_node.instance import Incoming, Receipt
from dicom_node.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.tls import TlsServer

NO_LIMIT = 1 << 20
INVALID_PARAMETER_VALUE = 6  # A-P-ABORT, PS3.8 table 9-26

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ScpSettings:
    """Where to listen and whom to let in; empty lists let everybody in.

    `port` 0 takes a free one. `idle_timeout`: how long a peer may be silent, in the middle of a message as well, before
    its association is aborted; after `spare_after`, it is when all places are taken and another peer
    asks for one. `reuse_port`: several receiver processes share the port (SO_REUSEPORT, Linux).
    `client_names`: AE title -> names of which a peer's certificate must bear one to call under that title.
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
    association_timeout: timedelta = timedelta(seconds=10)
    spare_after: timedelta = timedelta(seconds=5)
    reuse_port: bool = False
    tls: TlsServer | None = None
    client_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    max_associations_per_peer: int | None = None
    associations_per_minute: int | None = None


class StoreScp:
    """A storage SCP. `handler` gets each object and returns once it is durable; what it raises becomes the status.
    `commitment`: the handlers of storage commitment, which is refused without them. `spilling`: where large objects
    arrive, see `dicom_node.dimse.arriving`; without it, in memory.
    """

    def __init__(
        self,
        settings: ScpSettings,
        handler: Callable[[Incoming], Receipt],
        watch: Watch | None = None,
        commitment: Sequence[EventHandlerType] = (),
        spilling: Sequence[EventHandlerType] = (),
    ) -> None:
        self._settings = settings
        self._handler = handler
        self._watch = watch or NobodyWatches()
        self._commitment = commitment
        self._spilling = spilling
        self._admission = Admission(
            networks=settings.networks,
            calling_aes=settings.calling_aes,
            called_aes=settings.called_aes,
            client_names=settings.client_names,
            most_per_peer=settings.max_associations_per_peer,
            per_minute=settings.associations_per_minute,
        )
        self._tallies: WeakKeyDictionary[Association, Tally] = WeakKeyDictionary()
        self._patience = Patience(
            idle=settings.idle_timeout.total_seconds(), spare=settings.spare_after.total_seconds()
        )
        self._porch: Porch | None = None
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen; when this returns, the port answers. Raises StartError when the port cannot be had."""
        settings = self._settings
        patience = settings.association_timeout.total_seconds()
        greeter = Greeter(settings.tls, patience=patience) if settings.tls is not None else None
        porch = Porch(patience=min(patience, PATIENCE_SECONDS), on_tick=self._patience.reap)
        try:
            server: Any = self._entity().make_server(
                (settings.host, settings.port),
                evt_handlers=self._handlers(),
                server_class=Server,
                reuse_port=settings.reuse_port,
                greeter=greeter,
                on_tls_failure=self._note_tls,
                porch=porch,
            )
        except OSError as error:
            raise StartError(_not_listening(settings, error)) from error
        porch.start()
        self._server, self._porch = server, porch
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
        if self._porch is not None:
            self._porch.stop()
        deadline = monotonic() + timeout.total_seconds()
        for association in server.active_associations:
            with suppress(RuntimeError):  # one that is only about to start cannot be waited for, and is aborted below
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
        entity.maximum_associations = NO_LIMIT  # `_no_place` knows better which of its threads still count
        entity.network_timeout = None  # `Patience` knows better who is idle
        entity.acse_timeout = settings.association_timeout.total_seconds()
        entity.supported_contexts = acceptable(())  # `_requested` fits them to each proposal
        return entity

    def _handlers(self) -> list[EventHandlerType]:
        return [
            (evt.EVT_CONN_OPEN, self._patience.begin),
            (evt.EVT_CONN_OPEN, wake_when_needed),
            (evt.EVT_CONN_OPEN, serve_when_needed),
            (evt.EVT_DIMSE_RECV, self._patience.got_on),
            (evt.EVT_DIMSE_SENT, self._patience.got_on),
            (evt.EVT_CONN_OPEN, self._expect_dicom),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_SOP_COMMON, _services),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_RELEASED, self._ended),
            (evt.EVT_ABORTED, self._ended),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_CONN_CLOSE, self._closed),
            *self._spilling,
            *self._commitment,
        ]

    def _requested(self, event: Event) -> None:
        """Turn nobody away for good over trouble of ours: pynetdicom would accept the association all the same, with no
        context for any object, at which a sender gives its objects up.
        """
        association = event.assoc
        try:
            self._decide(association)
        except Exception as error:  # noqa: BLE001 - whatever it is
            log.error("association_trouble", peer=association.requestor.address, kind=type(error).__name__)
            if not association.is_rejected and not association.is_aborted:
                self._turn_away(association, TROUBLE)

    def _decide(self, association: Association) -> None:
        """Reject who may not come in; else fit the accepted contexts to the proposal."""
        self._tallies[association] = Tally(began=monotonic())
        # Other threads put theirs in and take them out meanwhile; only the references are copied in one go.
        known = [one for reference in self._tallies.keyrefs() if (one := reference()) is not None]
        refusal = self._admission.refusal(association, known) or self._no_place(association)
        proposed = proposal_of(association).presentation_context_definition_list
        if refusal is not None:
            self._turn_away(association, refusal)
        elif not all(context.abstract_syntax and context.transfer_syntax for context in proposed):
            self._end_unanswerable(association)
        else:
            association.acceptor.supported_contexts = acceptable(proposed, with_commitment=bool(self._commitment))

    def _turn_away(self, association: Association, refusal: Refusal) -> None:
        association.acse.send_reject(*refusal.wire)
        try:
            self._note_rejection(association, refusal.why)
        finally:
            association.kill()

    def _end_unanswerable(self, association: Association) -> None:
        """Abort over a presentation context without its abstract syntax or any transfer syntax: pynetdicom's threads
        would die of looking up the one, or wait for ever over an answer without the other.
        """
        self._tallies.pop(association, None)
        self._patience.over(association)
        peer = peer_of(association)
        log.warning("association_broken", **peer, kind="a presentation context without its syntax")
        self._watch.refused(**peer, why="a presentation context without its syntax")
        association.acse.send_ap_abort(INVALID_PARAMETER_VALUE)
        association.kill()

    def _no_place(self, association: Association) -> Refusal | None:
        return None if self._patience.has_place(association, self._settings.max_associations) else FULL

    def _store(self, event: Event) -> Dataset:
        tally = self._tallies.setdefault(event.assoc, Tally(began=monotonic()))
        return reply_to_store(event, handler=self._handler, tally=tally, watch=self._watch)

    def _ended(self, event: Event) -> None:
        tally = self._tallies.pop(event.assoc, None)
        self._patience.over(event.assoc)
        self._watch.ended(id(event.assoc))
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

    def _closed(self, event: Event) -> None:
        self._watch.ended(id(event.assoc))

    def _rejected(self, event: Event) -> None:
        # pynetdicom's own rejection: the node has node.max_associations open.
        answer = event.assoc.acceptor.primitive
        self._note_rejection(event.assoc, answer.reason_str if answer else "")

    def _note_rejection(self, association: Association, why: str) -> None:
        self._tallies.pop(association, None)
        self._patience.over(association)
        peer = peer_of(association)
        log.warning("association_rejected", **peer, reason=why)
        self._watch.refused(**peer, why=why)

    def _expect_dicom(self, event: Event) -> None:
        peer = event.assoc.requestor.address
        watch_first_words(event, on_tls=lambda: self._note_tls(peer, SPEAKS_TLS))

    def _note_tls(self, peer: str, why: str) -> None:
        log.warning("tls_failed", peer=peer, error=why)
        self._watch.refused(peer=peer, calling_ae="", why=why)


def _not_listening(settings: ScpSettings, error: OSError) -> str:
    reason = error.strerror or type(error).__name__
    advice = {
        errno.EADDRINUSE: "set another node.port, or end what listens there",
        errno.EACCES: "set a node.port above 1023, or give the node the right to lower ones",
    }.get(error.errno or 0, "set node.host to an address of this machine")
    return f"cannot listen on {settings.host} port {settings.port}: {reason}; {advice}"


def _services(event: Event) -> dict[str, SOPClassCommonExtendedNegotiation]:
    return served_as_storage(proposal_of(event.assoc).presentation_context_definition_list)
