"""Regions of the arm: what their views must show, on the atlas itself."""

import zlib
from pathlib import Path

import numpy as np
import pytest

from training.simulate.body import Body
from training.simulate.camera import Camera
from training.simulate.people import People
from training.simulate.pose import Pose
from training.simulate.recipe import SimulateRecipe
from training.simulate.regions import clavicle, elbow, hand, shoulder, wrist
from training.simulate.regions.arm import elbow_bent, pronated, wrist_bent
from training.simulate.regions.fingers import folded, straight
from training.simulate.shot import Shot, View, aim
from training.simulate.skeleton import Skeleton
from training.simulate.subject import Subject, draw_subject

ATLAS = Path(__file__).parents[5] / "shared" / "atlas" / "myo_sim"
pytestmark = pytest.mark.skipif(not ATLAS.exists(), reason="reads the shared folder's atlas")

VIEWS = [
    pytest.param(view, id=f"{module.__name__.rpartition('.')[2]}-{view.name}")
    for module in (hand, wrist, elbow, shoulder, clavicle)
    for view in module.VIEWS
]


@pytest.fixture(scope="module")
def people() -> People:
    return People.of(ATLAS)


def drawn(people: People, view: View, seed: int) -> tuple[Shot, Body, Camera]:
    """The view of an adult with an even seed, of a child with an odd one."""
    random = np.random.default_rng([zlib.crc32(view.name.encode()), seed])
    skeleton = (people.adults, people.children)[seed % 2][seed // 2 % 2]
    subject = draw_subject(skeleton, random, child=bool(seed % 2), many=True)
    shot = view.draw(skeleton, subject, random)
    body = Body.posed(skeleton, subject, shot.pose, [*skeleton.named(*shot.bones), *shot.show])
    return shot, body, aim(shot, body, random, size=64)


@pytest.mark.parametrize("view", VIEWS)
def test_what_a_view_shows_lies_in_the_picture(people: People, view: View) -> None:
    """Nearly always: the centre wanders, and a tight picture may cut a corner off."""
    inside = []
    for seed in range(20):
        shot, body, camera = drawn(people, view, seed)
        for name, part in shot.show.items():
            u, v, _ = camera.project(body.between(name, *part))
            inside.append(np.mean((u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)))
    assert np.mean(inside) > 0.93


@pytest.mark.parametrize("view", VIEWS)
def test_every_bone_shown_is_among_those_that_the_rays_meet(people: People, view: View) -> None:
    for seed in range(4):
        shot, body, _ = drawn(people, view, seed)
        assert set(shot.show) <= set(body.skeleton.named(*shot.bones))


@pytest.mark.parametrize("region", ["hand", "wrist", "elbow", "shoulder", "clavicle"])
def test_a_scene_is_finite_not_negative_and_repeats_itself(people: People, region: str) -> None:
    for seed in range(6):
        one, other = (people.scene(region, np.random.default_rng(seed), SimulateRecipe(), 48) for _ in range(2))
        assert np.isfinite(one.depth).all()
        assert one.depth.min() >= 0
        assert one.depth.max() > 0.3
        np.testing.assert_array_equal(one.depth, other.depth)


@pytest.mark.parametrize("number", [0, 1])
def test_the_elbow_turns_about_its_trochlea(people: People, number: int) -> None:
    """Bent by any angle, the olecranon keeps its distance from the trochlea's axis."""
    skeleton = people.adults[number]
    distances = []
    for flexion in (0.0, 60.0, 120.0):
        turns, moves = elbow_bent(skeleton, "r", flexion=flexion)
        body = Body.posed(skeleton, Subject(), Pose(turns=turns, moves=moves), ["humerus_r", "ulna_r"])
        humerus = skeleton["humerus_r"].mesh.vertices.astype(np.float64)
        end = humerus[humerus[:, 2] < humerus[:, 2].min() + 0.025]
        axis = np.array([end[:, 1].max() - 0.015, end[:, 2].min() + 0.015])
        ulna = body.between("ulna_r", 0.0, 1.0)
        distances.append(np.linalg.norm(ulna[:, 1:] - axis, axis=1).min())
    np.testing.assert_allclose(distances, distances[0], atol=1e-4)
    assert 0.004 < distances[0] < 0.02


@pytest.mark.parametrize("side", ["r", "l"])
def test_flexion_brings_the_forearm_forward_and_pronation_the_thumb_inward(people: People, side: str) -> None:
    skeleton = people.adults[0]
    out = 1.0 if side == "r" else -1.0
    turns, moves = elbow_bent(skeleton, side, flexion=90.0)
    body = Body.posed(skeleton, Subject(), Pose(turns=turns, moves=moves), [f"ulna_{side}"])
    forearm = body.along(f"ulna_{side}", 1.0) - body.along(f"ulna_{side}", 0.0)
    assert forearm[1] > 0.9 * np.linalg.norm(forearm)
    thumb = f"metacarpal1_{side}"
    before = _along(skeleton, Pose(), thumb)
    after = _along(skeleton, Pose(turns=pronated(skeleton, side, 150.0)), thumb)
    assert out * (before - after)[0] > 0.04


@pytest.mark.parametrize("side", ["r", "l"])
def test_ulnar_deviation_turns_the_hand_to_the_little_finger(people: People, side: str) -> None:
    skeleton = people.adults[0]
    out = 1.0 if side == "r" else -1.0
    turns, moves = wrist_bent(skeleton, side, ulnar=25.0)
    name = f"metacarpal3_{side}"
    assert out * (_along(skeleton, Pose(), name) - _along(skeleton, Pose(turns=turns, moves=moves), name))[0] > 0.015


def test_folded_fingers_leave_the_way_to_the_one_kept(people: People) -> None:
    skeleton = people.adults[0]
    turns = straight(skeleton, "r")
    turns |= {name: fold @ turns[name] for name, fold in folded("r", (3,), np.random.default_rng(0)).items()}
    tips = {ray: _along(skeleton, Pose(turns=turns), f"distal{ray}_r") for ray in (2, 3, 4, 5)}
    assert all(tips[3][2] < tips[ray][2] - 0.03 for ray in (2, 4, 5))


def _along(skeleton: Skeleton, pose: Pose, name: str) -> np.ndarray:
    """The bone's far end (3,)."""
    return Body.posed(skeleton, Subject(), pose, [name]).along(name, 1.0)
