"""The cache holds what the node's imaging makes, and says what it could not read."""

import json
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dicom_node.imaging import model_input, picture_from_file
from tests.unit.training.small import SIZE, write_manifest
from training import image_file
from training.cluster import weakly_labelled
from training.commands.inputs import pooled
from training.errors import TrainingError
from training.image_file import in_order
from training.images import joined, load, prepare, write_set
from training.manifest import read_manifest
from training.recipe import recipe_from


@pytest.fixture
def rows(tmp_path):
    return read_manifest(write_manifest(tmp_path / "raw", per_region=2))


def test_the_cache_is_the_nodes_own_pixels_to_half_a_grey_level(tmp_path, rows):
    """Training sees what the node will see; and what was written is what is loaded."""
    made = prepare(rows, size=SIZE, out=tmp_path / "cache", workers=2)
    loaded = load(tmp_path / "cache")
    assert np.array_equal(made.images, loaded.images)
    assert loaded.images.dtype == np.uint8
    assert [row.region for row in loaded.rows] == [row.region for row in rows]
    for index in (0, 7, 29):
        expected = model_input(picture_from_file(loaded.rows[index].file), SIZE)
        assert np.abs(loaded.images[index] / 255.0 - expected).max() <= 0.5 / 255 + 1e-6


def test_what_cannot_be_read_is_left_out_and_listed(tmp_path, rows):
    """One damaged file does not stop the others."""
    rows[3].file.write_bytes(b"no picture")
    rows[4].file.unlink()
    made = prepare(rows, size=SIZE, out=tmp_path / "cache", workers=1)
    assert len(made.rows) == len(rows) - 2
    listed = (tmp_path / "cache" / "unreadable.csv").read_text()
    assert rows[3].file.name in listed
    assert rows[4].file.name in listed


def test_a_folder_without_one_readable_picture_is_refused(tmp_path, rows):
    """The sentence says where the reasons are."""
    for row in rows:
        row.file.write_bytes(b"")
    with pytest.raises(TrainingError, match="Not one of the 30 pictures"):
        prepare(rows, size=SIZE, out=tmp_path / "cache", workers=1)


def test_a_folder_without_any_picture_is_said_to_be_so(tmp_path):
    """Not that a file says why none of 0 could be read."""
    with pytest.raises(TrainingError, match="There is no image in what was given"):
        write_set([], tmp_path / "cache", size=SIZE)


@pytest.mark.parametrize("name", ["absent", "absent.csv"])
def test_a_prepared_set_that_is_not_there_is_named_as_it_was_given(tmp_path, monkeypatch, name):
    """Not ".", the folder that it would lie in."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrainingError, match=f"There is no file or folder {name}: "):
        load(Path(name))


def test_a_manifest_that_was_not_prepared_is_named_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("manifest.csv").touch()
    with pytest.raises(TrainingError, match=r"The folder of manifest\.csv is not a prepared data set"):
        load(Path("manifest.csv"))


def test_a_cache_of_another_imaging_version_is_refused(tmp_path, rows):
    """Otherwise a model would be trained on pixels that the node no longer makes."""
    prepare(rows[:2], size=SIZE, out=tmp_path, workers=1)
    about = json.loads((tmp_path / "about.json").read_text())
    (tmp_path / "about.json").write_text(json.dumps({**about, "imaging_version": 999}))
    with pytest.raises(TrainingError, match="imaging version 999"):
        load(tmp_path)


def test_a_manifest_that_lost_a_line_is_refused(tmp_path, rows):
    """Otherwise every later image would bear its neighbour's label."""
    prepare(rows[:4], size=SIZE, out=tmp_path, workers=1)
    lines = (tmp_path / "manifest.csv").read_text().splitlines()
    (tmp_path / "manifest.csv").write_text("\n".join(lines[:2] + lines[3:]) + "\n")
    with pytest.raises(TrainingError, match="has 4, and 3 rows"):
        load(tmp_path)


