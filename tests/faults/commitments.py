"""A modality's question whether its objects are kept (storage commitment, PS3.4 annex J), by pynetdicom alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu import P_DATA_TF

PUSH_MODEL, PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
REQUEST_COMMITMENT = 1  # action type, PS3.4 J.3.2


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a node says it keeps, and what not; UIDs."""

    kept: frozenset[str]
    refused: frozenset[str]


def asked(port: int, uids: Iterable[str], sop_class: str, *, patience: float) -> Report | None:
    """The report on the very association on which it is asked for; None when none comes, whatever the reason."""
    heard: list[Report] = []
    reports: SimpleQueue[Report] = SimpleQueue()

    def reported(event: Event) -> tuple[int, None]:
        ds = event.event_information
        heard.append(Report(kept=_uids(ds, "ReferencedSOPSequence"), refused=_uids(ds, "FailedSOPSequence")))
        return 0x0000, None

    def sent(event: Event) -> None:
        if heard and isinstance(event.pdu, P_DATA_TF):  # not before our answer is out may the association be released
            reports.put(heard.pop())

    entity = AE("MODALITY")
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = patience
    entity.add_requested_context(PUSH_MODEL)
    handlers = [(evt.EVT_N_EVENT_REPORT, reported), (evt.EVT_PDU_SENT, sent)]
    association = entity.associate("127.0.0.1", port, evt_handlers=handlers)
    if not association.is_established:
        return None
    try:
        return reports.get(timeout=patience) if _taken(association, uids, sop_class) else None
    except Empty:
        return None
    finally:
        if association.is_established:
            association.release()


def _taken(association: Association, uids: Iterable[str], sop_class: str) -> bool:
    """Ask; whether the node has promised an answer."""
    request = Dataset()
    request.TransactionUID = generate_uid()
    request.ReferencedSOPSequence = [_reference(sop_class, uid) for uid in uids]
    try:
        answer, _ = association.send_n_action(request, REQUEST_COMMITMENT, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    except RuntimeError:  # it was ended between two lines of ours
        return False
    return bool(answer.get("Status") == 0x0000)


def _reference(sop_class: str, uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
    return item


def _uids(ds: Dataset, keyword: str) -> frozenset[str]:
    return frozenset(str(item.ReferencedSOPInstanceUID) for item in ds.get(keyword) or ())
