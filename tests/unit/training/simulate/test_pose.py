"""Where bones lie once joints are bent and bones have grown."""

import numpy as np
import pytest

from tests.unit.training.simulate.solids import box
from training.simulate.mesh import Mesh, volume
from training.simulate.pose import ANTERIOR, LATERAL, UP, Pose, aligning, places, turn
from training.simulate.skeleton import Bone, Skeleton, mirrored


def _rod(name: str, parent: str | None, top: float) -> Bone:
    """A rod 10 cm long that hangs down from its joint at height `top`."""
    mesh = box((0, 0, 0), (0.01, 0.01, 0.1))
    middle = np.array([0.0, 0.0, top - 0.05])
    mesh = Mesh(vertices=(mesh.vertices - mesh.vertices.mean(axis=0) + middle).astype(np.float32), faces=mesh.faces)
    joint = np.array([0.0, 0.0, top])
    axes = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    flat = np.zeros(len(mesh.vertices))
    return Bone(
        name=name, mesh=mesh, normals=np.zeros((len(flat), 3)), depth=flat, parent=parent, joint=joint, anchor=joint,
        axes=axes, flesh=np.zeros((0, 4)), kind="long",
    )  # fmt: skip


@pytest.fixture
def arm() -> Skeleton:
    bones = [_rod("upper", None, 1.0), _rod("lower", "upper", 0.9), _rod("last", "lower", 0.8)]
    return Skeleton(bones={bone.name: bone for bone in bones})


def test_a_bent_joint_carries_all_that_hangs_on_it(arm) -> None:
    """Lower arm and hand go forward by 90 degrees at the elbow; the upper arm stays."""
    found = places(arm, Pose(turns={"lower": turn(LATERAL, 90.0)}), ["last"])
    np.testing.assert_allclose(found["upper"]((0, 0, 0.95)), (0, 0, 0.95), atol=1e-12)
    np.testing.assert_allclose(found["lower"]((0, 0, 0.8)), (0, 0.1, 0.9), atol=1e-12)
    np.testing.assert_allclose(found["last"]((0, 0, 0.7)), (0, 0.2, 0.9), atol=1e-12)


def test_a_longer_bone_moves_what_hangs_on_it_and_does_not_stretch_it(arm) -> None:
    """Twice as long, the upper rod takes the lower one 10 cm down."""
    found = places(arm, Pose(sizes={"upper": (2.0, 1.0)}), ["lower"])
    np.testing.assert_allclose(found["lower"]((0, 0, 0.9)), (0, 0, 0.8), atol=1e-12)
    np.testing.assert_allclose(found["lower"]((0, 0, 0.8)), (0, 0, 0.7), atol=1e-12)


def test_width_grows_across_the_long_axis_alone(arm) -> None:
    """1.5 times as wide: x grows, z does not."""
    place = places(arm, Pose(sizes={"upper": (1.0, 1.5)}), ["upper"])["upper"]
    np.testing.assert_allclose(place((0.01, 0, 0.95)), (0.015, 0, 0.95), atol=1e-12)


def test_only_the_bones_that_were_asked_for_and_their_ancestors_are_placed(arm) -> None:
    """What nobody sees costs nothing."""
    assert set(places(arm, Pose(), ["lower"])) == {"upper", "lower"}


@pytest.mark.parametrize(
    ("axis", "start", "end"), [(LATERAL, -UP, ANTERIOR), (ANTERIOR, UP, LATERAL), (UP, LATERAL, ANTERIOR)]
)
def test_a_quarter_turn_is_counter_clockwise_about_its_axis(axis, start, end) -> None:
    """Flexion of a right or left elbow is a positive turn about the lateral axis."""
    np.testing.assert_allclose(turn(axis, 90.0) @ start, end, atol=1e-12)


def test_aligning_takes_one_direction_to_the_other_by_a_rotation() -> None:
    """Opposite directions included."""
    random = np.random.default_rng(0)
    pairs = [random.normal(size=(2, 3)) for _ in range(20)] + [np.array([[0, 0, 1.0], [0, 0, -1.0]])]
    for start, end in pairs:
        rotation = aligning(start, end)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(rotation) == pytest.approx(1.0)
        np.testing.assert_allclose(rotation @ start / np.linalg.norm(start), end / np.linalg.norm(end), atol=1e-9)


def test_a_mirrored_bone_keeps_its_outside_outside() -> None:
    """Faces turn round with the mirror, else it would count as a hole."""
    bone = _rod("radius_r", "ulna_r", 1.0)
    other = mirrored(bone)
    assert (other.name, other.parent) == ("radius_l", "ulna_l")
    assert volume(other.mesh) == pytest.approx(volume(bone.mesh))
    assert np.linalg.det(other.axes) == pytest.approx(1.0)
