"""Storage commitment on associations of our own: asking a destination (N-ACTION), telling a peer (N-EVENT-REPORT)."""

from collections.abc import Sequence
from datetime import timedelta
from threading import Event as Flag

from pynetdicom import build_role, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT
from pynetdicom.events import Event, EventHandlerType
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.presentation import build_context

from dicom_node.commitment import CommitmentReport, CommitmentRequest, Outcome, Promise, SopReference
from dicom_node.dimse.answers import only_answers
from dicom_node.dimse.commitment import (
    REQUEST_COMMITMENT,
    Desk,
    event_type_of,
    report_dataset,
    report_handler,
    request_dataset,
)
from dicom_node.dimse.contexts import PUSH_MODEL, PUSH_MODEL_INSTANCE
from dicom_node.dimse.line import Line, Peer
from dicom_node.dimse.proposal import UNCOMPRESSED
from dicom_node.errors import AbortedError, PermanentError, TransientError
from dicom_node.tls import TlsClient


class CommitmentScu:
    """Speaks with one peer, an association for each call; every call raises TransientError or PermanentError, and
    AbortedError where the peer was told and did not answer.
    """

    def __init__(self, peer: Peer, *, calling_ae: str, timeout: timedelta, tls: TlsClient | None = None) -> None:
        self._peer = peer
        self._line = Line(peer, calling_ae=calling_ae, timeout=timeout, idle=2 * timeout, tls=tls)

    def ask(self, transaction_uid: str, references: Sequence[SopReference], *, desk: Desk, linger: timedelta) -> None:
        """Ask for commitment, and leave the association open for `linger`, so that the peer may report over it.

        Returns once the peer has confirmed that it has the request, and that time is over or its report is answered.
        """
        came, answered = Flag(), Flag()

        def sent(event: Event) -> None:
            # Released before our answer is out, pynetdicom would die of sending it, and the peer wait for it in vain.
            if came.is_set() and isinstance(event.pdu, P_DATA_TF):
                answered.set()

        ended: list[EventHandlerType] = [
            (kind, lambda _: answered.set()) for kind in (evt.EVT_RELEASED, evt.EVT_ABORTED, evt.EVT_CONN_CLOSE)
        ]
        reported = report_handler(_Telling(desk, came), self._peer.ae_title)
        association = self._open(handlers=[reported, (evt.EVT_PDU_SENT, sent), *ended])
        try:
            ds = request_dataset(transaction_uid, tuple(references))
            try:
                with only_answers(association, N_ACTION, 1):
                    response, _ = association.send_n_action(ds, REQUEST_COMMITMENT, PUSH_MODEL, PUSH_MODEL_INSTANCE, 1)
            except (RuntimeError, ValueError) as error:
                raise TransientError(f"{self._peer} closed the association") from error
            _check(response, f"{self._peer} did not take the request for storage commitment")
            answered.wait(linger.total_seconds())
        finally:
            _part(association)

    def report(self, report: CommitmentReport) -> None:
        """Tell a peer what we commit ourselves to, in the role of the SCP (PS3.4 J.3.3); returns once it confirms."""
        association = self._open(as_scp=True)
        try:
            ds, event_type = report_dataset(report), event_type_of(report)
            with only_answers(association, N_EVENT_REPORT, 1):
                response, _ = association.send_n_event_report(ds, event_type, PUSH_MODEL, PUSH_MODEL_INSTANCE, 1)
            _check(response, f"{self._peer} did not take our report on storage commitment")
        except (RuntimeError, ValueError) as error:
            raise TransientError(f"{self._peer} closed the association") from error
        finally:
            _part(association)

    def _open(self, *, as_scp: bool = False, handlers: Sequence[EventHandlerType] = ()) -> Association:
        roles = [build_role(PUSH_MODEL, scp_role=True)] if as_scp else []
        try:
            return self._line.open([build_context(PUSH_MODEL, list(UNCOMPRESSED))], roles=roles, handlers=handlers)
        except PermanentError as error:
            raise PermanentError(f"storage commitment: {error}") from error


class _Telling:
    """A desk that says when a report has come."""

    def __init__(self, desk: Desk, came: Flag) -> None:
        self._desk = desk
        self._came = came

    def ask(self, request: CommitmentRequest) -> Promise | None:
        return self._desk.ask(request)

    def take(self, report: CommitmentReport, *, calling_ae: str) -> Outcome:
        try:
            return self._desk.take(report, calling_ae=calling_ae)
        finally:
            self._came.set()


def _check(response: object, what: str) -> None:
    status = getattr(response, "Status", None)
    if status is None:
        raise AbortedError(f"{what}: no answer")
    if status != 0:
        raise TransientError(f"{what}: status {status:04X}")


def _part(association: Association) -> None:
    if association.is_established:
        association.release()
