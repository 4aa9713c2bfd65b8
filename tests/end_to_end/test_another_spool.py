"""Two nodes on one ledger that each have a folder of their own: what one keeps, the other would take for lost."""

from pathlib import Path

import pytest

from dicom_node.spool_mark import MARK
from tests.dimse_objects import incoming, written
from tests.servers.node import NodeProcess


def on_one_ledger(folder: Path, *names: str) -> list[NodeProcess]:
    ledger = f'[ledger]\nurl = "sqlite:///{folder / "ledger.sqlite"}"\n'
    return [NodeProcess(folder / name, ledger) for name in names]


def refused(node: NodeProcess, *command: str) -> tuple[int, str]:
    done = node.run(*command, check=False)
    [sentence] = done.stderr.splitlines()
    return done.returncode, sentence


def test_a_second_node_with_a_folder_of_its_own_does_not_start_though_the_ledger_is_still_empty(tmp_path) -> None:
    first, second = on_one_ledger(tmp_path, "first", "second")
    with first:
        status, sentence = refused(second, "serve")
        assert status == 1  # as long as its disk may only be late
        assert "share that folder" in sentence
        assert "[ledger] url" in sentence
        assert not second.spool.exists()


@pytest.fixture
def pair(tmp_path) -> tuple[NodeProcess, NodeProcess]:
    """Two that were set up before spools had ids: both have a mark, and the first has upgraded and taken an image."""
    first, second = on_one_ledger(tmp_path, "first", "second")
    for node in (first, second):
        node.spool.mkdir(parents=True)
        (node.spool / MARK).touch()
    first.run("import", written(tmp_path, incoming("1.2.4")))
    return first, second


@pytest.mark.parametrize("command", [["serve"], ["requeue", "--state", "unrouted"], ["rules", "replay"]])
def test_a_node_on_the_spool_of_another_ledger_touches_nothing_and_says_what_to_do(pair, command) -> None:
    first, second = pair
    status, sentence = refused(second, *command)
    assert status == 2
    for advice in ("share that folder", "[ledger] url", f"write {first_line(first)} into {second.spool / MARK}"):
        assert advice in sentence
    with first:
        first.settled(1)
        assert first.status()["lost"] == 0


def test_a_spool_that_was_moved_or_restored_is_known_by_its_mark_and_without_it_by_what_the_message_says(pair) -> None:
    first, _ = pair
    told = first_line(first)
    first.spool.rename(first.folder / "aside")
    first.spool.mkdir()
    (first.folder / "aside" / MARK).replace(first.spool / MARK)
    for folder in (first.folder / "aside").iterdir():
        folder.rename(first.spool / folder.name)
    with first:
        first.settled(1)
    (first.spool / MARK).unlink()
    status, sentence = refused(first, "serve")
    assert (status, f"write {told} into" in sentence) == (2, True)
    (first.spool / MARK).write_text(told)
    with first:
        assert first.status()["lost"] == 0


def first_line(node: NodeProcess) -> str:
    return (node.spool / MARK).read_text().splitlines()[0]
