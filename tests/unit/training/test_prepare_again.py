"""`prepare` reads originals: never what it, or an earlier run of it, has written."""

import zipfile

import pytest

from tests.radiographs import as_file
from tests.unit.training.test_archive import SMALL, radiograph
from tests.unit.training.test_cli import training
from training.images import load


@pytest.fixture
def archive(tmp_path):
    """Four patients' objects, and the recipe beside them."""
    (tmp_path / "recipe.toml").write_text(SMALL)
    folder = tmp_path / "archive"
    folder.mkdir()
    for number in range(4):
        as_file(radiograph(number, patient=f"PAT-4711-{number}"), folder)
    return folder


def prepare(archive, out, *more, data=None):
    recipe = archive.parent / "recipe.toml"
    return training("prepare", "--data", data or archive, "--recipe", recipe, "--out", out, *more)


def rows(folder):
    return [(row.region, row.use) for row in load(folder).rows]


def test_a_result_inside_the_archive_is_not_read_the_second_time(archive, capsys):
    """Its pictures would be rows with groups of their own: the same patients on two sides of the split."""
    key = ("--key", archive.parent / "key")
    assert prepare(archive, archive / "out", *key) == 0
    first = rows(archive / "out")
    assert prepare(archive, archive / "out", *key) == 0
    assert rows(archive / "out") == first
    assert "passed over, an earlier result" in capsys.readouterr().err


def test_another_result_inside_the_archive_is_passed_over_and_said(archive, capsys):
    """A finished one, one that was killed on the way, and one that somebody zipped."""
    assert prepare(archive, archive / "a") == 0
    assert prepare(archive, archive / "b") == 0
    (archive / "b" / "about.json").unlink()
    (archive / "b" / "images.npy").rename(archive / "b" / "images.npy.part")
    with zipfile.ZipFile(archive / "c.zip", "w") as zipped:
        for path in (archive / "a").rglob("*"):
            zipped.write(path, path.relative_to(archive))
    capsys.readouterr()
    assert prepare(archive, archive.parent / "out") == 0
    assert len(rows(archive.parent / "out")) == 4
    said = capsys.readouterr().err
    assert all(str(archive / name) in said for name in ("a\n", "b\n", "c.zip:a\n"))


def test_a_prepared_data_set_is_no_archive(archive, capsys):
    """Named itself, or its pictures: its manifest knows whose they are."""
    assert prepare(archive, archive.parent / "a") == 0
    for named in (archive.parent / "a", archive.parent / "a" / "pictures"):
        assert prepare(archive, archive.parent / "b", data=named) == 2
        assert "is a prepared data set already" in " ".join(capsys.readouterr().err.split())


def test_a_result_is_not_written_over_what_it_is_made_from(archive, capsys):
    for out in (archive, archive.parent):
        assert prepare(archive, out) == 2
        assert "name another folder for the result" in " ".join(capsys.readouterr().err.split())
