"""Nodes that share a spool, and are to be configured alike."""

import subprocess
import sys
from pathlib import Path

import pytest

from dicom_node.config import Config, load_config
from dicom_node.config.summary import fingerprint_of
from dicom_node.siblings import Presence
from tests.configurations import destination


def presence(spool: Path, name: str, fingerprint: str = "a") -> Presence:
    return Presence(spool, name=name, fingerprint=fingerprint)


def test_a_living_node_that_is_configured_otherwise_is_named(tmp_path: Path) -> None:
    first, second, third = presence(tmp_path, "1"), presence(tmp_path, "2"), presence(tmp_path, "3", "b")
    assert [one.announce() for one in (first, second, third)] == [[], [], ["1", "2"]]
    for one in (first, second, third):
        one.leave()
    assert list((tmp_path / "nodes").iterdir()) == []


def test_a_node_that_was_killed_is_not_there_any_more(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys; from dicom_node.siblings import Presence;"
        "Presence(pathlib.Path(sys.argv[1]), name='killed', fingerprint='b').announce(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, timeout=60)
    assert (tmp_path / "nodes" / "killed").is_file()
    living = presence(tmp_path, "living")
    assert living.announce() == []
    assert not (tmp_path / "nodes" / "killed").exists()
    living.leave()


def test_where_nothing_can_be_written_nothing_is_compared_and_the_node_goes_on(tmp_path: Path) -> None:
    alone = presence(tmp_path / "absent", "1")
    assert alone.announce() == []
    alone.leave()


def configured(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "node.toml"
    file.write_text(text)
    return load_config(file, {})


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        ("[node]\nport = 7\n" + destination("pacs", 1, timeout="9s", tls=True, retry={"first": "1s"}), True),
        (destination("pacs", 2), False),
        (destination("pacs", 1, mode="copy"), False),
        ("[policy]\nfill = false\n" + destination("pacs", 1), False),
        (destination("pacs", 1) + '[[rules]]\nname = "r"\nsend_to = "pacs"\n', False),
        (destination("pacs", 1) + destination("ai", 3), False),
    ],
)
def test_what_decides_about_images_is_compared_and_how_they_travel_is_not(
    tmp_path: Path, text: str, alike: bool
) -> None:
    here = fingerprint_of(configured(tmp_path, destination("pacs", 1)))
    assert (fingerprint_of(configured(tmp_path, text)) == here) is alike
