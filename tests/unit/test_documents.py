"""Documents that can drift are compared with the code."""

import re

import typer
from pydantic import BaseModel
from pynetdicom import ALL_TRANSFER_SYNTAXES

from dicom_node.cli import app
from dicom_node.config import Config, Destination
from dicom_node.config.sections import RetrySection, RuleSection
from dicom_node.dimse.scp import ScpSettings
from dicom_node.dimse.status import STATUSES, UNFORESEEN


def documented_keys(text: str) -> set[str]:
    """Every name in the first column of a table, `a`, `b` and `section.key` alike."""
    rows = re.findall(r"^\| (`[^|]+`) \|", text, flags=re.MULTILINE)
    return {name.split(".")[-1] for row in rows for name in re.findall(r"`([a-z_.]+)`", row)}


def keys_of(section: type[BaseModel]) -> set[str]:
    return set(section.model_fields)


def test_every_configuration_key_is_documented_and_no_other(root) -> None:
    sections = [field.annotation for field in Config.model_fields.values()]
    flat = {key for section in sections if isinstance(section, type) for key in keys_of(section)}
    lists = keys_of(Destination) | keys_of(RuleSection) | keys_of(RetrySection)
    expected = (flat | lists) - {"retry"}
    assert documented_keys((root / "docs" / "CONFIGURATION.md").read_text()) == expected


def test_every_command_is_in_the_readme(root) -> None:
    readme = (root / "README.md").read_text()
    group = typer.main.get_command(app)
    for name, command in group.commands.items():
        for sub in getattr(command, "commands", {"": None}):
            assert f"dicom-node {name} {sub}".strip() in readme


def test_the_conformance_statement_lists_every_status_that_can_be_sent(root) -> None:
    text = (root / "docs" / "CONFORMANCE.md").read_text()
    for status in {*STATUSES.values(), UNFORESEEN}:
        assert re.search(rf"\| `{status.code:04X}` \|[^|]+\| {re.escape(status.comment)} \|", text), status
    assert f"all {len(ALL_TRANSFER_SYNTAXES)} that pynetdicom knows" in text
    assert f"{ScpSettings(ae_title='X').max_pdu} bytes" in text
