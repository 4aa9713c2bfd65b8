"""The sender before destinations that say what no destination may say."""

from datetime import timedelta
from pathlib import Path

import pytest

from dicom_node.errors import PermanentError
from tests.dimse_objects import incoming, written
from tests.raw_pacs import command, raw_pacs, response
from tests.stock_receiver import sender

STORED = command(response())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path, incoming(PixelData=bytes(300_000)))


@pytest.mark.parametrize("longest", [None, 0, 4096, 0xFFFFFFFF])
def test_a_destination_gets_objects_whatever_length_of_pdus_it_names_or_names_not(
    file: Path, longest: int | None
) -> None:
    with raw_pacs(STORED, longest=longest) as peer, sender(peer, timeout=timedelta(seconds=5)) as scu:
        scu.send(file)


@pytest.mark.parametrize("longest", [1, 6])
def test_a_destination_whose_pdus_are_too_short_for_anything_is_told_so(file: Path, longest: int) -> None:
    refused = pytest.raises(PermanentError, match=f"PDUs of {longest} bytes at most")
    with raw_pacs(STORED, longest=longest) as peer, sender(peer, timeout=timedelta(seconds=5)) as scu, refused:
        scu.send(file)
