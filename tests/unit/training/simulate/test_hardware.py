"""Hardware: metal where the bone is, as much as its volume says, and nothing when it is switched off."""

import dataclasses

import numpy as np
import pytest

from tests.unit.training.simulate.scenes import draw_balls
from training.simulate import worn
from training.simulate.camera import Camera
from training.simulate.equip import WORN, equipped
from training.simulate.hardware import Capsule, add_solids, ball, cerclage, nail, plate, ring, screw, screws, wires
from training.simulate.prostheses import hip, knee, shell, shoulder
from training.simulate.recipe import SimulateRecipe
from training.simulate.scene import Anchor, Vertebra
from training.simulate.spinal_implants import cage, front_plate, instrumented, pedicle_screws

SIZE, PIXEL = 128, 0.3 / 128
MEDIAL = np.array([1.0, 0.0, 0.0])
FEMUR = Anchor(bone="femur_l", start=np.array([0.0, 0.0, 0.3]), end=np.array([0.0, 0.0, -0.1]), radius=0.014)
TIBIA = Anchor(bone="tibia_l", start=np.array([0.0, 0.0, -0.12]), end=np.array([0.0, 0.0, -0.5]), radius=0.012)
SPINE = [
    Vertebra(name=f"l{number}", centre=np.array([0.0, 0.0, 0.04 - 0.04 * number]), axes=np.eye(3), width=0.05)
    for number in (2, 1, 0)
]
MAKERS = {
    "plate": plate,
    "screws": screws,
    "nail": nail,
    "wires": wires,
    "cerclage": cerclage,
    "hip": lambda anchor, random: hip(anchor, MEDIAL, random),
    "shoulder": lambda anchor, random: shoulder(anchor, MEDIAL, random),
    "knee": lambda anchor, random: knee(anchor, TIBIA, random),
    "spine": lambda _, random: instrumented(SPINE, random),
    "pedicle screws": lambda _, random: pedicle_screws(SPINE, random),
    "front plate": lambda _, random: front_plate(SPINE, random),
    "cage": lambda _, random: cage(SPINE[0], SPINE[1], random),
}


def camera(height: float = 0.0) -> Camera:
    """From far away, so that a pixel is as large everywhere: 0.3 m around the origin."""
    return Camera.looking((0, 0, height), (0, -1, 0), (0, 0, 1), source_distance=50.0, field=0.3, size=SIZE)


def shadow(solids, height: float = 0.0, metal: float = 1000.0) -> np.ndarray:
    depth = np.zeros((SIZE, SIZE), np.float32)
    add_solids(depth, camera(height), solids, metal)
    return depth


def test_the_shadow_of_a_rod_holds_its_volume() -> None:
    """The sum of weight x length over the picture's area is weight x volume."""
    rod = Capsule(start=np.array([0.0, 0, -0.05]), end=np.array([0.0, 0, 0.05]), radius=0.005)
    volume = np.pi * 0.005**2 * 0.1 + 4 / 3 * np.pi * 0.005**3
    assert shadow((rod,)).sum() * PIXEL**2 == pytest.approx(1000.0 * volume, rel=0.02)


def test_a_cup_is_thick_behind_and_thin_at_its_rim() -> None:
    cup = shadow(shell(np.zeros(3), np.array([1.0, 0, 0]), 0.03, 0.025))
    middle, reach = SIZE // 2, round(0.027 / PIXEL)
    # Seen from the front, +x lies to the left.
    assert cup[middle, middle + reach] > 3 * cup[middle, middle - reach]
    hollow = 4 / 3 * np.pi * (0.03**3 - 0.025**3)
    assert cup.sum() * PIXEL**2 == pytest.approx(1000.0 * hollow, rel=0.03)


def test_what_is_hollow_never_takes_more_away_than_was_there() -> None:
    assert shadow((ball(np.zeros(3), 0.01, -1.0),)).min() == 0.0


