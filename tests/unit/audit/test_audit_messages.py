"""Audit messages keep to the schema and the tables of PS3.15 A.5, whatever peers and people type."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.audit.messages import Messages, Remote, Source, Study
from tests.audit_schema import checked, event_of, objects_of

AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
MESSAGES = Messages(Source(source_id="REGION@node", ae_title="REGION", host="node", process="4711", site="Hospital"))
STUDY = Study(uid="1.2.3", patient_id="PAT-1", instances={"1.2.840.10008.5.1.4.1.1.1": 4})
PACS = Remote(ae_title="PACS", address="10.0.0.7")


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (MESSAGES.activity(started=True, at=AT), "110100"),
        (MESSAGES.activity(started=False, at=AT), "110100"),
        (MESSAGES.begin(STUDY, PACS, at=AT), "110102"),
        (MESSAGES.received(STUDY, PACS, new=True, at=AT), "110104"),
        (MESSAGES.delivered(STUDY, PACS, at=AT), "110104"),
        (MESSAGES.exported(STUDY, Remote(ae_title="AI", address="ai.example.org"), at=AT), "110106"),
        (MESSAGES.network(attached=True, at=AT), "110108"),
        (MESSAGES.alert(PACS, why="its certificate has expired", at=AT), "110113"),
        (MESSAGES.sign_in(name="vera", address="10.0.0.9", succeeded=True, at=AT), "110114"),
    ],
)
def test_each_message_keeps_to_the_schema_and_to_its_table(message: bytes, event: str) -> None:
    root = checked(message)
    assert event_of(root) == event
    assert root.find("EventIdentification").attrib["EventDateTime"] == "2026-03-01T12:00:00.123Z"
    assert root.find("AuditSourceIdentification").attrib["AuditSourceID"] == "REGION@node"
    assert b"\n" not in message


def test_a_transfer_says_who_sent_what_of_which_patient_to_whom() -> None:
    root = checked(MESSAGES.received(STUDY, Remote(ae_title="CR1", address="10.0.0.5"), new=True, at=AT))
    sender, ourselves = root.findall("ActiveParticipant")
    assert (sender.attrib["AlternativeUserID"], sender.attrib["NetworkAccessPointID"]) == ("AETITLES=CR1", "10.0.0.5")
    assert (ourselves.attrib["UserID"], ourselves.attrib["AlternativeUserID"]) == ("4711", "AETITLES=REGION")
    assert objects_of(root) == {"110180": "1.2.3", "2": "PAT-1"}
    assert root.find(".//SOPClass").attrib == {"UID": "1.2.840.10008.5.1.4.1.1.1", "NumberOfInstances": "4"}


def test_what_was_here_already_was_read_and_what_is_new_was_created() -> None:
    actions = [
        checked(MESSAGES.received(STUDY, PACS, new=new, at=AT)).find("EventIdentification").attrib["EventActionCode"]
        for new in (True, False)
    ]
    assert actions == ["C", "R"]


def test_an_alert_says_why_in_the_form_of_the_standard() -> None:
    detail = checked(MESSAGES.alert(PACS, why="expired", at=AT)).find(".//ParticipantObjectDetail")
    assert detail.attrib["type"] == "Alert Description"
    assert base64.b64decode(detail.attrib["value"]) == b"expired"


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_text_of_a_peer_or_a_person_breaks_a_message(one: str, other: str) -> None:
    study = Study(uid=one, patient_id=other, instances={one: 1})
    remote = Remote(ae_title=one, address=other)
    for message in (
        MESSAGES.received(study, remote, new=True, at=AT),
        MESSAGES.alert(remote, why=one, at=AT),
        MESSAGES.sign_in(name=one, address=other, succeeded=False, at=AT),
    ):
        checked(message)
        assert b"\n" not in message
