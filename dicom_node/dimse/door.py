"""Who comes in, and with what: each request for an association is answered here, by the rules or with what is fitted to
it (PS3.8 section 7.1).
"""

import structlog
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.events import Event, EventHandlerType
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import SOPClassCommonExtendedNegotiation

from dicom_node.dimse.admission import FULL, NO_ROOM, OTHER_VERSION, TROUBLE, Admission, Refusal
from dicom_node.dimse.contexts import acceptable, keep_first_choices, served_as_storage
from dicom_node.dimse.journal import Journal
from dicom_node.dimse.patience import Patience
from dicom_node.dimse.requests import longest_taken_by, proposal_of, take_nul_for_padding

log = structlog.get_logger(__name__)

INVALID_PARAMETER_VALUE = 6  # A-P-ABORT, PS3.8 table 9-26
# Bytes of each PDU that say whose value it bears (PS3.8 section 9.3.5); a Maximum Length has to be longer.
PDV_HEADER = 6
NO_SYNTAX = "a presentation context without its syntax"
NOT_UNDERSTOOD = "what it said is no request for an association that can be understood"


class Door:
    """The one way in. `places`: associations at once; `with_commitment`: whether storage commitment is served."""

    def __init__(
        self, admission: Admission, patience: Patience, journal: Journal, *, places: int, with_commitment: bool
    ) -> None:
        self._admission = admission
        self._patience = patience
        self._journal = journal
        self._places = places
        self._with_commitment = with_commitment

    def handlers(self) -> list[EventHandlerType]:
        return [
            (evt.EVT_CONN_OPEN, take_nul_for_padding),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_SOP_COMMON, _services),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_PDU_SENT, self._answered),
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
        self._journal.requested(association)
        refusal = (
            self._admission.refusal(association, self._journal.open_ones())
            or _no_room(association)
            or self._no_place(association)
        )
        proposed = proposal_of(association).presentation_context_definition_list
        if refusal is not None:
            self._turn_away(association, refusal)
        elif not all(context.abstract_syntax and context.transfer_syntax for context in proposed):
            self._end_unanswerable(association)
        else:
            keep_first_choices(proposed)
            association.acceptor.supported_contexts = acceptable(proposed, with_commitment=self._with_commitment)

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
        self._patience.over(association)
        self._journal.broken(association, NO_SYNTAX)
        association.acse.send_ap_abort(INVALID_PARAMETER_VALUE)
        association.kill()

    def _no_place(self, association: Association) -> Refusal | None:
        return None if self._patience.has_place(association, self._places) else FULL

    def _rejected(self, event: Event) -> None:
        # pynetdicom's own rejection: the node has node.max_associations open.
        answer = event.assoc.acceptor.primitive
        self._note_rejection(event.assoc, answer.reason_str if answer else "")

    def _note_rejection(self, association: Association, why: str) -> None:
        self._patience.over(association)
        self._journal.rejected(association, why)

    def _answered(self, event: Event) -> None:
        """Tell also of what pynetdicom refuses by itself, before anybody here has heard of a request."""
        association = event.assoc
        if not self._journal.is_unheard(association):
            return
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            self._note_rejection(association, OTHER_VERSION.why)
        elif isinstance(event.pdu, A_ABORT_RQ):
            self._patience.over(association)
            self._journal.broken(association, NOT_UNDERSTOOD)


def _no_room(association: Association) -> Refusal | None:
    return NO_ROOM if 0 < longest_taken_by(association) <= PDV_HEADER else None


def _services(event: Event) -> dict[str, SOPClassCommonExtendedNegotiation]:
    return served_as_storage(proposal_of(event.assoc).presentation_context_definition_list)
