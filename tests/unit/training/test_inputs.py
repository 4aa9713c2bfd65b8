"""What commands are given to read is what they measure, also a second time into the same run folder."""

from dataclasses import replace

import pytest

from tests.unit.training.small import SIZE, small_set, write_manifest
from training.commands import inputs
from training.commands.inputs import held_rows, pooled, prepared
from training.errors import TrainingError
from training.images import prepare
from training.pool import Pool, open_pool
from training.recipe import recipe_from

RECIPE = recipe_from({"data": {"size": SIZE}})


@pytest.fixture
def manifest(tmp_path):
    """Thirty pictures, four of them named by the manifest."""
    path = write_manifest(tmp_path / "a", per_region=2)
    path.write_text("\n".join(path.read_text().splitlines()[:5]) + "\n")
    return path


def test_another_manifest_is_prepared_anew_in_the_same_run_folder(tmp_path, manifest):
    """A second `evaluate --data b.csv` must not measure a.csv."""
    other = write_manifest(tmp_path / "b", per_region=2)
    first = pooled([manifest], RECIPE, tmp_path / "run")
    second = pooled([other], RECIPE, tmp_path / "run")
    assert (len(first.rows), len(second.rows)) == (4, 30)
    assert {row.file.resolve().parent for row in second.rows} == {tmp_path / "b"}


def test_a_manifest_whose_labels_changed_is_prepared_anew(tmp_path, manifest):
    """The corrected label counts, not that of the first time."""
    pooled([manifest], RECIPE, tmp_path / "run")
    manifest.write_text(manifest.read_text().replace("0-0.png,clavicle", "0-0.png,rib"))
    assert pooled([manifest], RECIPE, tmp_path / "run").rows[0].region == "rib"


def test_a_manifest_that_was_corrected_in_the_run_folder_is_not_prepared_over(tmp_path, manifest):
    """Nor forgotten what it was made from: the manifest of before is still answered by it."""
    (folder,) = prepared([manifest], RECIPE, tmp_path / "run")
    before, corrected = manifest.read_text(), (folder / "manifest.csv").read_text().replace(",clavicle,", ",rib,")
    (folder / "manifest.csv").write_text(corrected)
    manifest.write_text(before.replace("0-1.png,shoulder", "0-1.png,hand"))
    with pytest.raises(TrainingError, match="what somebody corrected there would be lost"):
        prepared([manifest], RECIPE, tmp_path / "run")
    manifest.write_text(before)
    assert prepared([manifest], RECIPE, tmp_path / "run") == [folder]
    assert (folder / "manifest.csv").read_text() == corrected


def test_the_same_text_in_another_folder_names_other_pictures(tmp_path, manifest):
    """File names are relative to their manifest."""
    write_manifest(tmp_path / "b", per_region=2)
    (tmp_path / "b" / "manifest.csv").write_text(manifest.read_text())
    pooled([manifest], RECIPE, tmp_path / "run")
    rows = pooled([tmp_path / "b" / "manifest.csv"], RECIPE, tmp_path / "run").rows
    assert {row.file.resolve().parent for row in rows} == {tmp_path / "b"}


def test_what_was_killed_before_it_said_what_it_was_made_from_is_prepared_anew(tmp_path, manifest, monkeypatch):
    """The images of b lie there by then; asking for a again must not measure them."""
    other = write_manifest(tmp_path / "b", per_region=2)
    pooled([manifest], RECIPE, tmp_path / "run")

    def killed_at_the_end(*given, **settings):
        prepare(*given, **settings)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(inputs, "prepare_images", killed_at_the_end)
        with pytest.raises(KeyboardInterrupt):
            pooled([other], RECIPE, tmp_path / "run")
    assert len(pooled([manifest], RECIPE, tmp_path / "run").rows) == 4


def test_the_same_manifest_is_prepared_once(tmp_path, manifest):
    """A run that goes on does not decode everything again."""
    (folder,) = prepared([manifest], RECIPE, tmp_path / "run")
    written = (folder / "images.npy").stat().st_mtime_ns
    assert prepared([manifest], RECIPE, tmp_path / "run") == [folder]
    assert (folder / "images.npy").stat().st_mtime_ns == written


def test_held_rows_that_are_all_out_of_domain_are_refused():
    """No temperature can be fitted to them; `calibrate` and `ensemble` would end in a number that is none."""
    data = small_set(per_region=1)
    rows = [replace(row, use="tune") for row in data.rows if row.region == "ood:noise"]
    strange = replace(data, images=data.images[-1:], rows=tuple(rows))
    with pytest.raises(TrainingError, match="no rows of a region"):
        held_rows(Pool.of(strange), SIZE, [RECIPE.data])


def test_a_patient_who_is_learned_from_and_measured_on_is_refused_on_every_way(tmp_path):
    """In a plain manifest before anything is decoded, and in folders that were prepared apart from each other."""
    first, second = (write_manifest(tmp_path / name, per_region=2) for name in "ab")
    second.write_text(second.read_text().replace(",tune,", ",evaluate,"))
    with pytest.raises(TrainingError, match="1 groups have rows of more than one use"):
        pooled([first, second], RECIPE, tmp_path / "run")
    folders = prepared([first, second], RECIPE, tmp_path / "run")
    with pytest.raises(TrainingError, match="1 groups have rows"):
        open_pool(folders, at_least=SIZE)
    split = tmp_path / "a" / "split.csv"
    split.write_text(first.read_text().replace(",tune,", ",evaluate,", 1))
    with pytest.raises(TrainingError, match="1 groups have rows"):
        prepared([split], RECIPE, tmp_path / "other")
    assert not (tmp_path / "other" / "prepared-0").exists()


def test_it_is_said_where_one_picture_is_learned_from_and_measured_on(tmp_path, manifest, capsys):
    """Under the names of two patients; nobody would see it in the numbers."""
    lines = manifest.read_text().splitlines()
    twin = lines[1].replace(",g0,", ",somebody else,").replace(",tune,", ",train,")
    manifest.write_text("\n".join([*lines, twin]) + "\n")
    assert len(pooled([manifest], RECIPE, tmp_path / "run").rows) == 5
    assert "1 images in" in capsys.readouterr().err


def test_another_table_in_a_prepared_set_is_not_taken_for_its_manifest(tmp_path, manifest):
    """The labels that somebody reviewed would be ignored, and the old ones used without a word."""
    (folder,) = prepared([manifest], RECIPE, tmp_path / "run")
    reviewed = folder / "reviewed.csv"
    reviewed.write_text((folder / "manifest.csv").read_text().replace(",clavicle,", ",rib,"))
    for read in (lambda: pooled([reviewed], RECIPE, tmp_path / "b"), lambda: open_pool([reviewed], at_least=SIZE)):
        with pytest.raises(
            TrainingError, match=r"reviewed\.csv lies in a prepared data set.*write the labels in there"
        ):
            read()
    assert len(pooled([folder / "manifest.csv"], RECIPE, tmp_path / "b").rows) == 4
    (folder / "manifest.csv").write_text(reviewed.read_text())
    assert pooled([folder], RECIPE, tmp_path / "b").rows[0].region == "rib"
