"""Broken bones, on a skeleton of three rods and on the atlas."""

import numpy as np
import pytest

from training.simulate.body import Body
from training.simulate.fracture import Fracture, draw_fractures, fractured
from training.simulate.mesh import Mesh, half_thickness, vertex_normals
from training.simulate.pose import Pose, turn
from training.simulate.skeleton import Bone, Skeleton
from training.simulate.subject import Subject

STRAIGHT = np.eye(3)


def rod(name: str, parent: str | None, top: float, length: float = 0.2, radius: float = 0.01) -> Bone:
    """A closed prism of 24 sides that hangs down from `top`."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ends = np.array([[0.0, 0.0, top], [0.0, 0.0, top - length]])
    ring = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(24)], axis=1)
    vertices = np.concatenate([ring + ends[0], ring + ends[1], ends])
    i, j = np.arange(24), (np.arange(24) + 1) % 24
    up, low = np.full(24, 48), np.full(24, 49)
    faces = np.concatenate(
        [
            np.stack([i, i + 24, j], axis=1),
            np.stack([j, i + 24, j + 24], axis=1),
            np.stack([up, i, j], axis=1),
            np.stack([low, j + 24, i + 24], axis=1),
        ]
    )
    mesh = Mesh(vertices=vertices.astype(np.float32), faces=faces.astype(np.int32))
    joint = np.array([0.0, 0.0, top])
    return Bone(
        name=name,
        mesh=mesh,
        normals=vertex_normals(mesh).astype(np.float64),
        depth=half_thickness(mesh).astype(np.float64),
        parent=parent,
        joint=joint,
        anchor=joint,
        axes=np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
        flesh=np.c_[np.zeros((5, 2)), top - np.linspace(0, length, 5), np.full(5, 0.02)],
        kind="long",
    )


@pytest.fixture
def limb() -> Skeleton:
    """An upper, a middle and a lower rod."""
    bones = [rod("upper_r", None, 0.6), rod("radius_r", "upper_r", 0.4), rod("hand_r", "radius_r", 0.2, 0.1)]
    return Skeleton(bones={bone.name: bone for bone in bones})


def cut(share: float, bend: np.ndarray = STRAIGHT, shift: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Fracture:
    return Fracture(bone="radius_r", share=share, slant=np.zeros(3), bend=bend, shift=np.array(shift))


def volume(mesh: Mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(np.float64) for k in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def test_the_pieces_make_up_the_whole(limb: Skeleton) -> None:
    skeleton, _ = fractured(limb, Pose(), cut(0.3), {})
    near, far = skeleton["radius_r"], skeleton["radius_r.broken"]
    assert volume(near.mesh) == pytest.approx(0.3 * volume(limb["radius_r"].mesh), rel=1e-3)
    assert volume(far.mesh) == pytest.approx(0.7 * volume(limb["radius_r"].mesh), rel=1e-3)
    assert len(near.flesh) + len(far.flesh) == 5


def test_what_hangs_on_the_far_piece_moves_with_it(limb: Skeleton) -> None:
    """A bend of 90 degrees in the middle of 20 cm carries the far end 10 cm aside."""
    skeleton, pose = fractured(limb, Pose(), cut(0.5, turn((0.0, 1.0, 0.0), 90.0)), {})
    body = Body.posed(skeleton, Subject(), pose, list(skeleton.bones))
    np.testing.assert_allclose(body.where["hand_r"](limb["hand_r"].joint), [-0.1, 0.0, 0.3], atol=1e-6)
    np.testing.assert_allclose(body.along("upper_r", 1.0), [0.0, 0.0, 0.4], atol=1e-6)


def test_what_hangs_on_the_stump_stays(limb: Skeleton) -> None:
    skeleton, pose = fractured(
        limb,
        Pose(),
        Fracture(bone="upper_r", share=0.5, slant=np.zeros(3), bend=STRAIGHT, shift=np.array([0.03, 0.0, 0.0])),
        {},
    )
    body = Body.posed(skeleton, Subject(), pose, list(skeleton.bones))
    assert skeleton["radius_r"].parent == "upper_r.broken"
    np.testing.assert_allclose(body.along("upper_r", 0.0), [0.0, 0.0, 0.6], atol=1e-6)
    np.testing.assert_allclose(body.along("hand_r", 1.0)[0], 0.03, atol=1e-6)


def test_the_piece_grows_as_the_whole_would(limb: Skeleton) -> None:
    """Half as long and without displacement, the far end is where the unbroken bone has it."""
    sizes = {"radius_r": (0.5, 1.0)}
    skeleton, pose = fractured(limb, Pose(), cut(0.5), sizes)
    broken = Body.posed(skeleton, Subject(sizes=sizes), pose, list(skeleton.bones))
    whole = Body.posed(limb, Subject(sizes=sizes), Pose(), list(limb.bones))
    np.testing.assert_allclose(broken.along("radius_r.broken", 1.0), whole.along("radius_r", 1.0), atol=1e-6)


def test_a_cut_beside_the_bone_changes_nothing(limb: Skeleton) -> None:
    skeleton, pose = fractured(limb, Pose(), cut(1.2), {})
    assert list(skeleton.bones) == list(limb.bones)
    assert pose.turns == {}


def test_only_long_bones_and_ribs_that_are_shown_break(limb: Skeleton) -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        (each,) = draw_fractures(limb, {"radius_r": (0.6, 1.0)}, random)
        assert each.bone == "radius_r"
        assert 0.5 < each.share <= 0.96
    assert draw_fractures(limb, {}, random) == []
