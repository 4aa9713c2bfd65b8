"""Simulated DX objects: valid, plainly simulated, and seen by the node as the pictures that they are."""

import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dicom_node.header import header_region
from dicom_node.imaging import grey_from_dataset, not_a_radiograph
from dicom_node.object_file import open_object
from dicom_node.regions import REGIONS
from tests.unit.training.simulate.scenes import draw_balls
from training.simulate.camera import Camera
from training.simulate.dicom import IMAGES_TO_A_STUDY, SHAFTS, write_dx
from training.simulate.recipe import HeaderRecipe, SimulateRecipe

RIGHT = HeaderRecipe(absent=0.0, wrong=0.0, monochrome1=0.0)
GREY = np.tile(np.arange(0, 240, 2, dtype=np.uint8), (90, 1))


def written(
    folder: Path, region: str, index: int, headers: HeaderRecipe = RIGHT, *, seed: int = 1, size: int = 90, **over
) -> Path:
    scene = draw_balls(
        "ood" if region.startswith("ood") else region, np.random.default_rng(index), SimulateRecipe(), 32
    )
    scene = replace(scene, **({} if region == "ood" else {"region": region}), **over)
    path = folder / f"{index}.dcm"
    write_dx(path, GREY[:size], scene, seed=seed, index=index, headers=headers)
    return path


def looking(beam: tuple[float, float, float], up: tuple[float, float, float] = (0, 0, 1)) -> np.ndarray:
    """Right, down and forward of a camera, in the subject's axes: x to the right, y forward, z up."""
    return Camera.looking((0, 0, 0), beam, up).axes


@pytest.mark.server
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("region", [*REGIONS, "ood", "ood:chest", "ood:abdomen", "ood:shaft"])
def test_dciodvfy_finds_nothing_wrong(tmp_path: Path, region: str) -> None:
    other = draw_balls("knee", np.random.default_rng(0), SimulateRecipe(), 32)
    slanting = looking((-0.5, -0.6, 0.6))
    for index, (headers, over) in enumerate(
        (
            (RIGHT, {}),
            (RIGHT, {"shown": ("femur_r",), "anatomy": slanting, "view": "oblique"}),
            (RIGHT, {"shown": ("femur_r", "femur_l"), "anatomy": None}),
            *((RIGHT, {"shown": (f"{bone}_l",)}) for bone in SHAFTS),
            (RIGHT, {"beside": other, "enlarged": 0.47}),
            (HeaderRecipe(absent=1.0), {}),
            (HeaderRecipe(absent=0.0, wrong=1.0, monochrome1=1.0), {}),
        )
    ):
        path = written(tmp_path, region, index, headers, **over)
        ended = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
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


@pytest.mark.parametrize(
    ("region", "shown", "side"),
    [
        ("hand", ("distal1_r", "radius_r"), "R"),
        ("hand", ("distal1_l", "radius_l"), "L"),
        ("hand", ("distal1_r", "distal1_l"), "B"),
        ("shoulder", ("humerus_l.head", "t1"), "L"),
        ("rib", ("sternum",), "U"),
        ("skull", ("skull", "mandible"), "U"),
        ("pelvis_hip", ("femur_r",), "U"),
        ("ood:shaft", ("femur_l",), "L"),
    ],
)
def test_the_side_is_that_of_the_bones_in_the_picture(
    tmp_path: Path, region: str, shown: tuple[str, ...], side: str
) -> None:
    """U for parts that are no pair, as a pelvis, and where no bone has a side; the attribute may not be absent."""
    assert dcmread(written(tmp_path, region, 0, shown=shown)).ImageLaterality == side
    assert dcmread(written(tmp_path, region, 1, HeaderRecipe(absent=1.0), shown=shown)).ImageLaterality == side


@pytest.mark.parametrize(
    ("beam", "up", "said"),
    [
        ((0, -1, 0), (0, 0, 1), ["L", "F"]),
        ((0, 1, 0), (0, 0, 1), ["R", "F"]),
        ((0, 1, 0), (0, 0, -1), ["L", "H"]),  # a hand from its back, fingers up
        ((-1, 0, 0), (0, 0, 1), ["A", "F"]),  # in at the right side, out at the left
        ((1, 0, 0), (0, 0, 1), ["P", "F"]),
        ((0, 0, -1), (0, 1, 0), ["R", "P"]),  # a foot from above, toes up
        ((-0.5, -0.8, 0), (0, 0, 1), ["LA", "F"]),
        ((0.1, -1, 0.1), (0, 0, 1), ["L", "F"]),
    ],
)
def test_rows_and_columns_run_where_the_header_says(tmp_path: Path, beam, up, said: list[str]) -> None:
    """Towards left or right, head or foot, front or back of the patient (PS3.3 C.7.6.1.1.1)."""
    assert list(dcmread(written(tmp_path, "knee", 0, anatomy=looking(beam, up))).PatientOrientation) == said


