"""Manifests are read strictly, groups are never split, and no source drowns the others."""

from pathlib import Path

import pytest

from training.errors import TrainingError
from training.manifest import (
    OOD,
    UNLABELLED,
    Row,
    check_groups,
    is_calibrated_on,
    is_held_out,
    is_learned_from,
    read_manifest,
    sampling_weights,
)
from training.recipe import DataRecipe


def row(**values):
    return Row(**{"file": Path("x.png"), "region": "hand", "group": "g", "use": "train", **values})


def write(tmp_path, *lines):
    path = tmp_path / "manifest.csv"
    path.write_text("file,region,group,use\n" + "\n".join(lines) + "\n")
    return path


def test_files_are_relative_to_the_manifest_and_missing_columns_are_empty(tmp_path):
    """A manifest can be moved together with its pictures."""
    (got,) = read_manifest(write(tmp_path, "a/b.png,ood:cat,g1,train"))
    assert got.file == tmp_path / "a" / "b.png"
    assert (got.source, got.target) == ("", OOD)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("a.png,toe,g,train", "line 2: 'toe' is neither"),
        ("a.png,hand,g,play", "the use 'play'"),
        ("a.png,hand,,train", "'group' is missing"),
        (",hand,g,train", "'file' is missing"),
    ],
)
def test_a_line_that_cannot_be_meant_is_refused_with_its_number(tmp_path, line, sentence):
    """A row without a group could be split from its patient; a mistyped region would vanish."""
    with pytest.raises(TrainingError, match=sentence):
        read_manifest(write(tmp_path, line))


def test_a_file_with_two_regions_is_refused_with_both_lines(tmp_path):
    """Both were learned, and nobody heard of it. Named twice with one, it only counts twice."""
    twice = write(tmp_path, "smith.png,hand,g1,train", "b.png,,g2,train", "smith.png,hand,g1,train")
    assert len(read_manifest(twice)) == 3
    contradicts = write(tmp_path, "smith.png,hand,g1,train", "b.png,,g2,train", "smith.png,wrist,g1,train")
    with pytest.raises(TrainingError, match="line 4: the same file as in line 2 with another region") as refused:
        read_manifest(contradicts)
    assert "smith" not in str(refused.value)


def test_spaces_around_a_value_make_no_other_patient(tmp_path):
    """People and spreadsheets leave them; 'p1' and 'p1 ' on two sides would pass for two patients."""
    got = read_manifest(write(tmp_path, "a.png,hand,p1,train", " b.png , hand,p1 , train "))
    assert [(each.file.name, each.region, each.group, each.use) for each in got] == [
        ("a.png", "hand", "p1", "train"),
        ("b.png", "hand", "p1", "train"),
    ]
    with pytest.raises(TrainingError, match="'group' is missing or empty"):
        read_manifest(write(tmp_path, "a.png,hand, ,train"))


def test_an_image_that_nobody_labelled_is_neither_a_region_nor_out_of_domain(tmp_path):
    """Self-supervision and clusters take it; a misspelt column is not taken for a statement."""
    (got,) = read_manifest(write(tmp_path, "a.png,,g1,train"))
    assert (got.region, got.target, got.is_labelled) == ("", UNLABELLED, False)
    assert UNLABELLED not in (OOD, *range(14))
    path = tmp_path / "manifest.csv"
    path.write_text("file,regoin,group,use\na.png,hand,g1,train\n")
    with pytest.raises(TrainingError, match="'region' is missing"):
        read_manifest(path)


def test_unlabelled_rows_are_drawn_as_often_as_they_are_many():
    """Half of the rows, half of the draws; the labelled ones share the other half as ever."""
    rows = [row(region="")] * 6 + [row(source="a")] * 3 + [row(region="knee")] * 2 + [row(region="ood:x")]
    weights = sampling_weights(rows, source_power=0.5, ood_share=0.2)
    assert sum(weights) == pytest.approx(1.0)
    assert weights[:6] == pytest.approx([1 / 12] * 6)
    assert sum(weights[6:9]) == pytest.approx(sum(weights[9:11])) == pytest.approx(0.2)
    assert weights[11] == pytest.approx(0.1)
    assert sampling_weights([row(region="")] * 4, source_power=0.5, ood_share=0.2) == [0.25] * 4


def test_a_group_is_never_split():
    """Whatever the rows' region, source or file, the group's name alone decides; about the asked share is held out."""
    rows = [row(group=f"p{n % 500}", file=Path(f"{n}.png"), source=str(n % 7)) for n in range(3000)]
    sides = {}
    for each in rows:
        sides.setdefault(each.group, set()).add(is_held_out(each, fraction=0.2, seed=3))
    assert all(len(side) == 1 for side in sides.values())
    assert 0.15 < sum(True in side for side in sides.values()) / 500 < 0.25
    other = {each.group for each in rows if is_held_out(each, fraction=0.2, seed=4)}
    assert other != {name for name, side in sides.items() if True in side}


def test_a_row_is_learned_from_or_calibrated_on_or_neither_but_never_both():
    """`evaluate` rows are neither; left-out sources are neither; `tune` and `calibrate` never change weights."""
    recipe = DataRecipe(held_out=0.3, leave_out=("Far",))
    rows = [
        row(use=use, group=f"g{n}", source=source)
        for use in ("train", "tune", "calibrate", "evaluate")
        for n in range(50)
        for source in ("Near", "Far study")
    ]
    learned = [each for each in rows if is_learned_from(each, recipe)]
    calibrated = [each for each in rows if is_calibrated_on(each, recipe)]
    assert {each.use for each in learned} == {"train"}
    assert {each.source for each in learned} == {"Near"}
    assert {each.use for each in calibrated} == {"train", "tune", "calibrate"}
    assert not {each.group for each in learned} & {each.group for each in calibrated if each.use == "train"}


def test_regions_are_drawn_alike_and_sources_by_the_power_of_their_size():
    """16 images of one source against 4 of another: 4 to 2 with the power of one half."""
    rows = [row(source="big")] * 16 + [row(source="small")] * 4 + [row(region="knee")] * 2 + [row(region="ood:x")] * 5
    weights = sampling_weights(rows, source_power=0.5, ood_share=0.2)
    assert sum(weights) == pytest.approx(1.0)
    assert sum(weights[:16]) == pytest.approx(0.4 * 4 / 6)
    assert sum(weights[16:20]) == pytest.approx(0.4 * 2 / 6)
    assert sum(weights[20:22]) == pytest.approx(0.4)
    assert sum(weights[22:]) == pytest.approx(0.2)
    assert len(set(weights[:16])) == 1


def test_without_out_of_domain_rows_the_regions_share_everything():
    """Nothing is lost to an empty kind."""
    assert sampling_weights([row(), row(region="knee")], source_power=0.5, ood_share=0.2) == [0.5, 0.5]


def test_a_patient_is_one_whatever_the_sources():
    """Two scanners imaged somebody: the pictures of one are no test of what was learned from the other's."""
    check_groups([row(), row(source="b"), row(group="h", use="tune")])
    with pytest.raises(TrainingError, match="1 groups have rows of more than one use"):
        check_groups([row(source="a"), row(source="b", use="evaluate")])
