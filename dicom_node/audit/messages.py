"""Audit messages as XML, by the schema of PS3.15 A.5.1 and the tables of A.5.3 (edition 2025e)."""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import ip_address
from xml.etree.ElementTree import Element, SubElement, tostring

# XML 1.0 section 2.2: what no document may hold, not even escaped.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, kw_only=True)
class Code:
    """A code of the DICOM Controlled Terminology (PS3.16 annex D), or of another scheme."""

    value: str
    meaning: str
    scheme: str = "DCM"


class Outcome(StrEnum):
    """EventOutcomeIndicator (A.5.2)."""

    SUCCESS = "0"
    MINOR_FAILURE = "4"  # what kept somebody out worked
    SERIOUS_FAILURE = "8"


@dataclass(frozen=True, kw_only=True)
class Source:
    """The node as it speaks of itself. `process`: its number in the operating system's logs (A.5.2.1)."""

    source_id: str
    ae_title: str
    host: str
    process: str
    site: str = ""


@dataclass(frozen=True, kw_only=True)
class Remote:
    """The other side of a transfer or an attempt; the AE title is empty where it is not known."""

    ae_title: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Study:
    """What was transferred of one study: how many instances of which SOP class; none where that is not known yet. `uid`
    and `patient_id` are empty where the images have none.
    """

    uid: str
    patient_id: str
    instances: Mapping[str, int]


ACTIVITY = Code(value="110100", meaning="Application Activity")
BEGIN = Code(value="110102", meaning="Begin Transferring DICOM Instances")
TRANSFERRED = Code(value="110104", meaning="DICOM Instances Transferred")
EXPORT = Code(value="110106", meaning="Export")
NETWORK = Code(value="110108", meaning="Network Entry")
ALERT = Code(value="110113", meaning="Security Alert")
USER = Code(value="110114", meaning="User Authentication")

_START, _STOP = Code(value="110120", meaning="Application Start"), Code(value="110121", meaning="Application Stop")
_ATTACH, _DETACH = Code(value="110124", meaning="Attach"), Code(value="110125", meaning="Detach")
_LOGIN = Code(value="110122", meaning="Login")
_NODE_AUTHENTICATION = Code(value="110126", meaning="Node Authentication")
_APPLICATION = Code(value="110150", meaning="Application")
_DESTINATION = Code(value="110152", meaning="Destination Role ID")
_SOURCE = Code(value="110153", meaning="Source Role ID")
_MEDIA = Code(value="110154", meaning="Destination Media")
_URI = Code(value="110037", meaning="URI")
_STUDY_UID = Code(value="110180", meaning="Study Instance UID")
_NODE_ID = Code(value="110182", meaning="Node ID")
_PATIENT_NUMBER = Code(value="2", meaning="Patient Number", scheme="RFC-3881")