@pytest.mark.parametrize(("beam", "said"), [((0, -1, 0), "AP"), ((0.1, 1, 0.2), "PA")])
@pytest.mark.parametrize("name", ["ap", "pa"])
def test_a_frontal_view_is_named_after_the_way_of_the_beam(tmp_path: Path, beam, said: str, name: str) -> None:
    ds = dcmread(written(tmp_path, "knee", 0, anatomy=looking(beam), view=name))
    assert (ds.ViewPosition, ds.ViewCodeSequence[0].CodeMeaning) == (
        said,
        {"AP": "antero-posterior", "PA": "postero-anterior"}[said],
    )
    lateral = dcmread(written(tmp_path, "knee", 0, anatomy=looking((1, 0, 0)), view="lateral"))
    assert "ViewPosition" not in lateral
    assert lateral.ViewCodeSequence[0].CodeMeaning == "lateral"


@pytest.mark.parametrize(
    ("kind", "shown", "part"),
    [
        ("ood:chest", ("t1", "rib8_r"), "CHEST"),
        ("ood:abdomen", ("pelvis_r", "pelvis_l"), "ABDOMEN"),
        ("ood:shaft", ("radius_r",), "EXTREMITY"),
        ("ood:shaft", ("humerus_r",), "HUMERUS"),
        ("ood:shaft", ("femur_l",), "FEMUR"),
        ("ood:shaft", ("tibia_l",), "CALF"),
        ("ood:page", (), None),
        ("ood:slice", (), None),
    ],
)
def test_an_image_out_of_domain_says_what_it_shows(tmp_path: Path, kind: str, shown, part: str | None) -> None:
    """And a page of text says nothing."""
    ds = dcmread(written(tmp_path, kind, 0, shown=shown))
    assert ds.get("BodyPartExamined") == part
    assert bool(ds.AnatomicRegionSequence) == (part is not None)
    wrong = dcmread(written(tmp_path, kind, 0, HeaderRecipe(absent=0.0, wrong=1.0), shown=shown))
    assert wrong.BodyPartExamined not in {None, part}


def test_as_many_headers_are_wrong_or_absent_as_the_recipe_says(tmp_path: Path) -> None:
    """Of 600: 20 % absent and 30 % wrong, within four standard deviations."""
    headers = HeaderRecipe(absent=0.2, wrong=0.3)
    said = Counter(
        dcmread(written(tmp_path, "knee", index, headers, size=2)).get("BodyPartExamined", "") for index in range(600)
    )
    assert said[""] == pytest.approx(120, abs=40)
    assert 600 - said[""] - said["KNEE"] == pytest.approx(180, abs=45)


def test_a_sheet_of_two_views_has_no_view_and_the_spacing_and_the_sides_of_what_is_on_it(tmp_path: Path) -> None:
    """DX objects must state a spacing: it is that of the first view, which is smaller on the sheet than alone."""
    alone = dcmread(written(tmp_path, "knee", 0, shown=("femur_r",)))
    other = replace(draw_balls("knee", np.random.default_rng(1), SimulateRecipe(), 32), shown=("femur_l",))
    sheet = dcmread(written(tmp_path, "knee", 0, shown=("femur_r",), beside=other, enlarged=0.5))
    assert sheet.ImagerPixelSpacing == pytest.approx([2 * each for each in alone.ImagerPixelSpacing], rel=1e-3)
    assert (alone.ImageLaterality, sheet.ImageLaterality) == ("R", "B")
    assert "ViewPosition" in alone
    assert "ViewPosition" not in sheet
    assert "ViewCodeSequence" not in sheet


@pytest.mark.parametrize("seed", [1, 2**63])
def test_identifiers_tell_seeds_apart_and_keep_to_their_length(tmp_path: Path, seed: int) -> None:
    """16 characters for AccessionNumber and StudyID (SH)."""
    ds, other = (dcmread(written(tmp_path, "knee", 4, seed=each)) for each in (seed, seed + 1))
    for keyword in ("AccessionNumber", "StudyID", "PatientName", "PatientID"):
        assert str(ds[keyword].value) != str(other[keyword].value)
    assert max(len(ds.AccessionNumber), len(ds.StudyID)) <= 16


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
