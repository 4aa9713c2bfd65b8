"""The sender before destinations that say what no destination may say."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from dicom_node.errors import AbortedError, PermanentError, TransientError
from tests.dimse_objects import incoming, written
from tests.raw_pacs import command, raw_pacs, response, stored
from tests.stock_receiver import sender

PATIENCE = timedelta(seconds=60)  # longer than any of these tests may take


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path, incoming(PixelData=bytes(300_000)))


@pytest.mark.parametrize("longest", [None, 0, 4096, 0xFFFFFFFF])
def test_a_destination_gets_objects_whatever_length_of_pdus_it_names_or_names_not(
    file: Path, longest: int | None
) -> None:
    with raw_pacs(stored, longest=longest) as peer, sender(peer, timeout=PATIENCE) as scu:
        scu.send(file)


@pytest.mark.parametrize("longest", [1, 6])
def test_a_destination_whose_pdus_are_too_short_for_anything_is_told_so(file: Path, longest: int) -> None:
    refused = pytest.raises(PermanentError, match=f"PDUs of {longest} bytes at most")
    with raw_pacs(stored, longest=longest) as peer, sender(peer, timeout=PATIENCE) as scu, refused:
        scu.send(file)


@pytest.mark.parametrize(
    "said",
    [response(0x8030), response(0x8100), response(to=77), response(status=None)],
    ids=["C-ECHO-RSP", "N-EVENT-REPORT-RSP", "to another message", "without a status"],
)
def test_what_is_no_answer_to_the_object_does_not_count_as_one(file: Path, said: bytes) -> None:
    """Each has the status 0000: retention would remove an image that nobody has confirmed."""
    refused = pytest.raises(AbortedError, match="that is no answer to it")
    with raw_pacs(command(said)) as peer, sender(peer, timeout=PATIENCE) as scu, refused:
        scu.send(file)


@pytest.mark.parametrize(
    "said",
    [b"\x99\0\0\0\0\1x", b"\2\0\0\0\0\1x", b"\6\0\0\0\0\4\0\0\0\0", command(b"\xff" * 40)(1, 1)],
    ids=["no PDU", "half an A-ASSOCIATE-AC", "an A-RELEASE-RP", "no command"],
)
def test_a_destination_that_talks_nonsense_has_broken_off_and_costs_no_time(
    file: Path, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight times so, and the object has been refused (tests/unit/test_forward.py)."""
    died: list[object] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    refused = pytest.raises(AbortedError, match="no DICOM peer may say")
    with raw_pacs(lambda *_: said) as peer, sender(peer, timeout=PATIENCE) as scu, refused:
        scu.send(file)
    assert not died


def test_a_destination_that_releases_instead_of_answering_has_broken_off(file: Path) -> None:
    release = b"\5\0\0\0\0\4\0\0\0\0"
    refused = pytest.raises(AbortedError, match="closed the association")
    with raw_pacs(lambda *_: release) as peer, sender(peer, timeout=PATIENCE) as scu, refused:
        scu.send(file)


def test_an_echo_is_answered_by_an_echo_alone() -> None:
    refused = pytest.raises(AbortedError, match="our C-ECHO with a C-STORE that")
    with raw_pacs(stored, to_commands=True) as peer, sender(peer, timeout=PATIENCE) as scu, refused:
        scu.echo()


def test_what_is_no_dicom_port_is_told_apart_from_one_that_is_silent(file: Path) -> None:
    refused = pytest.raises(TransientError, match="is the port right")
    with (
        raw_pacs(stored, greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as peer,
        sender(peer, timeout=PATIENCE) as scu,
        refused,
    ):
        scu.send(file)
