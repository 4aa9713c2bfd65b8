"""Documents that can drift are compared with the code."""

import re
import textwrap
import tomllib

import typer
from pydantic import BaseModel
from pydicom.uid import Comprehensive3DSRStorage
from pynetdicom import ALL_TRANSFER_SYNTAXES

from dicom_node.audit import messages
from dicom_node.cli import app
from dicom_node.commit import AT_A_TIME
from dicom_node.commitment import FailureReason
from dicom_node.config import Config, Destination
from dicom_node.config.commitment import CommitmentPeer
from dicom_node.config.sections import RetrySection, RuleSection
from dicom_node.config.security import AuthSection, DestinationTlsSection, TokenSection, UserSection
from dicom_node.dimse import admission
from dicom_node.dimse.commitment import ACTION_STATUSES, EVENT_STATUSES
from dicom_node.dimse.contexts import PUSH_MODEL, PUSH_MODEL_INSTANCE
from dicom_node.dimse.scp import ScpSettings
from dicom_node.dimse.status import STATUSES, UNFORESEEN
from dicom_node.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.rules import Facts, explain
from dicom_node.tls import Contexts, TlsClient
from dicom_node.verdict import Outcome
from tests.audit_schema import EVENTS


def documented_keys(text: str) -> set[str]:
    """Every name in the first column of a table, `a`, `b` and `section.key` alike."""
    rows = re.findall(r"^\| (`[^|]+`) \|", text, flags=re.MULTILINE)
    return {name.split(".")[-1] for row in rows for name in re.findall(r"`([a-z_0-9.]+)`", row)}


def keys_of(section: type[BaseModel]) -> set[str]:
    return set(section.model_fields)


def test_every_configuration_key_is_documented_and_no_other(root) -> None:
    sections = [field.annotation for field in Config.model_fields.values()]
    flat = {key for section in sections if isinstance(section, type) for key in keys_of(section)}
    nested = (Destination, RuleSection, RetrySection, DestinationTlsSection, AuthSection, UserSection, TokenSection)
    nested += (CommitmentPeer,)
    lists = {key for section in nested for key in keys_of(section)}
    expected = (flat | lists) - {"retry", "auth"}
    assert documented_keys((root / "docs" / "CONFIGURATION.md").read_text()) == expected


def test_every_command_is_in_the_readme(root) -> None:
    readme = (root / "README.md").read_text()
    group = typer.main.get_command(app)
    for name, command in group.commands.items():
        for sub in getattr(command, "commands", {"": None}):
            assert f"dicom-node {name} {sub}".strip() in readme


def test_the_rule_in_the_readme_finds_children_of_every_age_and_nobody_else(root) -> None:
    text = (root / "README.md").read_text()
    example = re.search(r"^    \[\[rules\]\]\n(?:    .+\n)+", text, flags=re.MULTILINE)[0]
    rule = RuleSection.model_validate(tomllib.loads(textwrap.dedent(example))["rules"][0]).rule()
    found = {}
    for age in ("003D", "006W", "011M", "000Y", "009Y", "010Y", "017Y", "018Y", "020Y", "045Y", "102Y", ""):
        facts = Facts(outcome=Outcome.TAGGED, region="hand", confidence=0.95, header={"PatientAge": (age,)})
        found[age] = explain(rule, facts).matched
    assert [age for age, matched in found.items() if matched] == [
        "003D",
        "006W",
        "011M",
        "000Y",
        "009Y",
        "010Y",
        "017Y",
    ]


def test_the_conformance_statement_lists_every_status_that_can_be_sent(root) -> None:
    text = (root / "docs" / "CONFORMANCE.md").read_text()
    for status in {*STATUSES.values(), UNFORESEEN}:
        assert re.search(rf"\| `{status.code:04X}` \|[^|]+\| {re.escape(status.comment)} \|", text), status
    assert f"all {len(ALL_TRANSFER_SYNTAXES)} that pynetdicom knows" in text
    assert f"{ScpSettings(ae_title='X').max_pdu} bytes" in text


def test_the_conformance_statement_says_by_what_the_node_and_its_reports_are_known(root) -> None:
    text = (root / "docs" / "CONFORMANCE.md").read_text()
    for name in (IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, Comprehensive3DSRStorage):
        assert f"`{name}`" in text


def test_the_conformance_statement_lists_what_storage_commitment_answers(root) -> None:
    text = (root / "docs" / "CONFORMANCE.md").read_text()
    section = text[text.index("## Storage Commitment") : text.index("## Attributes")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| `")]
    for column, statuses in ((1, ACTION_STATUSES), (2, EVENT_STATUSES)):
        told = {(row[0].strip("`"), row[3]) for row in rows if len(row) == 4 and row[column]}
        assert told == {(f"{status.code:04X}", status.comment) for status in statuses}
    reasons = {f"{reason:04X}" for reason in (FailureReason.NO_SUCH_INSTANCE, FailureReason.CLASS_INSTANCE_CONFLICT)}
    assert {row[0][1:5] for row in rows if len(row) == 2} == reasons
    assert f"`{PUSH_MODEL}`" in section
    assert f"`{PUSH_MODEL_INSTANCE}`" in section
    assert f"up to {AT_A_TIME} deliveries" in section


def test_the_conformance_statement_lists_the_suites_the_rejections_and_the_audit_messages(root) -> None:
    text = (root / "docs" / "CONFORMANCE.md").read_text()
    security = text[text.index("## Security") : text.index("## Not supported")]
    context = Contexts(TlsClient()).current()
    assert set(re.findall(r"`([A-Z0-9_-]{20,})`", security)) == {suite["name"] for suite in context.get_ciphers()}
    refusals = [value for value in vars(admission).values() if isinstance(value, admission.Refusal)]
    for refusal in refusals:
        wire = " ".join(str(number) for number in refusal.wire)
        assert re.search(rf"\| `{wire}` [^|]+\| {re.escape(refusal.why)} \|", security), refusal
    told = {value.value for value in vars(messages).values() if isinstance(value, messages.Code)} & set(EVENTS)
    assert set(re.findall(r"`(1101\d\d)`", security)) == told == set(EVENTS)
    guide = (root / "docs" / "SECURITY.md").read_text()
    assert {number for number in told if f"| {number} " in guide} == told
