"""Two commands with one --out."""

from pathlib import Path

import pytest

from training.alone import alone_in
from training.cli import main
from training.errors import TrainingError


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_folder_is_held_until_the_command_ends(tmp_path: Path) -> None:
    refused = pytest.raises(TrainingError, match="Another command is writing to")
    with alone_in(tmp_path / "run"), refused, alone_in(tmp_path / "run"):
        pass
    with alone_in(tmp_path / "run"):
        assert names_in(tmp_path / "run") == []
    assert names_in(tmp_path) == []


def test_a_folder_that_holds_something_or_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with alone_in(tmp_path / "mine"), alone_in(tmp_path / "run"):
        (tmp_path / "run" / "result").touch()
    assert names_in(tmp_path) == ["mine", "run"]


def test_a_command_does_not_begin_while_another_one_writes_to_its_folder(tmp_path: Path, capsys) -> None:
    """Two of `prepare` left a cache of the one with a manifest of the other, or a traceback."""
    (tmp_path / "manifest.csv").write_text("file,region,group,use\nhand.png,hand,a,train\n")
    arguments = ["prepare", "--data", str(tmp_path / "manifest.csv"), "--out", str(tmp_path / "run")]
    with alone_in(tmp_path / "run"), pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "wait until it has ended, or choose another --out" in capsys.readouterr().err


def test_of_several_processes_of_one_run_only_the_first_holds_the_folder(tmp_path: Path, monkeypatch) -> None:
    """The others begin all the same, and end here for want of data."""
    monkeypatch.setenv("RANK", "1")
    with alone_in(tmp_path / "run"), pytest.raises(SystemExit):
        main(["pretrain", "--data", str(tmp_path / "none.csv"), "--out", str(tmp_path / "run")])
