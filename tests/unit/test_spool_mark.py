"""The mark of a spool that somebody else has put there by hand, most often as root."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_node.errors import OutOfResourcesError
from dicom_node.spool import Spool
from dicom_node.spool_mark import MARK
from tests.accounts import as_nobody, folder_of_nobody


@pytest.fixture
def root() -> Iterator[Path]:
    with folder_of_nobody() as folder:
        yield folder


def put_by_root(root: Path, content: str, mode: int) -> Path:
    mark = root / MARK
    mark.write_text(content)
    mark.chmod(mode)
    return mark


def opened(root: Path) -> Spool:
    with as_nobody():
        return Spool.opened(root, 0, expected=lambda: True)


@pytest.mark.parametrize("mode", [0o644, 0o600], ids=oct)
def test_an_empty_mark_of_roots_gets_an_id_that_stays(root, mode) -> None:
    """It is what messages and runbook told people to put there."""
    put_by_root(root, "", mode)
    first = opened(root).id
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert opened(root).id == first
    assert [path.name for path in root.rglob("*") if path.is_file()] == [MARK]


def test_a_mark_of_roots_with_an_id_keeps_it(root) -> None:
    put_by_root(root, "abc\n", 0o644)
    assert opened(root).id == "abc"


def test_a_mark_whose_id_cannot_be_read_stays_and_is_named_with_its_owner(root) -> None:
    mark = put_by_root(root, "abc\n", 0o600)
    with pytest.raises(OutOfResourcesError, match=rf"{mark} belongs to root .*chown"):
        opened(root)
    assert mark.read_text() == "abc\n"


def test_a_mark_in_a_folder_that_is_roots_is_named_with_its_owner(root) -> None:
    mark = put_by_root(root, "", 0o644)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o777)
    root.chmod(0o755)
    os.chown(root, 0, -1)
    with pytest.raises(OutOfResourcesError, match=rf"{mark} belongs to root"):
        opened(root)
    assert not list((root / "tmp").iterdir())
