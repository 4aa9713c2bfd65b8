"""`prepare` reads originals, never what it has written itself, and says what it did with labels."""

import os
import zipfile
from pathlib import Path

import pytest

from tests.radiographs import as_file
from tests.unit.training.test_archive import SMALL, radiograph
from tests.unit.training.test_cli import training
from training.images import load
from training.pool import Pool
from training.table_files import read_table


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


def test_labels_that_somebody_corrected_in_the_manifest_are_not_written_over(archive, capsys):
    """The page on training says to write them there; the same command again lost them, with success."""
    out = archive.parent / "out"
    assert prepare(archive, out) == 0
    assert prepare(archive, out) == 0
    manifest = out / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("000000.png,,", "000000.png,wrist,").replace(",hand,", ",wrist,"))
    corrected = rows(out)
    capsys.readouterr()
    assert prepare(archive, out) == 2
    assert "what somebody corrected there would be lost" in " ".join(capsys.readouterr().err.split())
    assert rows(out) == corrected
    assert "wrist" in {region for region, _ in corrected}
    assert prepare(archive, archive.parent / "other", data=manifest) == 0
    assert rows(archive.parent / "other") == corrected
    manifest.unlink()
    assert prepare(archive, out) == 0


def test_another_result_inside_the_archive_is_passed_over_and_said(archive, capsys):
    """A finished one, two that ended on the way, and one that somebody zipped."""
    for name in "abd":
        assert prepare(archive, archive / name) == 0
    (archive / "d" / "about.json").unlink()
    (archive / "b" / "about.json").unlink()
    (archive / "b" / "images.npy").rename(archive / "b" / "images.npy.part")
    with zipfile.ZipFile(archive / "c.zip", "w") as zipped:
        for path in (archive / "a").rglob("*"):
            zipped.write(path, path.relative_to(archive))
    capsys.readouterr()
    assert prepare(archive, archive.parent / "out") == 0
    assert len(rows(archive.parent / "out")) == 4
    said = capsys.readouterr().err
    assert all(str(archive / name) in said for name in ("a\n", "b\n", "c.zip:a\n", "d\n"))


def test_a_manifest_in_a_folder_that_is_taken_for_an_archive_is_said_not_to_be_read(archive, capsys):
    """Its pictures came out without a region, and without a word."""
    (archive / "manifest.csv").write_text("file,region,group,use\n1.dcm,hand,g1,train\n")
    assert prepare(archive, archive.parent / "out") == 0
    assert f"{archive / 'manifest.csv'} is not read" in capsys.readouterr().err


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


def labels(archive, *lines):
    path = archive.parent / "labels.csv"
    path.write_text("sop_instance_uid,region\n" + "".join(f"{line}\n" for line in lines))
    return "--labels", path


def test_it_is_said_how_many_reviewed_labels_met_an_image(archive, capsys):
    """A table of another archive would pass for reviewed labels."""
    out = archive.parent / "out"
    given = labels(archive, *(f"1.2.826.0.1.999.{number},wrist" for number in (0, 2, 77)))
    assert prepare(archive, out, *given) == 0
    assert "2 of 3 objects in" in capsys.readouterr().out
    assert prepare(archive, out, *labels(archive, "1.2.3,wrist")) == 0
    assert "NOT ONE reviewed label was taken" in capsys.readouterr().err


def test_labels_that_are_not_there_are_not_said_to_lack_a_column(archive, capsys):
    assert prepare(archive, archive.parent / "out", "--labels", archive / "absent.csv") == 2
    told = capsys.readouterr().err
    assert "absent.csv cannot be read" in told
    assert "columns" not in told


