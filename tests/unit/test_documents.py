"""Documents that can drift are compared with the code."""

import re

import typer
from pydantic import BaseModel

from dicom_node.cli import app
from dicom_node.config import Config, Destination
from dicom_node.config.sections import RetrySection, RuleSection


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
