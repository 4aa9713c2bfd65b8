"""Finding the files to work on."""

import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dicom_node.errors import NotUnderstoodError
from dicom_node.media import LARGEST_MEMBER, MediaFile, media_files


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files that nobody else uses."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def content(media: MediaFile) -> bytes:
    with media.opened() as path:
        return path.read_bytes()


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Without the rights of the superuser, whom no permission stops."""
    if os.geteuid() != 0:
        yield
        return
    folder.chmod(0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_gives_its_files_in_order_and_passes_over_what_is_hidden(tmp_path: Path) -> None:
    top = tmp_path / "cd"
    for name in ("b.dcm", "a.dcm", "sub/c.dcm", ".hidden", "DICOMDIR"):
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_bytes(b"x")
    (top / "nowhere").symlink_to(top / "nothing")
    with media_files([top]) as found:
        assert [media.label for media in found] == [str(top / name) for name in ("a.dcm", "b.dcm", "sub/c.dcm")]
        assert not any(media.named for media in found)


def test_a_dicomdir_stands_for_its_medium(tmp_path: Path) -> None:
    top = tmp_path / "cd"
    top.mkdir()
    for name in ("DICOMDIR", "IM0001"):
        (top / name).write_bytes(b"x")
    with media_files([top / "DICOMDIR"]) as found:
        assert [media.label for media in found] == [str(top / "IM0001")]


def test_a_member_is_unpacked_for_as_long_as_it_is_worked_on(tmp_path: Path, temporary: Path) -> None:
    archive = zipped(tmp_path / "cd.zip", {"IMAGES/IM0001.dcm": b"one", "IMAGES/IM0002.dcm": b"two"})
    with media_files([archive]) as found:
        assert [media.label for media in found] == [f"{archive}:IMAGES/IM000{number}.dcm" for number in (1, 2)]
        assert list(temporary.iterdir()) == []
        with found[0].opened() as path:
            assert path.read_bytes() == b"one"
            assert len(list(temporary.rglob("*"))) == 2  # its folder and itself
        assert list(temporary.iterdir()) == []
        assert content(found[1]) == b"two"


def test_more_archives_than_are_kept_open_can_be_read(tmp_path: Path) -> None:
    archives = [zipped(tmp_path / f"{number}.zip", {"IM": bytes([number])}) for number in range(20)]
    with media_files(archives) as found:
        assert b"".join(map(content, found)) == bytes(range(20))


def test_a_member_s_name_cannot_leave_the_folder(tmp_path: Path, temporary: Path) -> None:
    archive = zipped(tmp_path / "evil.zip", {"../../escaped.dcm": b"out"})
    with media_files([archive]) as found, found[0].opened() as path:
        assert path.is_relative_to(temporary)
        assert not list(tmp_path.parent.glob("**/escaped.dcm"))


def test_a_damaged_archive_is_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    top = tmp_path / "cd"
    top.mkdir()
    (top / "a.zip").write_bytes(b"PK\3\4 and then nothing")
    (top / "b.dcm").write_bytes(b"x")
    with media_files([top]) as found:
        with pytest.raises(NotUnderstoodError, match="archive cannot be read"):
            content(found[0])
        assert content(found[1]) == b"x"


def test_a_damaged_member_is_refused_and_leaves_nothing_behind(tmp_path: Path, temporary: Path) -> None:
    archive = zipped(tmp_path / "cd.zip", {"IM1": b"what was meant", "IM2": b"sound"})
    archive.write_bytes(archive.read_bytes().replace(b"what was meant", b"what was found"))
    with media_files([archive]) as found:
        with pytest.raises(NotUnderstoodError, match="damaged"):
            content(found[0])
        assert content(found[1]) == b"sound"
    assert list(temporary.iterdir()) == []


def test_an_encrypted_member_is_refused_not_passed_over(tmp_path: Path) -> None:
    archive = tmp_path / "cd.zip"
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("IM1", b"x")
        written.filelist[0].flag_bits |= 1  # what the archive's directory will say
    with media_files([archive]) as found, pytest.raises(NotUnderstoodError, match="encrypted"):
        content(found[0])


def test_a_member_that_claims_to_be_huge_is_refused_not_passed_over(tmp_path: Path) -> None:
    archive = tmp_path / "cd.zip"
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("IM1", b"x")
        written.filelist[0].file_size = LARGEST_MEMBER + 1
    with media_files([archive]) as found, pytest.raises(NotUnderstoodError, match="larger"):
        content(found[0])


def test_a_folder_that_cannot_be_read_is_refused() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        top = Path(name)
        (top / "locked").mkdir(mode=0o000)
        (top / "a.dcm").write_bytes(b"x")
        with as_nobody(top), media_files([top]) as found:
            with pytest.raises(NotUnderstoodError, match="the folder cannot be read: Permission denied"):
                content(found[0])
            assert content(found[1]) == b"x"
        (top / "locked").chmod(0o700)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"), media_files([tmp_path / "absent"]):
        pass
