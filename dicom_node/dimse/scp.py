"""The receiver: C-ECHO and C-STORE for every storage class in every transfer syntax (PS3.4 annexes A and B).

The protocol is pynetdicom's; here is the lifecycle. Who may come in: `dicom_node.dimse.door`; what is told of each
association: `dicom_node.dimse.journal`; how an object is answered: `dicom_node.dimse.storing`.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from time import monotonic, sleep
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.events import Event, EventHandlerType

from dicom_node.dimse.admission import Admission
from dicom_node.dimse.backlog import read_in_step
from dicom_node.dimse.contexts import acceptable
from dicom_node.dimse.door import Door
from dicom_node.dimse.journal import Journal
from dicom_node.dimse.library import set_up_pynetdicom
from dicom_node.dimse.patience import Patience
from dicom_node.dimse.pausing import pause_by_itself
from dicom_node.dimse.porch import PATIENCE_SECONDS, Porch
from dicom_node.dimse.promptness import serve_when_needed, wake_when_needed
from dicom_node.dimse.secure import SPEAKS_TLS, Greeter, watch_first_words
from dicom_node.dimse.server import Server
from dicom_node.dimse.storing import reply_to_store
from dicom_node.dimse.unnamed import hear_the_unnamed
from dicom_node.dimse.watch import NobodyWatches, Watch
from dicom_node.instance import Incoming, Receipt
from dicom_node.listening import cannot_listen
from dicom_node.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.tls import TlsServer

NO_LIMIT = 1 << 20
# When the receiver is stopped, a peer that has said nothing for so long is idle. Longer than most wait for a report of
# storage commitment (`commitment.linger`).
QUIET_SECONDS = 3.0
# For threads to end whose association was ended; one that stores an object into a disk that hangs does not.
FAREWELL_SECONDS = 2.0
LOOK_SECONDS = 0.05


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
    arrive, see `dicom_node.dimse.arriving`; without it, in memory. `on_refusal` is told why an object was not stored.
    """

    def __init__(
        self,
        settings: ScpSettings,
        handler: Callable[[Incoming], Receipt],
        watch: Watch | None = None,
        commitment: Sequence[EventHandlerType] = (),
        spilling: Sequence[EventHandlerType] = (),
        on_refusal: Callable[[Exception], object] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._handler = handler
        self._watch = watch or NobodyWatches()
        self._commitment = commitment
        self._spilling = spilling
        self._on_refusal = on_refusal
        self._journal = Journal(self._watch)
        self._patience = Patience(
            idle=settings.idle_timeout.total_seconds(), spare=settings.spare_after.total_seconds()
        )
        self._admission = Admission(
            networks=settings.networks,
            calling_aes=settings.calling_aes,
            called_aes=settings.called_aes,
            client_names=settings.client_names,
            most_per_peer=settings.max_associations_per_peer,
            per_minute=settings.associations_per_minute,
        )
        self._door = Door(
            self._admission,
            self._patience,
            self._journal,
            places=settings.max_associations,
            with_commitment=bool(commitment),
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
                on_tls_failure=self._journal.tls_failed,
                is_strange=self._admission.is_strange,
                on_stranger=self._journal.stranger,
                porch=porch,
            )
        except OSError as error:
            raise cannot_listen("node", settings.host, settings.port, error) from error
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
        """Take no new associations, and let the running ones finish for `timeout`; idle ones are aborted at once, and
        all others when it is over. Returns some seconds after that at the latest.
        """
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        server.shutdown()
        self._thread.join()
        if self._porch is not None:
            self._porch.stop()
        deadline = monotonic() + timeout.total_seconds()
        while server.active_associations and monotonic() < deadline:
            self._patience.end_the_quiet(QUIET_SECONDS)
            sleep(LOOK_SECONDS)
        self._patience.end_all()
        deadline = monotonic() + FAREWELL_SECONDS
        while server.active_associations and monotonic() < deadline:
            sleep(LOOK_SECONDS)
        self._journal.close()

    def _entity(self) -> AE:
        set_up_pynetdicom()
        settings = self._settings
        entity = AE(ae_title=settings.ae_title)
        entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        entity.maximum_pdu_size = settings.max_pdu
        entity.maximum_associations = NO_LIMIT  # the `Door` knows better which of its threads still count
        entity.network_timeout = None  # `Patience` knows better who is idle
        entity.acse_timeout = settings.association_timeout.total_seconds()
        entity.supported_contexts = acceptable(())  # the `Door` fits them to each proposal
        return entity

    def _handlers(self) -> list[EventHandlerType]:
        return [
            (evt.EVT_CONN_OPEN, self._journal.begin),
            (evt.EVT_CONN_OPEN, self._patience.begin),
            read_in_step(),
            (evt.EVT_CONN_OPEN, pause_by_itself),
            (evt.EVT_CONN_OPEN, wake_when_needed),
            (evt.EVT_CONN_OPEN, serve_when_needed),
            (evt.EVT_DIMSE_RECV, self._patience.got_on),
            (evt.EVT_DIMSE_SENT, self._patience.got_on),
            (evt.EVT_CONN_OPEN, self._expect_dicom),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_RELEASED, self._journal.ended),
            (evt.EVT_ABORTED, self._journal.ended),
            *self._door.handlers(),
            *hear_the_unnamed(),
            *self._spilling,
            *self._commitment,
        ]

    def _store(self, event: Event) -> Dataset:
        tally = self._journal.tally_of(event.assoc)
        return reply_to_store(event, handler=self._handler, on_refusal=self._on_refusal, tally=tally, watch=self._watch)

    def _expect_dicom(self, event: Event) -> None:
        association = event.assoc
        peer = association.requestor.address
        watch_first_words(event, on_tls=lambda: self._journal.tls_failed(peer, SPEAKS_TLS, association))