def test_a_screw_reaches_from_its_head_to_its_tip() -> None:
    rows, columns = np.nonzero(shadow(screw(np.array([-0.04, 0, 0]), np.array([0.04, 0, 0]), 0.002)) > 0.3)
    assert columns.max() - columns.min() == pytest.approx(0.083 / PIXEL, abs=3)
    assert np.ptp(rows) < 5


def test_a_ring_lies_around_the_bone_and_leaves_it_free() -> None:
    around = shadow(ring(FEMUR, 0.75, 0.02, 0.001))
    assert np.ptp(np.nonzero(around > 0.1)[1]) == pytest.approx(2 * 0.021 / PIXEL, abs=2)
    assert np.ptp(np.nonzero(around > 0.1)[0]) <= 2


@pytest.mark.parametrize("name", MAKERS)
def test_every_implant_shows_and_stays_with_its_bone(name: str) -> None:
    """Metal somewhere, finite and never negative, on less than a third of a 0.3 m field over the bone."""
    height = 0.25 if name in {"hip", "shoulder"} else -0.1 if name == "knee" else 0.0
    shown = 0
    for seed in range(12):
        depth = shadow(MAKERS[name](FEMUR, np.random.default_rng(seed)), height)
        assert np.isfinite(depth).all()
        assert depth.min() >= 0
        assert (depth > 0.3).mean() < 0.33
        shown += bool(depth.max() > 1.0)
    assert shown >= 7


@pytest.mark.parametrize("wear", sorted(set(WORN), key=lambda each: each.__name__))
def test_everything_worn_only_adds(wear) -> None:
    """Also when the body fills the whole picture, where a cast has no outline to follow."""
    _, x = np.mgrid[0:96, 0:96]
    limb = np.where(np.abs(x - 48) < 20, 1.0, 0.0).astype(np.float32)
    more = 0
    for seed in range(12):
        for body in (limb, np.ones_like(limb)):
            depth = body.copy()
            wear(depth, np.random.default_rng(seed), 0.0015)
            assert np.isfinite(depth).all()
            assert (depth - body).min() > -1e-6
            assert (depth - body).max() < 12
            more += bool((depth - body).max() > 0.02)
    assert more >= 8


def test_a_cast_runs_along_the_limbs_outline() -> None:
    """Its rim, where the ray runs along the shell, is denser than the middle."""
    _, x = np.mgrid[0:96, 0:96]
    limb = np.where(np.abs(x - 48) < 20, 1.0, 0.0).astype(np.float32)
    profiles = []
    for seed in range(8):
        depth = limb.copy()
        worn.cast(depth, np.random.default_rng(seed), 0.0015)
        profiles.append((depth - limb).mean(axis=0))
    profile = np.mean(profiles, axis=0)
    assert profile[66:72].max() > 1.3 * profile[46:50].mean() > 0
    assert profile[:15].max() == 0


def test_hardware_is_in_the_share_of_images_that_was_asked_for() -> None:
    scene = draw_balls("knee", np.random.default_rng(0), SimulateRecipe(), 96)
    off = dataclasses.replace(SimulateRecipe(), hardware=0.0)
    some = dataclasses.replace(SimulateRecipe(), hardware=0.3)
    assert equipped(scene, np.random.default_rng(0), off, 0.0015) is scene.depth
    with_some = sum(equipped(scene, np.random.default_rng(i), some, 0.0015) is not scene.depth for i in range(300))
    assert with_some == pytest.approx(90, abs=30)


def test_vertebrae_alone_are_no_reason_for_implants_but_in_a_spine() -> None:
    """A skull shows the first of them, and no bone that hardware could hold to: then it is worn or on the table."""
    always = dataclasses.replace(SimulateRecipe(), hardware=1.0)
    scene = draw_balls("skull", np.random.default_rng(0), always, SIZE)
    scene = dataclasses.replace(scene, anchors=(), vertebrae=tuple(SPINE), camera=camera())
    spine = dataclasses.replace(scene, region="lumbar_spine")
    brightest = [
        max((equipped(each, np.random.default_rng(i), always, 0.0015) - each.depth).max() for i in range(20))
        for each in (scene, spine)
    ]
    assert brightest[0] < brightest[1]
