"""labels.csv is read whole or refused with the line that is wrong."""

import csv

import cv2
import numpy as np
import pytest

from tests.synthetic import bright
from training.errors import TrainingError
from training.labels import load_labelled, read_labels


def write(folder, lines, header=("file", "region")):
    path = folder / "labels.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *lines])
    return path


@pytest.fixture
def folder(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (40, 30)).astype(np.uint8)
    for name in ("a.png", "b.jpg"):
        cv2.imwrite(str(tmp_path / name), picture)
    for name in ("c.dcm", "d"):
        bright(PatientID="P1").save_as(tmp_path / name, enforce_file_format=True)
    return tmp_path


def test_pictures_and_dicom_objects_come_through_the_nodes_imaging(folder):
    """Two objects of one patient are one group; its identifier is in no row."""
    lines = [("a.png", "hand"), ("b.jpg", "foot"), ("c.dcm", "knee"), ("d", "ood:chest")]
    data = load_labelled(write(folder, lines), 32)
    assert data.images.shape == (4, 32, 32)
    assert [row.region for row in data.rows] == ["hand", "foot", "knee", "ood:chest"]
    assert data.rows[2].group == data.rows[3].group
    assert "P1" not in data.rows[2].group
    assert len({row.group for row in data.rows}) == 3


def test_one_patient_is_one_group_however_the_id_is_written(folder):
    """As in `prepare`: modalities differ in case and in spaces, and the same person would be on two sides."""
    for number, patient in enumerate(("ab12", "AB12", " AB12 ")):
        bright(PatientID=patient).save_as(folder / f"{number}.dcm", enforce_file_format=True)
    data = load_labelled(write(folder, [(f"{number}.dcm", "hand") for number in range(3)]), 32)
    assert len({row.group for row in data.rows}) == 1


def test_the_group_column_is_taken_where_it_is_there(folder):
    path = write(folder, [("a.png", "hand", "x"), ("c.dcm", "knee", "x")], ("file", "region", "group"))
    assert [row.group for row in load_labelled(path, 32).rows] == ["x", "x"]


def test_a_group_that_is_left_out_on_some_lines_of_a_patient_holds_for_all(folder):
    """A table that was filled in half would put the patient on both sides of a fold."""
    lines = [("a.png", "hand", ""), ("c.dcm", "knee", "x"), ("d", "knee", "")]
    rows = load_labelled(write(folder, lines, ("file", "region", "group")), 32).rows
    assert [row.group for row in rows[1:]] == ["x", "x"]
    assert rows[0].group != "x"


def test_an_empty_group_that_could_be_one_of_two_is_refused(folder):
    (folder / "e.dcm").write_bytes((folder / "c.dcm").read_bytes())
    lines = [("c.dcm", "knee", "x"), ("e.dcm", "knee", "y"), ("d", "knee", "")]
    with pytest.raises(TrainingError, match=r"line 4: the column 'group' is empty, and other lines .* 2 groups"):
        load_labelled(write(folder, lines, ("file", "region", "group")), 32)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("a.png", "thigh"), "line 2: 'thigh' is no region"),
        (("missing.png", "hand"), "line 2: there is no file"),
        (("a.png", ""), "line 2: the column 'region'"),
        (("", "hand"), "line 2: the column 'file'"),
        (("a.png", "ood:"), "is no region"),
    ],
)
def test_a_wrong_line_is_named(folder, line, message):
    with pytest.raises(TrainingError, match=message):
        read_labels(write(folder, [line]))


def test_what_cannot_be_decoded_is_named(folder):
    (folder / "e.png").write_bytes(b"no picture")
    with pytest.raises(TrainingError, match=r"line 3.*e\.png"):
        load_labelled(write(folder, [("a.png", "hand"), ("e.png", "hand")]), 32)


def test_a_damaged_object_is_named_with_its_line(folder):
    """The decoders raise what they raise, also NotImplementedError."""
    content = (folder / "c.dcm").read_bytes()
    (folder / "f.dcm").write_bytes(content.replace(b"\x28\x00\x10\x00US", b"\x28\x00\x10\x00ZZ"))
    with pytest.raises(TrainingError, match=r"line 2.*f\.dcm"):
        load_labelled(write(folder, [("f.dcm", "hand")]), 32)


def test_an_empty_or_missing_file_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="empty"):
        read_labels(write(tmp_path, []))
    with pytest.raises(TrainingError, match="cannot be read"):
        read_labels(tmp_path / "none.csv")


def test_an_image_that_is_given_two_regions_is_refused(tmp_path):
    """Both would be learned from; the same line twice is no contradiction."""
    (tmp_path / "1.png").touch()
    table = tmp_path / "labels.csv"
    table.write_text("file,region\n1.png,hand\n./1.png,hand\n")
    assert len(read_labels(table)) == 2
    table.write_text("file,region\n1.png,hand\n./1.png,foot\n")
    with pytest.raises(TrainingError, match=r"line 3: .*shows 'foot' here and 'hand' on line 2"):
        read_labels(table)


@pytest.mark.parametrize(("first", "second"), [("x", "y"), ("x", ""), ("", "y")])
def test_an_image_that_is_given_two_groups_is_refused(folder, first, second):
    """It would be measured by a head that learned from it; the lines are named, and no group: it may be a name."""
    lines = [("a.png", "hand", first), ("./a.png", "hand", second)]
    with pytest.raises(TrainingError, match="line 3: the file is that of line 2 and has another group here"):
        read_labels(write(folder, lines, ("file", "region", "group")))


def test_equal_images_of_different_groups_are_said(folder, capsys):
    """A copy of a picture under another name; of one group they are nothing to tell."""
    (folder / "e.png").write_bytes((folder / "a.png").read_bytes())
    lines = [("a.png", "hand", "x"), ("e.png", "hand", "x")]
    load_labelled(write(folder, lines, ("file", "region", "group")), 32)
    assert capsys.readouterr().err == ""
    load_labelled(write(folder, [line[:2] for line in lines]), 32)
    assert "1 images of" in capsys.readouterr().err


def test_two_ways_to_write_one_pictures_path_are_one_group(folder):
    (folder / "sub").mkdir()
    data = load_labelled(write(folder, [("a.png", "hand"), ("sub/../a.png", "hand")]), 32)
    assert data.rows[0].group == data.rows[1].group