class Messages:
    """Writes messages of one node; each function is one of A.5.3, and `at` is when it happened."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def activity(self, *, started: bool, at: datetime) -> bytes:
        """Application Activity (A.5.3.1): the node started, or is about to end."""
        message = _event(ACTIVITY, action="E", at=at, kind=_START if started else _STOP)
        self._ourselves(message, requestor=False, roles=[_APPLICATION])
        return self._finished(message)

    def network(self, *, attached: bool, at: datetime) -> bytes:
        """Network Entry (A.5.3.9): the DICOM port opened or closed."""
        message = _event(NETWORK, action="E", at=at, kind=_ATTACH if attached else _DETACH)
        self._ourselves(message, requestor=False)
        return self._finished(message)

    def begin(self, study: Study, to: Remote, *, at: datetime) -> bytes:
        """Begin Transferring DICOM Instances (A.5.3.3): we start to send a study."""
        message = _event(BEGIN, action="E", at=at)
        self._ourselves(message, requestor=True, roles=[_SOURCE])
        _other(message, to, requestor=False, roles=[_DESTINATION])
        return self._finished(message, [study])

    def received(self, study: Study, sender: Remote, *, new: bool, at: datetime) -> bytes:
        """DICOM Instances Transferred (A.5.3.7), told by the receiver."""
        # C: we held no copy; R: we held it, and changed nothing.
        message = _event(TRANSFERRED, action="C" if new else "R", at=at)
        _other(message, sender, requestor=True, roles=[_SOURCE])
        self._ourselves(message, requestor=False, roles=[_DESTINATION])
        return self._finished(message, [study])

    def delivered(self, study: Study, to: Remote, *, at: datetime) -> bytes:
        """DICOM Instances Transferred (A.5.3.7), told by the sender."""
        message = _event(TRANSFERRED, action="R", at=at)  # a sender does not know what the receiver held
        self._ourselves(message, requestor=True, roles=[_SOURCE])
        _other(message, to, requestor=False, roles=[_DESTINATION])
        return self._finished(message, [study])

    def exported(self, study: Study, to: Remote, *, at: datetime) -> bytes:
        """Export (A.5.3.4): instances went to a destination outside of our security domain."""
        message = _event(EXPORT, action="R", at=at)
        self._ourselves(message, requestor=True, roles=[_SOURCE])
        participant = _other(message, to, requestor=False, roles=[_DESTINATION, _MEDIA])
        _coded(SubElement(participant, "MediaIdentifier"), "MediaType", _URI)
        return self._finished(message, [study])

    def alert(self, peer: Remote, *, why: str, at: datetime) -> bytes:
        """Security Alert (A.5.3.11): a node that did not prove who it is, or may not come in, was kept out."""
        message = _event(ALERT, action="E", at=at, kind=_NODE_AUTHENTICATION, outcome=Outcome.MINOR_FAILURE)
        self._ourselves(message, requestor=True)
        _other(message, peer, requestor=False)
        self._identify(message)
        subject = _object(message, peer.address or "unknown", _NODE_ID, kind="2", role="13", name=peer.ae_title)
        value = base64.b64encode(_clean(why).encode()).decode("ascii")
        SubElement(subject, "ParticipantObjectDetail", {"type": "Alert Description", "value": value})
        return _encoded(message)

    def sign_in(self, *, name: str, address: str, succeeded: bool, at: datetime) -> bytes:
        """User Authentication (A.5.3.13): somebody signed in at the web port, or tried to."""
        outcome = Outcome.SUCCESS if succeeded else Outcome.MINOR_FAILURE
        message = _event(USER, action="E", at=at, kind=_LOGIN, outcome=outcome)
        _participant(message, user_id=name or "unknown", requestor=True, address=address)
        self._ourselves(message, requestor=False)
        return self._finished(message)

    def _finished(self, message: Element, studies: Iterable[Study] = ()) -> bytes:
        self._identify(message)
        for study in studies:
            _study(message, study)
        return _encoded(message)

    def _ourselves(self, message: Element, *, requestor: bool, roles: Iterable[Code] = ()) -> None:
        source = self._source
        _participant(
            message,
            user_id=source.process,
            ae_title=source.ae_title,
            requestor=requestor,
            address=source.host,
            roles=roles,
        )

    def _identify(self, message: Element) -> None:
        source = SubElement(message, "AuditSourceIdentification")
        if self._source.site:
            source.set("AuditEnterpriseSiteID", _clean(self._source.site))
        source.set("AuditSourceID", _clean(self._source.source_id))
        SubElement(source, "AuditSourceTypeCode", {"csd-code": "4"})  # application server process


def _event(
    code: Code, *, action: str, at: datetime, kind: Code | None = None, outcome: Outcome = Outcome.SUCCESS
) -> Element:
    message = Element("AuditMessage")
    attributes = {
        "EventActionCode": action,
        "EventDateTime": at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "EventOutcomeIndicator": outcome,
    }
    event = SubElement(message, "EventIdentification", attributes)
    _coded(event, "EventID", code)
    if kind is not None:
        _coded(event, "EventTypeCode", kind)
    return message


def _other(message: Element, remote: Remote, *, requestor: bool, roles: Iterable[Code] = ()) -> Element:
    user_id = remote.ae_title or remote.address or "unknown"
    return _participant(
        message,
        user_id=user_id,
        ae_title=remote.ae_title,
        requestor=requestor,
        address=remote.address,
        roles=roles,
    )


def _participant(
    message: Element, *, user_id: str, requestor: bool, address: str, ae_title: str = "", roles: Iterable[Code] = ()
) -> Element:
    participant = SubElement(message, "ActiveParticipant", {"UserID": _clean(user_id)})
    if ae_title:
        participant.set("AlternativeUserID", _clean(f"AETITLES={ae_title}"))  # A.5.2.2
    participant.set("UserIsRequestor", "true" if requestor else "false")
    if address:
        participant.set("NetworkAccessPointID", _clean(address))
        participant.set("NetworkAccessPointTypeCode", "2" if _is_address(address) else "1")
    for role in roles:
        _coded(participant, "RoleIDCode", role)
    return participant


def _study(message: Element, study: Study) -> None:
    identified = _object(message, study.uid or "unknown", _STUDY_UID, kind="2", role="3", name="Study")
    description = SubElement(identified, "ParticipantObjectDescription") if study.instances else identified
    for sop_class_uid, count in study.instances.items():
        SubElement(description, "SOPClass", {"UID": _clean(sop_class_uid), "NumberOfInstances": str(count)})
    # The schema demands a name; the number says who it is, and a trail needs no more of a patient than that.
    _object(message, study.patient_id or "unknown", _PATIENT_NUMBER, kind="1", role="1", name="")


def _object(message: Element, object_id: str, id_type: Code, *, kind: str, role: str, name: str) -> Element:
    attributes = {
        "ParticipantObjectID": _clean(object_id),
        "ParticipantObjectTypeCode": kind,
        "ParticipantObjectTypeCodeRole": role,
    }
    element = SubElement(message, "ParticipantObjectIdentification", attributes)
    _coded(element, "ParticipantObjectIDTypeCode", id_type)
    SubElement(element, "ParticipantObjectName").text = _clean(name)
    return element


def _coded(parent: Element, tag: str, code: Code) -> None:
    attributes = {"csd-code": code.value, "codeSystemName": code.scheme, "originalText": code.meaning}
    SubElement(parent, tag, attributes)


def _encoded(message: Element) -> bytes:
    """One line: line ends in values are written as character references."""
    text: bytes = tostring(message, encoding="utf-8", xml_declaration=True)
    return text.replace(b"\n", b"")


def _clean(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text).strip()


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
