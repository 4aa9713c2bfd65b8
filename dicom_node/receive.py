"""The story of an object that arrives: the node takes it only when it can keep it."""

from datetime import datetime

from dicom_node.errors import MismatchError
from dicom_node.instance import Arrival, Incoming, Instance, Receipt
from dicom_node.part10 import Identity, digest_of, file_header, read_identity
from dicom_node.ports import Intake
from dicom_node.soundness import is_surely_sound
from dicom_node.spool import Spool


def receive(incoming: Incoming, *, spool: Spool, intake: Intake, now: datetime) -> Receipt:
    """Take an object in, durably, and say what became of it. Only then may the sender hear 0x0000 (PS3.4 B.2.2).

    Outcomes: OutOfResourcesError when the disk has no room for it; NotUnderstoodError when it is not DICOM;
    MismatchError when it is not what the command announced; a duplicate when the very same content is here already,
    and then nothing is written, unless retention or a disk has lost or damaged its file, also if a start has found that
    again since: then it is restored, and goes to its destinations again, since whoever sends it again misses it; else a
    file and a row.

    LedgerError leaves a file without a row behind: it bears the name of its content, so that sending the object again
    makes it whole, as after a crash at that point.
    """
    spool.check_room(len(incoming.dataset))
    identity = read_identity(incoming)
    _check_announced(incoming, identity)
    digest = digest_of(incoming)
    if spool.holds(digest):
        here = intake.find(incoming.sop_instance_uid, digest)
        if here is not None and _is_missed_by_nobody(here) and is_surely_sound(spool.path(here.path), digest):
            return Receipt(instance=here, duplicate=True)
    header = file_header(incoming)
    path = spool.write(digest, header, incoming.dataset)
    receipt = intake.add(arrival_of(incoming, identity, digest=digest, path=path, now=now))
    if receipt.duplicate:
        intake.restore(receipt.instance.id, path=path, now=now, resend=True)
        if not spool.holds(digest):  # retention took it before that; now that its row is restored, it stays
            spool.write(digest, header, incoming.dataset)
    return receipt


def _is_missed_by_nobody(here: Instance) -> bool:
    """Unlike one whose file had gone, of which a start may have found what its sender was refused (`recovery`)."""
    return here.spooled and not here.unasked


def _check_announced(incoming: Incoming, identity: Identity) -> None:
    """What the data set leaves out is tolerated, and taken from the command; a contradiction is not (PS3.4 B.2.3)."""
    if identity.sop_class_uid not in ("", incoming.sop_class_uid):
        raise MismatchError("the data set's SOP Class UID is not the one that the command announced")
    if identity.sop_instance_uid not in ("", incoming.sop_instance_uid):
        raise MismatchError("the data set's SOP Instance UID is not the one that the command announced")


def arrival_of(incoming: Incoming, identity: Identity, *, digest: str, path: str, now: datetime) -> Arrival:
    """What the ledger gets to know of an object that lies in the spool at `path`."""
    return Arrival(
        sop_instance_uid=incoming.sop_instance_uid,
        sop_class_uid=incoming.sop_class_uid,
        transfer_syntax_uid=incoming.transfer_syntax_uid,
        study_uid=identity.study_uid,
        series_uid=identity.series_uid,
        modality=identity.modality,
        body_part=identity.body_part,
        digest=digest,
        path=path,
        size=len(incoming.dataset),
        calling_ae=incoming.calling_ae,
        called_ae=incoming.called_ae,
        peer=incoming.peer,
        received_at=now,
        anatomic_region_code=identity.anatomic_region_code,
    )
