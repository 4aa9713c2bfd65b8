"""Opening an association with one peer, and telling why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import EventHandlerType
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from dicom_node.dimse.answers import end_on_nonsense, spoke_nonsense
from dicom_node.dimse.in_step import shorten_pdus
from dicom_node.dimse.library import set_up_pynetdicom
from dicom_node.dimse.outcome import rejection_of
from dicom_node.dimse.pausing import pause_by_itself
from dicom_node.dimse.promptness import wake_when_needed
from dicom_node.dimse.secure import Caller
from dicom_node.dimse.wire import send_promptly
from dicom_node.errors import PermanentError, TransientError
from dicom_node.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.tls import TlsClient

MAX_PDU = 128 << 10


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Where an SCP listens, and what it is called."""

    host: str
    port: int
    ae_title: str

    def __str__(self) -> str:
        return f"{self.ae_title} at {self.host}:{self.port}"


class Line:
    """A way to one peer. `timeout`: for connecting and for each answer; `idle`: how long nothing may be said.

    `tls`: its files are read at once, and ConfigError says what is wrong with them.
    """

    def __init__(
        self, peer: Peer, *, calling_ae: str, timeout: timedelta, idle: timedelta, tls: TlsClient | None
    ) -> None:
        set_up_pynetdicom()
        self._caller = Caller(tls, peer.host)
        self._peer = peer
        self._entity = AE(ae_title=calling_ae)
        self._entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        self._entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        self._entity.connection_timeout = timeout.total_seconds()
        self._entity.acse_timeout = timeout.total_seconds()
        self._entity.dimse_timeout = timeout.total_seconds()
        self._entity.network_timeout = idle.total_seconds()

    def open(
        self,
        contexts: list[PresentationContext],
        *,
        roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
        handlers: Sequence[EventHandlerType] = (),
    ) -> Association:
        """A new association. Raises TransientError when the peer is away or full, PermanentError when it refuses us."""
        try:
            association = self._entity.associate(
                self._peer.host,
                self._peer.port,
                contexts=contexts,
                ae_title=self._peer.ae_title,
                max_pdu=MAX_PDU,
                ext_neg=list(roles),
                tls_args=self._caller.tls_args,
                evt_handlers=[
                    (evt.EVT_CONN_OPEN, send_promptly),
                    (evt.EVT_CONN_OPEN, pause_by_itself),
                    (evt.EVT_CONN_OPEN, wake_when_needed),
                    (evt.EVT_CONN_OPEN, end_on_nonsense),
                    (evt.EVT_CONN_OPEN, self._caller.look),
                    *handlers,
                ],
            )
        except OSError as error:
            raise TransientError(f"{self._peer} cannot be found: {error.strerror}") from error
        if association.is_established:
            try:
                shorten_pdus(association)
            except PermanentError:
                association.release()
                raise
            return association
        if association.is_rejected and association.acceptor.primitive is not None:
            raise rejection_of(association.acceptor.primitive)
        if association.rejected_contexts:
            raise PermanentError(f"{self._peer} takes none of the object types that were proposed")
        # Certificates and ports are put right by people: the images wait for it, and nothing has to be requeued.
        if self._caller.trouble is not None:
            raise TransientError(f"no connection to {self._peer}: {self._caller.trouble}")
        if spoke_nonsense(association):
            raise TransientError(f"{self._peer} answers, and not as DICOM does: is the port right?")
        raise TransientError(f"{self._peer} does not answer: is it running, and is the address right?")
