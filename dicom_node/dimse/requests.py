"""What a peer asked for, as plain values out of pynetdicom's events."""

from typing import cast

from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import A_ASSOCIATE

from dicom_node.instance import Incoming


def proposal_of(association: Association) -> A_ASSOCIATE:
    """The A-ASSOCIATE request of a peer, once it has come."""
    return cast("A_ASSOCIATE", association.requestor.primitive)


def incoming_of(event: Event) -> Incoming:
    """The object of a C-STORE request; without a data set, one of no bytes."""
    request = cast("C_STORE", event.request)
    proposal = proposal_of(event.assoc)
    return Incoming(
        sop_class_uid=str(request.AffectedSOPClassUID),
        sop_instance_uid=str(request.AffectedSOPInstanceUID),
        transfer_syntax_uid=str(event.context.transfer_syntax),
        dataset=request.DataSet.getvalue() if request.DataSet else b"",
        calling_ae=proposal.calling_ae_title.strip(),
        called_ae=proposal.called_ae_title.strip(),
        peer=event.assoc.requestor.address,
    )


def peer_of(association: Association) -> dict[str, str]:
    """Who a peer is, for the log."""
    return {"peer": association.requestor.address, "calling_ae": proposal_of(association).calling_ae_title.strip()}
