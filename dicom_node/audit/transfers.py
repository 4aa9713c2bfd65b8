"""Transfers as the trail tells them: not each image, but what came or went of a study over one connection."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from pathlib import Path
from threading import Lock
from time import monotonic

import structlog

from dicom_node.audit.messages import Messages, Remote, Study
from dicom_node.audit.trail import Trail
from dicom_node.content import Content
from dicom_node.element_text import text_of
from dicom_node.errors import NotUnderstoodError, reason
from dicom_node.forward import Transport
from dicom_node.instance import Incoming, Receipt
from dicom_node.part10 import FILE_HEAD, identity_of, patient_id_of, split_meta

log = structlog.get_logger(__name__)

# An association may stay open all day: what it brought is told after this many seconds at the latest.
LONGEST_SECONDS = 600.0
# A destination that got nothing for so long has got the study, as far as the trail is concerned.
QUIET_SECONDS = 5.0


# Study Instance UID, where it is empty the PatientID, and whether the images were new.
_Key = tuple[str, str, bool]


@dataclass(kw_only=True)
class _Transfer:
    study_uid: str
    patient_id: str
    remote: Remote
    new: bool = True
    began: float
    instances: Counter[str] = field(default_factory=Counter)

    def study(self) -> Study:
        return Study(uid=self.study_uid, patient_id=self.patient_id, instances=dict(self.instances))


class ReceptionWatch:
    """The Watch of a receiver (dimse.watch): one message per study and association, when that ends; of images without a
    study, one per patient.
    """

    def __init__(self, trail: Trail, messages: Messages, now: Callable[[], datetime]) -> None:
        self._trail = trail
        self._messages = messages
        self._now = now
        self._lock = Lock()
        self._open: dict[int, dict[_Key, _Transfer]] = {}

    def stored(self, association: int, incoming: Incoming, receipt: Receipt) -> None:
        """Count an object towards its study. Who the patient is, is read once for each."""
        with self._lock, _never_raising():
            study_uid, new = receipt.instance.study_uid, not receipt.duplicate
            key = study_uid, "" if study_uid else _patient_of(incoming), new
            transfers = self._open.setdefault(association, {})
            if any(monotonic() - transfer.began > LONGEST_SECONDS for transfer in transfers.values()):
                self._tell(transfers)
            if key not in transfers:
                transfers[key] = _Transfer(
                    study_uid=study_uid,
                    patient_id=_patient_of(incoming),
                    remote=Remote(ae_title=incoming.calling_ae, address=incoming.peer),
                    new=new,
                    began=monotonic(),
                )
            transfers[key].instances[incoming.sop_class_uid] += 1

    def ended(self, association: int) -> None:
        with self._lock, _never_raising():
            self._tell(self._open.pop(association, {}))

    def refused(self, *, peer: str, calling_ae: str, why: str) -> None:
        self._trail.note(self._messages.alert(Remote(ae_title=calling_ae, address=peer), why=why, at=self._now()))

    def _tell(self, transfers: dict[_Key, _Transfer]) -> None:
        for transfer in transfers.values():
            self._trail.note(
                self._messages.received(transfer.study(), transfer.remote, new=transfer.new, at=self._now())
            )
        transfers.clear()


class AuditedTransport:
    """A transport that tells the trail what went over it: that a study begins to go, and what of it went; or, for a
    destination outside of the security domain, what was exported.

    Nothing is told of attempts at a destination that takes nothing: its queue tries for ever, and the log has that.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        to: Remote,
        export: bool,
        trail: Trail,
        messages: Messages,
        now: Callable[[], datetime],
    ) -> None:
        self._transport = transport
        self._to = to
        self._export = export
        self._trail = trail
        self._messages = messages
        self._now = now
        self._going: _Transfer | None = None
        self._used = monotonic()

    def send(self, path: Path) -> None:
        """As the transport's own."""
        began = self._now()
        self._transport.send(path)
        with _never_raising():
            self._count(path, began)

    def close_if_idle(self) -> None:
        self._transport.close_if_idle()
        if monotonic() - self._used > QUIET_SECONDS:
            self._tell()

    def close(self) -> None:
        self._transport.close()
        self._tell()

    def _count(self, path: Path, began: datetime) -> None:
        sop_class_uid, study_uid, patient_id = _subject(path)
        going = self._going
        if going is None or going.study_uid != study_uid or (not study_uid and going.patient_id != patient_id):
            self._tell()
            going = _Transfer(study_uid=study_uid, patient_id=patient_id, remote=self._to, began=monotonic())
            self._going = going
            if not self._export:
                self._trail.note(self._messages.begin(going.study(), self._to, at=began))
        going.instances[sop_class_uid] += 1
        self._used = monotonic()

    def _tell(self) -> None:
        going, self._going = self._going, None
        if going is None:
            return
        tell = self._messages.exported if self._export else self._messages.delivered
        self._trail.note(tell(going.study(), self._to, at=self._now()))


@contextmanager
def _never_raising() -> Iterator[None]:
    """An object that is stored stays acknowledged, whatever becomes of its trail."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        log.error("audit_failed", error=reason(error))


def _subject(path: Path) -> tuple[str, str, str]:
    """SOP Class UID, Study Instance UID and PatientID of a file that was just sent; empty where they cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_HEAD)
        meta, offset = split_meta(BytesIO(content))
        syntax = text_of(meta, 0x00020010)
        identity = identity_of(content[offset:], syntax)
    except (OSError, NotUnderstoodError):
        return "", "", ""
    return identity.sop_class_uid, identity.study_uid, _patient_id(content[offset:], syntax)


def _patient_of(incoming: Incoming) -> str:
    return _patient_id(incoming.dataset, incoming.transfer_syntax_uid)


def _patient_id(dataset: Content, transfer_syntax_uid: str) -> str:
    try:
        return patient_id_of(dataset, transfer_syntax_uid)
    except NotUnderstoodError:
        return ""
