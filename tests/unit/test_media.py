"""Finding the files to work on."""

import zipfile
from pathlib import Path

import pytest

from dicom_node.media import media_files


def test_a_folder_gives_its_files_in_order_and_passes_over_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b.dcm", "a.dcm", "sub/c.dcm", ".hidden", "DICOMDIR"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    with media_files([tmp_path]) as found:
        assert [media.path.relative_to(tmp_path).as_posix() for media in found] == ["a.dcm", "b.dcm", "sub/c.dcm"]
        assert not any(media.named for media in found)


def test_a_dicomdir_stands_for_its_medium(tmp_path: Path) -> None:
    for name in ("DICOMDIR", "IM0001"):
        (tmp_path / name).write_bytes(b"x")
    with media_files([tmp_path / "DICOMDIR"]) as found:
        assert [media.path.name for media in found] == ["IM0001"]


def test_an_archive_is_unpacked_for_as_long_as_it_is_needed(tmp_path: Path) -> None:
    archive = tmp_path / "cd.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("IMAGES/IM0001.dcm", b"one")
    with media_files([archive]) as found:
        assert found[0].path.read_bytes() == b"one"
        assert found[0].label == f"{archive}:IMAGES/IM0001.dcm"
        unpacked = found[0].path
    assert not unpacked.exists()


def test_a_member_s_name_cannot_leave_the_folder(tmp_path: Path) -> None:
    archive = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("../../escaped.dcm", b"out")
    with media_files([archive]) as found:
        assert found[0].path.name == "0.dcm"
    assert not list(tmp_path.parent.glob("**/escaped.dcm"))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"), media_files([tmp_path / "absent"]):
        pass
