"""Foot, ankle, knee, hip: what their views show, how infants differ, and what wear does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.simulate.body import Body
from training.simulate.camera import Camera
from training.simulate.matter import matter
from training.simulate.people import People
from training.simulate.pose import Pose
from training.simulate.recipe import SimulateRecipe
from training.simulate.regions import VIEWS
from training.simulate.shot import aim
from training.simulate.subject import Subject, draw_subject
from training.simulate.wear import narrowed, wearing, worn
from training.simulate.young_hips import three_bones

ATLAS = Path(__file__).resolve().parents[4].parent / "shared" / "atlas" / "myo_sim"
pytestmark = pytest.mark.skipif(not ATLAS.is_dir(), reason="needs the atlas of MyoHub/myo_sim in ../shared/atlas")
LOWER = ("foot", "ankle", "knee", "pelvis_hip")


@pytest.fixture(scope="module")
def people() -> People:
    return People.of(ATLAS)


@pytest.mark.parametrize("region", LOWER)
def test_what_a_view_asks_for_lies_in_its_picture(people: People, region: str) -> None:
    """The middle of what is shown lies inside, for every view, on a few seeds."""
    for view in VIEWS[region]:
        for seed in range(4):
            random = np.random.default_rng([7, seed])
            skeleton = people.adults[seed % 2]
            subject = draw_subject(skeleton, random, child=False, many=True)
            shot = view.draw(skeleton, subject, random)
            body = Body.posed(skeleton, subject, shot.pose, [*skeleton.named(*shot.bones), *shot.show])
            camera = aim(shot, body, random, size=96)
            points = np.concatenate([body.between(name, *part) for name, part in shot.show.items()])
            u, v, _ = camera.project(points)
            assert np.mean((u > 0) & (u < camera.width) & (v > 0) & (v < camera.height)) > 0.6, (view.name, seed)


@pytest.mark.parametrize("region", LOWER)
def test_the_same_seed_gives_the_same_finite_depth(people: People, region: str) -> None:
    one, two = (people.scene(region, np.random.default_rng([3, 1]), SimulateRecipe(), 64).depth for _ in range(2))
    assert np.array_equal(one, two)
    assert np.isfinite(one).all()
    assert one.min() >= 0.0


def test_the_three_bones_of_a_pelvis_are_apart_and_make_the_whole(people: People) -> None:
    """Unrounded they would add up to the pelvis; ilium above, ischium behind, pubis in front."""
    adult = people.adults[0]
    pieces = three_bones(adult["pelvis_r"].mesh, adult["femur_r"].joint, 1.0, infant=False)
    middle = {name: mesh.vertices.mean(axis=0) for name, mesh in pieces.items()}
    assert middle["ilium"][2] > middle["pubis"][2] + 0.03
    assert middle["ilium"][2] > middle["ischium"][2] + 0.03
    assert middle["pubis"][1] > middle["ischium"][1] + 0.02


def test_an_infants_femur_ends_below_its_hip_joint(people: People) -> None:
    infant, child = people.infants[0]["femur_r"], people.children[0]["femur_r"]
    assert infant.mesh.vertices[:, 2].max() < infant.joint[2] - 0.02
    assert child.mesh.vertices[:, 2].max() > child.joint[2] - 0.02


def test_sides_and_parallel_bones_are_alike(people: People) -> None:
    subjects = [
        draw_subject(people.adults[0], np.random.default_rng(seed), child=False, many=True) for seed in range(40)
    ]
    lengths = {
        name: np.array([subject.sizes[name][0] for subject in subjects])
        for name in ("tibia_r", "tibia_l", "fibula_r", "femur_r")
    }
    assert np.std(lengths["tibia_r"]) > 0.025
    assert np.std(lengths["tibia_r"] - lengths["tibia_l"]) < 0.02
    assert np.std(lengths["tibia_r"] - lengths["fibula_r"]) < 0.02


def test_wear_narrows_the_knee_along_the_bent_leg_and_adds_bone(people: People) -> None:
    skeleton, random = people.adults[0], np.random.default_rng(5)
    subject = Subject(age=70.0, wear=1.0)
    names = skeleton.named(r"femur_r", r"tibia_r")
    joints = {name: each for name, each in worn(skeleton, subject, names, random).items() if name == "tibia_r"}
    assert joints
    still = Body.posed(skeleton, subject, Pose(), names)
    moved = Body.posed(skeleton, subject, narrowed(Pose(), still, joints, random), names)
    closer = moved.where["tibia_r"].position - still.where["tibia_r"].position
    assert 0.0002 < closer @ -still.direction("tibia_r", skeleton["tibia_r"].axes[0]) < 0.006
    camera = Camera.looking(
        still.along("tibia_r", 0.0),
        (0.0, -1.0, 0.0),
        (0.0, 0.0, 1.0),
        source_distance=1.0,
        target_to_detector=0.05,
        field=0.15,
        size=(64, 64),
    )
    depth = np.zeros((64, 64), np.float32)
    wearing(joints)(depth, still, camera, matter(50.0, spongy_share=0.2, mineral=1.0), random)
    assert depth.max() > 0.02
    assert depth.min() >= 0.0


def test_who_is_not_worn_has_no_worn_joints(people: People) -> None:
    skeleton, subject = people.adults[0], replace(Subject(age=30.0), wear=0.0)
    assert worn(skeleton, subject, list(skeleton.bones), np.random.default_rng(1)) == {}