def test_a_set_that_was_killed_while_it_replaced_another_is_not_taken_for_finished(tmp_path, rows):
    """The older set said that it was whole; half of the new one lies there now."""
    made = prepare(rows[:4], size=SIZE, out=tmp_path, workers=1)

    def killed_after_two():
        yield from list(zip(made.rows, made.images, strict=True))[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_set(killed_after_two(), tmp_path, size=SIZE)
    with pytest.raises(TrainingError, match="not a prepared data set"):
        load(tmp_path)


def test_images_are_written_as_they_come_and_not_held(tmp_path, rows, monkeypatch):
    """Of 300 images of 256 px (20 MB) never more than a few lie in memory, and the file is numpy's own."""

    def endless():
        for number in range(300):
            yield replace(rows[0], file=tmp_path / f"{number}.png"), np.full((256, 256), number % 251, np.uint8)

    monkeypatch.setattr(image_file, "BUFFER", 8192)
    tracemalloc.start()
    made = write_set(endless(), tmp_path / "cache", size=256)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(made.images, np.memmap)
    assert held < 4_000_000
    again = np.load(tmp_path / "cache" / "images.npy")
    assert again.shape == (300, 256, 256)
    assert again[299, 0, 0] == 299 % 251


def test_work_is_done_in_order_and_not_far_ahead_of_who_takes_it():
    """Otherwise decoded images pile up where writing is slower."""
    begun = []

    def work(number):
        begun.append(number)
        return number

    with ThreadPoolExecutor(max_workers=2) as pool:
        results = in_order(pool, work, range(1000), ahead=5)
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        assert len(begun) <= 8
        results.close()


def test_one_set_is_not_copied_and_all_rows_of_it_neither(tmp_path, rows):
    """Audit, clusters and evaluation read archives that are larger than memory."""
    prepare(rows[:4], size=SIZE, out=tmp_path, workers=1)
    data = joined([load(tmp_path, mapped=True)])
    assert isinstance(data.where(lambda _: True).images, np.memmap)
    assert len(data.where(lambda row: row.region == rows[0].region).rows) == 1


def test_chosen_rows_of_several_sets_are_read_as_they_are_asked_for(tmp_path, rows):
    """Audit, clusters and explanations leave the rows for evaluation out; copying the others took the whole archive."""
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        made = (replace(rows[0], file=folder / f"{n}.png", region=("hand", "knee")[n % 2]) for n in range(150))
        images = (np.full((256, 256), n, np.uint8) for n in range(150))
        write_set(zip(made, images, strict=True), folder, size=256)
    tracemalloc.start()
    recipe = recipe_from({"data": {"size": 256}})
    chosen = pooled(folders, recipe, tmp_path / "run").where(lambda row: row.region == "knee")
    named = weakly_labelled(chosen, np.arange(150) % 2, {1: "foot"})
    seen = [int(image[0, 0]) for image in named.images]
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 2_000_000
    assert seen == [(2 * n + 1) % 150 for n in range(1, 150, 2)]
    assert [row.region for row in named.rows] == ["foot"] * 75
    order = np.array([140, 3, 77])
    assert chosen.images[order][:, 0, 0].tolist() == [(2 * n + 1) % 150 for n in order]
    assert chosen.images[10:13][:, 0, 0].tolist() == [21, 23, 25]


def test_a_set_may_be_written_over_the_one_that_it_is_made_from(tmp_path, rows):
    """The old file stays for whoever has it mapped."""
    made = prepare(rows[:4], size=SIZE, out=tmp_path, workers=1)
    expected = np.array(made.images)
    write_set(zip(made.rows, made.images, strict=True), tmp_path, size=SIZE)
    assert np.array_equal(load(tmp_path).images, expected)


def test_the_same_pixels_on_two_sides_are_counted(tmp_path, rows):
    """Not those that stay with their group and use."""
    image = np.zeros((SIZE, SIZE), np.uint8)
    others = [rows[0], rows[0], replace(rows[0], group="x"), replace(rows[0], group="y", use="evaluate")]
    write_set(((row, image) for row in others), tmp_path, size=SIZE)
    assert json.loads((tmp_path / "about.json").read_text())["twins"] == 2


def test_sets_of_different_sizes_are_not_joined(tmp_path, rows):
    """One recipe, one size."""
    sets = [prepare(rows[:2], size=size, out=tmp_path / str(size), workers=1) for size in (16, 32)]
    with pytest.raises(TrainingError, match="different sizes"):
        joined(sets)
    assert len(joined([sets[0], sets[0]]).rows) == 4
