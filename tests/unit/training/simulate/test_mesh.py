"""Reading, taking apart, closing and refining surfaces, and how thick they are."""

from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.simulate.solids import box, icosphere
from training.errors import TrainingError
from training.simulate.mesh import (
    Mesh,
    area,
    capped,
    components,
    half_thickness,
    is_closed,
    read_stl,
    refined,
    vertex_normals,
    volume,
)

ATLAS = Path(__file__).resolve().parents[5] / "shared" / "atlas" / "myo_sim"


def _write_stl(path: Path, mesh: Mesh) -> Path:
    triangles = np.zeros(len(mesh.faces), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    triangles["corners"] = mesh.vertices[mesh.faces]
    path.write_bytes(b"a box".ljust(80) + len(mesh.faces).to_bytes(4, "little") + triangles.tobytes())
    return path


def _together(*meshes: Mesh) -> Mesh:
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
    return Mesh(
        vertices=np.concatenate([mesh.vertices for mesh in meshes]),
        faces=np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]).astype(
            np.int32
        ),
    )


def _holed(mesh: Mesh) -> Mesh:
    return Mesh(vertices=mesh.vertices, faces=mesh.faces[:-2])


def test_reading_welds_equal_corners_so_that_a_box_has_eight(tmp_path):
    mesh = read_stl(_write_stl(tmp_path / "box.stl", box((-1, 0, 0), (0, 2, 3))))
    assert mesh.vertices.shape == (8, 3)
    assert mesh.faces.shape == (12, 3)
    assert is_closed(mesh)
    assert volume(mesh) == pytest.approx(6)
    assert area(mesh) == pytest.approx(22)


@pytest.mark.parametrize("content", [b"", b"solid of words", bytes(84), bytes(80) + b"\x05\x00\x00\x00" + bytes(60)])
def test_what_is_no_binary_stl_is_refused_with_what_to_do(tmp_path, content):
    path = tmp_path / "broken.stl"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match="fetch the atlas again"):
        read_stl(path)


def test_a_missing_file_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(TrainingError, match="give the folder"):
        read_stl(tmp_path / "none.stl")


def test_components_are_the_solids_that_went_in():
    parts = [box((0, 0, 0), (1, 1, 1)), box((2, 0, 0), (3, 2, 1)), icosphere(0.5, (5, 0, 0), rounds=2)]
    found = components(_together(*parts))
    assert [volume(part) for part in found] == pytest.approx([volume(part) for part in parts])
    assert [len(part.vertices) for part in found] == [8, 8, len(parts[2].vertices)]


def test_solids_that_touch_in_a_corner_are_two():
    mesh = _together(box((0, 0, 0), (1, 1, 1)), box((1, 1, 1), (2, 2, 2)))
    vertices, numbers = np.unique(mesh.vertices, axis=0, return_inverse=True)
    welded = Mesh(vertices=vertices, faces=numbers[mesh.faces].astype(np.int32))
    assert len(vertices) == 15
    assert [volume(part) for part in components(welded)] == pytest.approx([1, 1])


def test_capping_closes_holes_and_restores_what_a_flat_face_held():
    solid = box((0, 0, 0), (1, 1, 1))
    across = np.isclose(np.ptp(solid.vertices[solid.faces][:, :, 2], axis=1), 0)
    top = across & (solid.vertices[solid.faces][:, 0, 2] == 1)
    open_box = Mesh(vertices=solid.vertices, faces=solid.faces[~top])
    assert not is_closed(open_box)
    closed = capped(open_box)
    assert is_closed(closed)
    assert volume(closed) == pytest.approx(1)
    assert capped(closed) is closed


def test_a_mesh_with_holes_has_no_volume():
    with pytest.raises(TrainingError, match="capped"):
        volume(_holed(icosphere(rounds=1)))


def test_refining_makes_four_faces_of_one_and_keeps_the_solid():
    solid = box((0, 0, 0), (1, 2, 3))
    finer = refined(solid)
    assert finer.faces.shape == (48, 3)
    assert finer.vertices.shape == (8 + 18, 3)
    np.testing.assert_array_equal(finer.vertices[:8], solid.vertices)
    assert is_closed(finer)
    assert volume(finer) == pytest.approx(6)
    assert area(finer) == pytest.approx(22)


def test_rounding_brings_a_coarse_ball_nearer_to_the_ball():
    coarse, exact = icosphere(rounds=1), 4 / 3 * np.pi
    flat, round_ = volume(refined(coarse)), volume(refined(coarse, rounding=0.75))
    assert abs(exact - round_) < 0.2 * (exact - flat)


def test_a_balls_normals_point_away_from_its_centre():
    ball = icosphere(0.1, (1, 2, 3))
    np.testing.assert_allclose(vertex_normals(ball), (ball.vertices - (1, 2, 3)) / 0.1, atol=4e-3)


def test_half_the_thickness_of_a_ball_is_its_radius():
    np.testing.assert_allclose(half_thickness(icosphere(0.02, rounds=4)), 0.02, rtol=0.02)


def test_half_the_thickness_of_a_slab_is_half_of_it_away_from_the_edges():
    slab = box((-0.03, -0.03, -0.002), (0.03, 0.03, 0.002))
    for _ in range(6):
        slab = refined(slab)
    middle = np.abs(slab.vertices[:, :2]).max(axis=1) < 0.02
    np.testing.assert_allclose(half_thickness(slab)[middle], 0.002, rtol=0.1)


@pytest.mark.shared
@pytest.mark.skipif(not ATLAS.is_dir(), reason="the atlas is not in ../shared")
def test_the_atlas_comes_apart_into_closed_bones():
    parts = components(read_stl(ATLAS / "human_highpoly.stl"))
    assert len(parts) > 200
    assert all(is_closed(part) for part in parts)
    femurs = [part for part in parts if np.ptp(part.vertices[:, 2]) > 0.4]
    assert len(femurs) == 2
    assert volume(femurs[0]) == pytest.approx(volume(femurs[1]), rel=1e-3)
