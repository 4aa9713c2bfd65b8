"""Tables that people saved with a spreadsheet are read like any other, and files are told apart by their folders."""

from pathlib import Path

import pytest

from training.archive import read_labels
from training.cluster_files import read_names
from training.corrections import read_corrections
from training.errors import TrainingError
from training.labels import read_labels as read_few_labels
from training.manifest import Row, read_manifest
from training.table_files import read_table

READERS = {
    "manifest": (lambda path: [row.region for row in read_manifest(path)], ["file", "region", "group", "use"]),
    "labels": (lambda path: list(read_labels(path).values()), ["sop_instance_uid", "region"]),
    "names": (lambda path: list(read_names(path).values()), ["cluster", "name"]),
    "corrections": (lambda path: list(read_corrections(path, [row("1.png")]).values()), ["file", "region"]),
}
VALUES = {
    "file": "1.png", "region": "hand", "group": "g", "use": "train", "sop_instance_uid": "1.2", "cluster": "1",
    "name": "hand",
}  # fmt: skip


def row(file):
    return Row(file=Path(file), region="hand", group="g", use="train")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("separator", "encoding"), [(";", "utf-8-sig"), (",", "utf-8-sig"), (";", "utf-8")])
def test_what_a_spreadsheet_saved_is_read(tmp_path, reader, separator, encoding):
    """With its byte order mark, and semicolons where the comma is the decimal sign."""
    read, columns = READERS[reader]
    path = tmp_path / "table.csv"
    lines = [columns, [VALUES[name] for name in columns]]
    path.write_text("\r\n".join(separator.join(line) for line in lines) + "\r\n", encoding=encoding)
    assert read(path) == ["hand"]


def test_a_semicolon_inside_a_name_separates_nothing(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("file,a;b\n1.png,c;d\n")
    assert read_table(path) == [{"file": "1.png", "a;b": "c;d"}]


def test_the_line_of_an_error_is_the_one_that_an_editor_shows(tmp_path):
    """Empty lines count, although they hold no row."""
    (tmp_path / "1.png").touch()
    path = tmp_path / "table.csv"
    path.write_text("file,region,group,use\n\n1.png,hand,g,train\n\n\n1.png,toe,g,train\n")
    for read in (read_manifest, read_few_labels):
        with pytest.raises(TrainingError, match="line 6: 'toe'"):
            read(path)


def test_a_quote_that_nobody_closed_ends_in_a_sentence(tmp_path):
    """It makes one cell of all that follows, longer than the csv module takes."""
    path = tmp_path / "table.csv"
    path.write_text('file,region,group,use,cluster,name\n1.png,"hand,g,train\n' + "1.png,hand,g,train\n" * 9000)
    for read in (read_manifest, read_few_labels, read_labels, read_names, lambda path: read_corrections(path, [])):
        with pytest.raises(TrainingError, match="field larger than field limit"):
            read(path)


def test_a_manifest_of_a_header_alone_is_said_to_be_empty(tmp_path):
    """Not that none of 0 pictures could be read."""
    path = tmp_path / "manifest.csv"
    path.write_text("file,region,group,use\n")
    with pytest.raises(TrainingError, match="has no rows"):
        read_manifest(path)


def corrections(folder, *lines):
    (folder / "read.csv").write_text("file,region\n" + "\n".join(lines) + "\n")
    return folder / "read.csv"


def test_images_of_one_name_in_two_folders_are_corrected_apart(tmp_path):
    """By paths relative to the table or by their ends; a bare name where one image alone has it."""
    rows = [row(tmp_path / "data" / name) for name in ("a/1.png", "b/1.png", "b/2.png", "b/3.png")]
    table = corrections(tmp_path, "data/a/1.png,rib", "b/1.png,foot", "2.png,", "other.png,hand")
    assert read_corrections(table, rows) == {0: "rib", 1: "foot", 2: ""}


def test_a_name_that_two_images_have_is_refused(tmp_path):
    rows = [row(tmp_path / "data" / name) for name in ("a/1.png", "b/1.png")]
    with pytest.raises(TrainingError, match=r"'1\.png', which 2 images could be"):
        read_corrections(corrections(tmp_path, "1.png,rib"), rows)
    with pytest.raises(TrainingError, match="names 'toe'"):
        read_corrections(corrections(tmp_path, "a/1.png,toe"), rows)


def test_a_table_in_utf_16_is_not_said_to_lack_a_column(tmp_path):
    """Only its byte order mark is no UTF-8."""
    path = tmp_path / "table.csv"
    path.write_bytes("file,region\n1.png,hand\n".encode("utf-16"))
    with pytest.raises(TrainingError, match="cannot be read"):
        read_few_labels(path)
