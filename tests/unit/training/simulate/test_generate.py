"""Generating: the seed alone decides, however many workers there are and whenever they are killed."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from dicom_node.model.card import LABELS
from tests.unit.training.simulate.scenes import draw_balls
from training.errors import TrainingError
from training.images import load, prepare
from training.manifest import read_manifest
from training.simulate.contact_sheet import contact_sheet
from training.simulate.generate import BLOCK, Job, make_block, open_people, simulate
from training.simulate.recipe import SimulateRecipe
from training.simulate.scene import DrawScene

ROOT = Path(__file__).parents[4]
COUNT = 2 * BLOCK + 7


def open_balls(_atlas: Path) -> DrawScene:
    return draw_balls


def job(out: Path, **over) -> Job:
    values = {
        "atlas": Path(),
        "out": out,
        "count": COUNT,
        "seed": 5,
        "size": 48,
        "recipe": SimulateRecipe(size=64),
        "format": "cache",
        "open_scenes": open_balls,
    }
    return Job(**(values | over))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    simulate(job(out), workers=2)
    return out


def test_the_folder_is_a_prepared_data_set_of_all_regions(whole: Path) -> None:
    made = load(whole)
    assert made.images.shape == (COUNT, 48, 48)
    assert {row.region for row in made.rows} == {*LABELS, "ood:nothing"}
    assert len({row.group for row in made.rows}) == COUNT
    assert made.images.reshape(COUNT, -1).std(axis=1).min() > 3
    assert not (whole / "unfinished").exists()


def test_one_worker_makes_the_same_bytes_as_two(whole: Path, tmp_path: Path) -> None:
    simulate(job(tmp_path / "one"), workers=1)
    assert contents(tmp_path / "one") == contents(whole)


def test_an_image_depends_on_its_number_and_the_seed_alone(tmp_path: Path) -> None:
    """Not on the count, and not on the images before it."""
    _, few_lines, few = make_block(job(tmp_path, count=BLOCK + 2), BLOCK)
    _, many_lines, many = make_block(job(tmp_path), BLOCK)
    np.testing.assert_array_equal(few, many[:2])
    assert few_lines == many_lines[:2]
    _, _, other = make_block(job(tmp_path, seed=6, count=BLOCK + 2), BLOCK)
    assert (other != few).any()


KILLED = """
import os, sys
from pathlib import Path
from tests.unit.training.simulate.test_generate import job
from training.simulate.generate import simulate

def kill_after_the_first_block(count):
    if count:
        os._exit(9)

if __name__ == "__main__":
    simulate(job(Path(sys.argv[1])), workers=2, advance=kill_after_the_first_block)