def test_an_archive_without_a_file_and_one_without_an_image_are_said(archive, capsys):
    """And the result of before stays where nothing was found to replace it by."""
    out, empty = archive.parent / "out", archive.parent / "empty"
    assert prepare(archive, out) == 0
    before = rows(out)
    empty.mkdir()
    assert prepare(archive, out, data=empty) == 2
    assert f"There is no file to prepare in {empty}." in capsys.readouterr().err
    assert rows(out) == before
    (empty / "letter.txt").write_text("dear colleague")
    assert prepare(archive, archive.parent / "other", data=empty) == 2
    assert "There is no image in what was given" in capsys.readouterr().err


def test_a_key_where_a_file_lies_is_refused(archive, capsys):
    (archive.parent / "text.txt").write_text("mine")
    assert prepare(archive, archive.parent / "out", "--key", archive.parent / "text.txt") == 2
    assert "text.txt: File exists" in capsys.readouterr().err


def test_names_that_are_not_utf8_are_read_and_kept_as_they_are(archive, capsys):
    """Of folders and of objects, as old archives have them; the links are the only way back to the originals."""
    strange = os.fsencode(archive.parent) + b"/Archiv R\xf6ntgen"
    archive.rename(os.fsdecode(strange))
    os.rename(next(Path(os.fsdecode(strange)).iterdir()), strange + b"/R\xf6ntgen.dcm")  # noqa: PTH104 - bytes
    folder, out = Path(os.fsdecode(strange)), archive.parent / "out"
    assert prepare(folder, out, "--key", archive.parent / "key") == 0
    assert strange + b"/R\xf6ntgen.dcm" in (archive.parent / "key" / "links.csv").read_bytes()
    assert prepare(folder, folder / "inside") == 0
    assert r"R\udcf6ntgen" in capsys.readouterr().out
    assert prepare(folder, archive.parent / "again", data=folder / "inside" / "manifest.csv") == 0
    kept = load(archive.parent / "again").rows
    assert all(row.file.resolve().is_relative_to(folder) and row.file.exists() for row in kept)
    assert len(Pool.of(load(archive.parent / "again")).fingerprint) == 33


def test_labels_that_a_spreadsheet_wrote_in_its_own_encoding_are_still_refused(archive):
    """Letters that are no UTF-8 are not taken for the bytes of a name, unless there is such a file."""
    (archive / "Müller.png").touch()
    table = archive / "labels.csv"
    table.write_bytes("file,region\nMüller.png,hand\n".encode("latin-1"))
    with pytest.raises(UnicodeDecodeError):
        read_table(table)
    named = os.fsencode(archive) + b"/M\xfcller.png"
    Path(os.fsdecode(named)).touch()
    assert [line["region"] for line in read_table(table)] == ["hand"]
    table.write_bytes("file,region,group\nMüller.png,hand,Müller\n".encode("latin-1"))
    with pytest.raises(UnicodeDecodeError):
        read_table(table)


def test_labels_beside_manifests_alone_are_refused(archive, capsys):
    """They would be read and forgotten."""
    assert prepare(archive, archive.parent / "a") == 0
    manifest = archive.parent / "a" / "manifest.csv"
    assert prepare(archive, archive.parent / "b", *labels(archive, "1.2.3,wrist"), data=manifest) == 2
    assert "a manifest has a column for it" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("shares", [("--tune", 5.0), ("--evaluate", -1.0), ("--tune", 0.9, "--evaluate", 0.9)])
def test_shares_that_cannot_be_meant_are_refused_before_anything_is_read(archive, capsys, shares):
    assert prepare(archive, archive.parent / "out", *shares) == 2
    assert "both together are at most 1" in " ".join(capsys.readouterr().err.split())
    assert not (archive.parent / "out").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's device that is always full")
def test_a_full_disk_ends_the_run_instead_of_leaving_rows_without_pictures(archive, capsys):
    out = archive.parent / "out"
    (out / "pictures").mkdir(parents=True)
    (out / "pictures" / "000002.png").symlink_to("/dev/full")
    assert prepare(archive, out) == 2
    assert "000002.png cannot be written: No space left on device" in capsys.readouterr().err
    assert not (out / "about.json").exists()
