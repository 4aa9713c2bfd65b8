"""The spool keeps whole files or none, and never touches the reserve."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from dicom_node.errors import OutOfResourcesError
from dicom_node.spool import Spool
from tests.full_disk import no_file_longer_than

DIGEST = "abcd" + "0" * 60


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", reserve_bytes=0)


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_file_lies_under_its_digest_with_header_and_data_set_in_order(spool: Spool, tmp_path: Path) -> None:
    relative = spool.write(DIGEST, b"header", b"data set")
    assert relative == f"ab/{DIGEST}.dcm"
    assert spool.path(relative).read_bytes() == b"headerdata set"
    assert files_under(tmp_path / "spool") == [spool.path(relative)]


def test_writing_the_same_digest_again_leaves_one_whole_file(spool: Spool, tmp_path: Path) -> None:
    spool.write(DIGEST, b"header", b"data set")
    relative = spool.write(DIGEST, b"another header", b"data set")
    assert spool.path(relative).read_bytes() == b"another headerdata set"
    assert len(files_under(tmp_path / "spool")) == 1


def test_a_disk_that_takes_only_a_part_leaves_nothing_behind(spool: Spool, tmp_path: Path) -> None:
    with no_file_longer_than(4096), pytest.raises(OutOfResourcesError, match="cannot be written"):
        spool.write(DIGEST, b"header", bytes(1 << 20))
    assert files_under(tmp_path / "spool") == []


def test_a_failed_second_write_leaves_the_first_file_as_it_was(spool: Spool) -> None:
    relative = spool.write(DIGEST, b"header", b"data set")
    with no_file_longer_than(4096), pytest.raises(OutOfResourcesError):
        spool.write(DIGEST, b"header", bytes(1 << 20))
    assert spool.path(relative).read_bytes() == b"headerdata set"


def test_a_spool_that_cannot_be_made_is_out_of_resources(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    spool = Spool(tmp_path / "file" / "spool", reserve_bytes=0)
    with pytest.raises(OutOfResourcesError):
        spool.write(DIGEST, b"", b"x")
    with pytest.raises(OutOfResourcesError):
        spool.check_room(0)


def test_the_reserve_is_refused_before_it_is_touched(tmp_path: Path) -> None:
    room = Spool(tmp_path, reserve_bytes=0).room()
    spool = Spool(tmp_path, reserve_bytes=room // 2)
    spool.check_room(1)
    with pytest.raises(OutOfResourcesError, match="make room"):
        spool.check_room(room)


def test_scratch_is_on_the_same_disk_and_goes_with_its_context(spool: Spool, tmp_path: Path) -> None:
    with spool.scratch() as path:
        path.write_bytes(b"copy")
        assert path.is_relative_to(tmp_path / "spool")
    assert files_under(tmp_path / "spool") == []


def test_sweeping_takes_old_orphans_and_leaves_what_is_being_written(spool: Spool, tmp_path: Path) -> None:
    kept = spool.write(DIGEST, b"", b"data set")
    old, new = tmp_path / "spool/tmp/old.part", tmp_path / "spool/tmp/new.part"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert spool.sweep(timedelta(hours=1)) == 1
    assert not old.exists()
    assert new.exists()
    assert spool.path(kept).exists()


def test_a_new_spool_can_be_swept(spool: Spool) -> None:
    assert spool.sweep() == 0


def test_removing_twice_is_as_removing_once(spool: Spool) -> None:
    relative = spool.write(DIGEST, b"", b"data set")
    spool.remove(relative)
    spool.remove(relative)
    assert not spool.path(relative).exists()


def test_folders_that_a_dead_process_left_unsynced_are_made_durable_once(tmp_path: Path) -> None:
    """Which folders are opened as such, to be synced, is watched by an audit hook, which nobody gets rid of again."""
    (tmp_path / "spool/ab").mkdir(parents=True)
    program = """
import os, sys
from pathlib import Path
from dicom_node.spool import Spool
root, digest = Path(sys.argv[1]), sys.argv[2]
sys.addaudithook(
    lambda event, values: event == "open" and (values[2] or 0) & os.O_DIRECTORY and print(Path(values[0]))
)
spool = Spool(root / "spool", reserve_bytes=0)
for text in (b"one", b"two"):
    spool.write(digest, b"", text)
    print("written")
"""
    command = [sys.executable, "-c", program, str(tmp_path), DIGEST]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    first, second, _ = (part.split() for part in done.stdout.split("written\n"))
    chain = [str(tmp_path / part) for part in ("", "spool", "spool/ab")]
    assert set(chain) <= set(first)
    assert second == chain[-1:]