"""


def test_a_killed_run_goes_on_with_the_same_command_to_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    script, out = tmp_path / "killed.py", tmp_path / "out"
    script.write_text(KILLED, encoding="utf-8")
    ended = subprocess.run([sys.executable, script, out], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False)
    assert ended.returncode == 9
    kept = list((out / "unfinished").glob("*.csv"))
    assert len(kept) == 1
    steps: list[int] = []
    simulate(job(out), workers=1, advance=steps.append)
    assert steps[0] in {BLOCK, 7}  # what was there already
    assert sum(steps) == COUNT
    assert contents(out) == contents(whole)


def test_a_finished_folder_is_left_alone(whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.iterdir()}
    steps: list[int] = []
    simulate(job(whole), workers=1, advance=steps.append)
    assert steps == [COUNT]
    assert {path: path.stat().st_mtime_ns for path in whole.iterdir()} == before


@pytest.mark.parametrize("other", [{"seed": 6}, {"count": 10}, {"recipe": SimulateRecipe(size=65)}])
def test_a_folder_with_another_simulation_is_refused(whole: Path, other: dict) -> None:
    with pytest.raises(TrainingError, match="another simulation"):
        simulate(job(whole, **other), workers=1)


def test_other_meshes_are_another_simulation_and_an_older_folder_that_does_not_tell_is_taken(tmp_path: Path) -> None:
    """By their content, wherever they lie; half of the images would otherwise show another skeleton."""
    folders = [tmp_path / name for name in "abc"]
    for folder, content in zip(folders, (b"bone", b"bone", b"other bone"), strict=True):
        folder.mkdir()
        (folder / "femur.stl").write_bytes(content)
    first, moved, other = (job(tmp_path / "out", count=2, atlas=folder) for folder in folders)
    simulate(first, workers=1)
    simulate(moved, workers=1)
    with pytest.raises(TrainingError, match="another simulation"):
        simulate(other, workers=1)
    told = tmp_path / "out" / "simulation.json"
    told.write_text(json.dumps({k: v for k, v in json.loads(told.read_text()).items() if k != "atlas"}))
    simulate(other, workers=1)


def test_pictures_prepared_from_files_are_those_of_the_cache(whole: Path, tmp_path: Path) -> None:
    simulate(job(tmp_path, format="png", count=20), workers=1)
    made = prepare(read_manifest(tmp_path / "manifest.csv"), size=48, out=tmp_path / "prepared", workers=1)
    difference = made.images.astype(int) - load(whole).images[:20].astype(int)
    assert np.abs(difference).max() <= 1  # rounding to even against rounding up
    assert [row.region for row in made.rows] == [row.region for row in load(whole).rows[:20]]


def test_only_the_regions_that_the_recipe_names_are_made(tmp_path: Path) -> None:
    recipe = SimulateRecipe(size=48, regions=("knee", "foot"), out_of_domain=0.0)
    _, lines, _ = make_block(job(tmp_path, recipe=recipe), 0)
    assert {line.region for line in lines} == {"knee", "foot"}


@pytest.mark.parametrize(
    ("over", "workers", "sentence"),
    [
        ({"recipe": SimulateRecipe(regions=("nose",))}, 1, r"'simulate\.regions' names no region: nose\.$"),
        ({"recipe": SimulateRecipe(regions=("knees",))}, 1, "names no region: knees; did you mean 'knee'"),
        ({"seed": -1}, 1, "The seed is -1"),
        ({}, 0, "The number of workers is 0"),
        ({}, -1, "The number of workers is -1"),
        ({"open_scenes": open_people, "atlas": Path("nowhere")}, 1, "nowhere.*cannot be read"),
    ],
)
def test_what_cannot_be_simulated_is_refused_before_anything_is_written(
    tmp_path: Path, over: dict, workers: int, sentence: str
) -> None:
    """So that the folder is free for the same command put right."""
    with pytest.raises(TrainingError, match=sentence):
        simulate(job(tmp_path / "out", **over), workers=workers)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["manifest.csv", "images.npy", "about.json"])
@pytest.mark.parametrize("kind", ["cache", "png"])
def test_a_data_set_that_was_not_simulated_is_refused_and_left_as_it_was(tmp_path: Path, name: str, kind: str) -> None:
    """Somebody's prepared images would else be overwritten, or pass for simulated ones."""
    (tmp_path / name).write_bytes(b"of somebody else")
    with pytest.raises(TrainingError, match="was not simulated"):
        simulate(job(tmp_path, format=kind), workers=1)
    assert contents(tmp_path) == {name: b"of somebody else"}


@pytest.mark.parametrize("text", ['{"count": 13', "[1, 2]", "7"])
def test_a_folder_whose_description_is_broken_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    """A full disk leaves half of one."""
    (tmp_path / "simulation.json").write_text(text, encoding="utf-8")
    with pytest.raises(TrainingError, match="cannot be read"):
        simulate(job(tmp_path), workers=1)


def test_blocks_of_two_versions_do_not_mix_but_an_older_finished_one_is_taken(tmp_path: Path) -> None:
    """Folders from before versions were told count as version 0."""
    few = job(tmp_path, count=2)
    simulate(few, workers=1)
    told = tmp_path / "simulation.json"
    told.write_text(json.dumps({k: v for k, v in json.loads(told.read_text()).items() if k != "version"}))
    simulate(few, workers=1)
    (tmp_path / "manifest.csv").unlink()
    with pytest.raises(TrainingError, match="another version of the simulator"):
        simulate(few, workers=1)


def test_a_scene_that_cannot_be_drawn_is_named_by_its_number(tmp_path: Path) -> None:
    """So that it can be drawn again alone."""

    def broken(_atlas: Path) -> DrawScene:
        def draw(region, random, recipe, size):
            raise ZeroDivisionError(region)

        return draw

    with pytest.raises(TrainingError, match="Image 0 of seed 5"):
        make_block(job(tmp_path, open_scenes=broken), 0)


def test_a_contact_sheet_has_a_row_for_each_region() -> None:
    images = [np.full((40, 30), 10 * number, np.uint8) for number in range(1, 7)]
    page = contact_sheet(images, ["knee", "hand", "knee", "knee", "hand", "foot"], columns=2, cell=42)
    assert page.shape == (3 * (42 + 16), 84)
    assert page[16 + 5, 5] == 60  # foot comes first by name
    assert (page[58 + 16 + 5, 5], page[58 + 16 + 5, 47]) == (20, 50)
    assert cv2.countNonZero(np.asarray(page == 40, np.uint8)) > 0
