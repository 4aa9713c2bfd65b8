"""The schema of audit messages (PS3.15 A.5.1, there in RELAX NG), as far as a message can break it, and the tables of
A.5.3 that say which participants and objects each event has.
"""

import base64
import re
from xml.etree.ElementTree import Element, fromstring

CODED = {"csd-code", "codeSystemName", "originalText"}
CODED_OPTIONAL = {"displayName"}

# Per element: required attributes, optional ones, and its children in order, each with how often: 1, ?, * or +.
SHAPES: dict[str, tuple[set[str], set[str], list[tuple[str, str]]]] = {
    "AuditMessage": (
        set(),
        set(),
        [
            ("EventIdentification", "1"),
            ("ActiveParticipant", "+"),
            ("AuditSourceIdentification", "1"),
            ("ParticipantObjectIdentification", "*"),
        ],
    ),
    "EventIdentification": (
        {"EventDateTime", "EventOutcomeIndicator"},
        {"EventActionCode"},
        [("EventID", "1"), ("EventTypeCode", "*"), ("EventOutcomeDescription", "?")],
    ),
    "ActiveParticipant": (
        {"UserID", "UserIsRequestor"},
        {"AlternativeUserID", "UserName", "NetworkAccessPointID", "NetworkAccessPointTypeCode"},
        [("RoleIDCode", "*"), ("MediaIdentifier", "?")],
    ),
    "MediaIdentifier": (set(), set(), [("MediaType", "1")]),
    "AuditSourceIdentification": ({"AuditSourceID"}, {"AuditEnterpriseSiteID"}, [("AuditSourceTypeCode", "*")]),
    "AuditSourceTypeCode": ({"csd-code"}, {"codeSystemName", "originalText", "displayName"}, []),
    "ParticipantObjectIdentification": (
        {"ParticipantObjectID"},
        {
            "ParticipantObjectTypeCode",
            "ParticipantObjectTypeCodeRole",
            "ParticipantObjectDataLifeCycle",
            "ParticipantObjectSensitivity",
        },
        [
            ("ParticipantObjectIDTypeCode", "1"),
            ("ParticipantObjectName", "1"),  # or a query, which we never have
            ("ParticipantObjectDetail", "*"),
            ("ParticipantObjectDescription", "*"),
        ],
    ),
    "ParticipantObjectName": (set(), set(), []),
    "ParticipantObjectDetail": ({"type", "value"}, set(), []),
    "ParticipantObjectDescription": (
        set(),
        set(),
        [("MPPS", "*"), ("Accession", "*"), ("SOPClass", "*"), ("ParticipantObjectContainsStudy", "?")],
    ),
    "SOPClass": ({"NumberOfInstances"}, {"UID"}, [("Instance", "*")]),
    **{
        name: (CODED, CODED_OPTIONAL, [])
        for name in ("EventID", "EventTypeCode", "RoleIDCode", "MediaType", "ParticipantObjectIDTypeCode")
    },
}
VALUES = {
    "EventActionCode": r"[CRUDE]",
    "EventOutcomeIndicator": r"0|4|8|12",
    "EventDateTime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
    "UserIsRequestor": r"true|false",
    "NetworkAccessPointTypeCode": r"[1-5]",
    "ParticipantObjectTypeCode": r"[1-4]",
    "ParticipantObjectTypeCodeRole": r"[1-9]|1\d|2[0-6]",
    "NumberOfInstances": r"\d+",
}
# A.5.3: action, kinds of event, roles of participants that must be there, ID types of objects.
EVENTS: dict[str, tuple[str, set[str], set[str], list[str]]] = {
    "110100": ("E", {"110120", "110121"}, {"110150"}, []),
    "110102": ("E", set(), {"110153", "110152"}, ["110180", "2"]),
    "110104": ("CRU", set(), {"110153", "110152"}, ["110180", "2"]),
    "110106": ("R", set(), {"110153", "110152", "110154"}, ["110180", "2"]),
    "110108": ("E", {"110124", "110125"}, set(), []),
    "110113": ("E", {"110126"}, set(), ["110182"]),
    "110114": ("E", {"110122", "110123"}, set(), []),
}


def checked(message: bytes) -> Element:
    """The message's root, once it is known to keep to the schema and to its event's table."""
    root = fromstring(message)
    assert root.tag == "AuditMessage"
    _check_shape(root)
    _check_event(root)
    return root


def event_of(root: Element) -> str:
    return root.find("EventIdentification/EventID").attrib["csd-code"]


def objects_of(root: Element) -> dict[str, str]:
    """ID type -> ID of the objects in a message."""
    return {
        item.find("ParticipantObjectIDTypeCode").attrib["csd-code"]: item.attrib["ParticipantObjectID"]
        for item in root.findall("ParticipantObjectIdentification")
    }


def _check_shape(element: Element) -> None:
    required, optional, children = SHAPES[element.tag]
    attributes = set(element.attrib)
    assert required <= attributes <= required | optional, (element.tag, attributes)
    for name, value in element.attrib.items():
        assert name not in VALUES or re.fullmatch(VALUES[name], value), (name, value)
    if element.tag == "ParticipantObjectDetail":
        base64.b64decode(element.attrib["value"], validate=True)
    counts = {"1": "{1}", "?": "?", "*": "*", "+": "+"}
    grammar = "".join(f"(?:{name} ){counts[often]}" for name, often in children)
    assert re.fullmatch(grammar, "".join(f"{child.tag} " for child in element)), (element.tag, list(element))
    for child in element:
        _check_shape(child)


def _check_event(root: Element) -> None:
    event = root.find("EventIdentification")
    actions, kinds, roles, objects = EVENTS[event_of(root)]
    assert event.attrib["EventActionCode"] in actions
    assert {kind.attrib["csd-code"] for kind in event.findall("EventTypeCode")} <= kinds
    assert bool(event.findall("EventTypeCode")) == bool(kinds)
    assert roles <= {role.attrib["csd-code"] for role in root.findall("ActiveParticipant/RoleIDCode")}
    assert list(objects_of(root)) == objects
