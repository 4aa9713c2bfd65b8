"""What a peer asked for, as plain values out of pynetdicom's events."""

from dataclasses import replace
from typing import cast

from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import A_ASSOCIATE, MaximumLengthNotification

from dicom_node.dimse.arriving import content_of
from dicom_node.instance import Incoming

_ASSOCIATE_RQ = b"\x01"
# Where its AE titles are (PS3.8 table 9-11).
_CALLED, _CALLING = slice(10, 26), slice(26, 42)


def proposal_of(association: Association) -> A_ASSOCIATE:
    """The A-ASSOCIATE request of a peer, once it has come."""
    return cast("A_ASSOCIATE", association.requestor.primitive)


def longest_taken_by(association: Association) -> int:
    """How long a PDU the peer takes (PS3.8 annex D.1), 0 being without limit: what its request left out, is added.

    Without it pynetdicom would break over the first answer, when what was sent lies in the spool already.
    """
    information = proposal_of(association).user_information
    for item in information:
        if isinstance(item, MaximumLengthNotification):
            return int(item.maximum_length_received)
    item = MaximumLengthNotification()
    item.maximum_length_received = 0
    information.append(item)
    return 0


def announced_by(event: Event) -> Incoming:
    """The object of a C-STORE request as its command announces it, still without its data set."""
    request = cast("C_STORE", event.request)
    proposal = proposal_of(event.assoc)
    return Incoming(
        sop_class_uid=str(request.AffectedSOPClassUID),
        sop_instance_uid=str(request.AffectedSOPInstanceUID),
        transfer_syntax_uid=str(event.context.transfer_syntax),
        dataset=b"",
        calling_ae=proposal.calling_ae_title.strip(),
        called_ae=proposal.called_ae_title.strip(),
        peer=event.assoc.requestor.address,
    )


def with_content(announced: Incoming, event: Event) -> Incoming:
    """The object with its data set; of a request that had none, with no bytes. Raises OutOfResourcesError."""
    return replace(announced, dataset=content_of(cast("C_STORE", event.request).DataSet))


def take_nul_for_padding(event: Event) -> None:
    """Handler of EVT_CONN_OPEN: AE titles that end with NUL are read as if they were padded with spaces.

    The standard asks for spaces (PS3.8 section 9.3.2), and pynetdicom refuses the rest; C programs send NUL, and those
    on the other side take it.
    """
    provider = event.assoc.dul
    decode = provider._decode_pdu  # noqa: SLF001 - what every PDU goes through

    def decode_padded(pdu: bytearray) -> object:
        if pdu[:1] == _ASSOCIATE_RQ and len(pdu) >= _CALLING.stop:
            for title in (_CALLED, _CALLING):
                pdu[title] = pdu[title].rstrip(b"\0 ").ljust(16)
        return decode(pdu)

    setattr(provider, "_decode_pdu", decode_padded)  # noqa: B010 - mypy forbids the plain assignment


def calling_ae_in(words: bytes) -> str:
    """The calling AE title in an A-ASSOCIATE-RQ as it came; of other words, none."""
    title = words[_CALLING].decode("ascii", "replace").strip("\0 ")
    return title if words[:1] == _ASSOCIATE_RQ and title.isprintable() and title.isascii() else ""


def peer_of(association: Association) -> dict[str, str]:
    """Who a peer is, for the log; of one that has not requested anything yet, its address."""
    request: A_ASSOCIATE | None = association.requestor.primitive
    return {
        "peer": association.requestor.address,
        "calling_ae": request.calling_ae_title.strip() if request is not None else "",
    }
