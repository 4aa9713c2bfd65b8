"""A file of the spool is told from what a broken disk or copy makes of it."""

from pathlib import Path

import pytest

from dicom_node.part10 import digest_of, file_header
from dicom_node.soundness import is_as_long, is_sound, is_surely_sound
from tests.dimse_objects import bundled_objects, incoming, incoming_bytes, written


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path, incoming())


SIZE, DIGEST = len(incoming().dataset), digest_of(incoming())


def test_every_real_object_is_sound_as_it_was_written(tmp_path: Path) -> None:
    for name, item in bundled_objects():
        path = written(tmp_path, item)
        assert is_as_long(path, len(item.dataset)), name
        assert is_sound(path, digest_of(item)), name


@pytest.mark.parametrize("uid", ["1.2.3", "1.2\\3.4", "1.2\0 3", "no uid at all"])
def test_what_peers_give_for_uids_makes_no_file_unsound(tmp_path: Path, uid: str) -> None:
    item = incoming(uid, SOPInstanceUID=None)
    (tmp_path / "file").write_bytes(file_header(item) + item.dataset)
    assert is_sound(tmp_path / "file", digest_of(item))


def test_a_data_set_that_begins_like_more_file_meta_is_sound(tmp_path: Path) -> None:
    item = incoming_bytes(b"\x02\0\x03\0UI\x04\x001.2\0" + incoming().dataset)
    (tmp_path / "file").write_bytes(file_header(item) + item.dataset)
    assert is_as_long(tmp_path / "file", len(item.dataset))
    assert is_sound(tmp_path / "file", digest_of(item))


@pytest.mark.parametrize("left", [0, 100, 131, 140, 144, 200, -1])
def test_a_file_that_breaks_off_is_neither_sound_nor_as_long_as_it_was(file: Path, left: int) -> None:
    file.write_bytes(file.read_bytes()[:left])
    assert not is_as_long(file, SIZE)
    assert not is_sound(file, DIGEST)


def test_a_file_that_grew_is_neither(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")
    assert not is_as_long(file, SIZE)
    assert not is_sound(file, DIGEST)


@pytest.mark.parametrize("place", [0, 130, 141, 160, 205, -1])
def test_a_file_with_one_other_byte_is_not_sound(file: Path, place: int) -> None:
    """Preamble, prefix, length, version, UID, pixels."""
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    assert is_sound(file, DIGEST) is (place == 160)  # the version of the meta concerns nobody


def test_what_is_no_file_is_neither(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        assert not is_as_long(path, SIZE)
        assert not is_sound(path, DIGEST)


def test_nobody_vouches_for_what_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "loop"
    path.symlink_to(path)
    with pytest.raises(OSError, match="symbolic links"):
        is_sound(path, DIGEST)
    assert not is_surely_sound(path, DIGEST)
