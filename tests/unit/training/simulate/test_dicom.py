"""Simulated DX objects: valid, plainly simulated, and seen by the node as the pictures that they are."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dicom_node.header import header_region
from dicom_node.imaging import grey_from_dataset, not_a_radiograph
from dicom_node.object_file import open_object
from dicom_node.regions import REGIONS
from tests.unit.training.simulate.scenes import draw_balls
from training.simulate.dicom import IMAGES_TO_A_STUDY, write_dx
from training.simulate.recipe import HeaderRecipe, SimulateRecipe

RIGHT = HeaderRecipe(absent=0.0, wrong=0.0, monochrome1=0.0)
GREY = np.tile(np.arange(0, 240, 2, dtype=np.uint8), (90, 1))


def written(folder: Path, region: str, index: int, headers: HeaderRecipe = RIGHT) -> Path:
    scene = draw_balls(region, np.random.default_rng(index), SimulateRecipe(), 32)
    path = folder / f"{index}.dcm"
    write_dx(path, GREY, scene, seed=1, index=index, headers=headers)
    return path


@pytest.mark.server
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("region", [*REGIONS, "ood"])
def test_dciodvfy_finds_nothing_wrong(tmp_path: Path, region: str) -> None:
    for index, headers in enumerate((RIGHT, HeaderRecipe(absent=1.0), HeaderRecipe(wrong=1.0, monochrome1=1.0))):
        ended = subprocess.run(
            ["dciodvfy", written(tmp_path, region, index, headers)], capture_output=True, text=True, check=False
        )
        told = [line for line in (ended.stdout + ended.stderr).splitlines() if line.startswith(("Error", "Warning"))]
        assert told == []


@pytest.mark.parametrize("monochrome1", [0.0, 1.0])
def test_the_node_sees_the_picture_bone_bright_in_either_polarity(tmp_path: Path, monochrome1: float) -> None:
    headers = HeaderRecipe(monochrome1=monochrome1)
    ds = open_object(written(tmp_path, "knee", 0, headers))
    assert not_a_radiograph(ds) is None
    np.testing.assert_allclose(grey_from_dataset(ds), GREY / 255.0, atol=2e-3)


def test_the_header_names_the_region_unless_it_shall_not(tmp_path: Path) -> None:
    for number, region in enumerate(REGIONS):
        assert region in header_region(dcmread(written(tmp_path, region, number))).regions
        absent = dcmread(written(tmp_path, region, number, HeaderRecipe(absent=1.0)))
        assert "BodyPartExamined" not in absent
        wrong = header_region(dcmread(written(tmp_path, region, number, HeaderRecipe(absent=0.0, wrong=1.0))))
        assert region not in wrong.regions


def test_three_images_make_a_study_of_one_patient_with_a_series_each(tmp_path: Path) -> None:
    images = [dcmread(written(tmp_path, "foot", index)) for index in range(2 * IMAGES_TO_A_STUDY)]
    for keyword, count in (("StudyInstanceUID", 2), ("PatientID", 2), ("SeriesInstanceUID", 6), ("SOPInstanceUID", 6)):
        assert len({ds[keyword].value for ds in images}) == count
    for keyword in ("PatientName", "PatientID", "StudyDate", "StudyTime", "AccessionNumber"):
        assert len({str(ds[keyword].value) for ds in images[:IMAGES_TO_A_STUDY]}) == 1


def test_the_object_says_that_nobody_was_examined(tmp_path: Path) -> None:
    ds = dcmread(written(tmp_path, "foot", 0))
    assert str(ds.PatientName).startswith("SIMULATED^")
    assert ds.PatientID.startswith("SIM-")


def test_the_same_image_is_written_to_the_same_bytes(tmp_path: Path) -> None:
    once = written(tmp_path, "rib", 7, HeaderRecipe()).read_bytes()
    assert written(tmp_path, "rib", 7, HeaderRecipe()).read_bytes() == once
