"""Shoulder: anteroposterior with the arm turned either way, Grashey, scapular Y, axillary, abducted, transthoracic."""

import numpy as np

from training.simulate.arthroplasty import artificial_shoulder
from training.simulate.lungs import lungs
from training.simulate.pose import ANTERIOR, LATERAL, UP, Pose, turn
from training.simulate.regions.arm import shoulder_bones
from training.simulate.regions.sides import either, outward
from training.simulate.shot import Extra, Shot, View
from training.simulate.skeleton import Skeleton
from training.simulate.subject import Subject

Triple = tuple[float, float, float]

DISLOCATED = 0.03
REPLACED = 0.25
"""Shares of dislocated joints, and of artificial ones among those older than 40."""


def _pose(
    side: str,
    random: np.random.Generator,
    *,
    rotation: tuple[float, float] = (-50.0, 35.0),
    abduction: tuple[float, float] = (0.0, 18.0),
    elbow: tuple[float, float] = (0.0, 40.0),
) -> Pose:
    """The arm turned outwards and lifted sideways by degrees drawn from the ranges.

    Of 3 degrees of lifting the scapula does 1, mostly beyond 30 degrees (Inman et al. 1944).
    """
    out = outward(side)
    lift = float(random.uniform(*abduction))
    blade = max(0.0, lift - 20.0) / 3.0 + float(random.normal(0.0, 4.0))
    roll = turn(UP, -out * float(random.uniform(*rotation)))
    # The atlas's head stands a little off the socket and low. Where the cuff is torn it rises to the acromion; out of
    # the socket it lies in front, inwards and below as a rule.
    high = 0.008 * float(random.uniform()) * (random.random() < 0.15)
    seat = np.array([-out * random.normal(0.002, 0.0015), 0.0, random.normal(0.003, 0.002) + high])
    if random.random() < DISLOCATED:
        seat += np.array([-out * random.uniform(0.0, 0.03), random.uniform(-0.02, 0.03), -random.uniform(0.0, 0.035)])
    return Pose(
        turns={
            f"clavicle_{side}": turn(ANTERIOR, -out * float(random.normal(2.0, 5.0) + blade / 2)),
            f"scapula_{side}": turn(ANTERIOR, -out * blade / 2) @ turn(UP, out * float(random.normal(0.0, 6.0))),
            f"humerus_{side}": turn(ANTERIOR, -out * (lift - blade)) @ roll,
            f"ulna_{side}": turn(LATERAL, float(random.uniform(*elbow))),
        },
        moves={f"humerus_{side}": seat},
    )


def _framing(side: str, random: np.random.Generator) -> dict[str, tuple[float, float]]:
    """From the joint alone to half of the chest and of the upper arm."""
    wide = float(random.beta(1.3, 1.3))
    return {
        f"humerus_{side}": (0.0, 0.12 + 0.38 * wide * float(random.uniform(0.4, 1.0))),
        f"scapula_{side}": (0.0, float(np.clip(0.3 + 0.8 * wide * random.uniform(0.4, 1.2), 0.0, 1.0))),
        f"clavicle_{side}": (float(np.clip(0.85 - 0.85 * wide * random.uniform(0.3, 1.2), 0.0, 0.9)), 1.0),
    }


def _beam(side: str, sideways: float, upwards: float = 0.0) -> Triple:
    """From the front (0), turned so that it leaves on the outer side behind (positive degrees), and upwards."""
    a, b = np.deg2rad([sideways, upwards])
    return (float(outward(side) * np.sin(a) * np.cos(b)), float(-np.cos(a) * np.cos(b)), float(np.sin(b)))


def _more(subject: Subject, side: str, random: np.random.Generator) -> tuple[Extra, ...]:
    """The lungs, and now and then metal."""
    replaced = random.random() < REPLACED * (subject.age > 40.0)
    return (lungs(), artificial_shoulder(side)) if replaced else (lungs(),)


def _ap(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Neutral, internal or external rotation; the beam level or up to 20 degrees towards the feet."""
    side = either(random)
    return Shot(
        view="ap",
        show=_framing(side, random),
        bones=shoulder_bones(side),
        beam=_beam(side, float(random.uniform(-8, 18)), -float(random.triangular(-3, 2, 22))),
        pose=_pose(side, random, rotation=(-70, 45)),
        more=_more(subject, side, random),
        margin=(1.02, 1.4),
    )


def _grashey(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Along the socket's face, the body turned 30 to 45 degrees."""
    side = either(random)
    return Shot(
        view="grashey",
        show=_framing(side, random),
        bones=shoulder_bones(side),
        beam=_beam(side, float(random.uniform(25, 48)), -float(random.uniform(-3, 15))),
        pose=_pose(side, random),
        more=_more(subject, side, random),
        margin=(1.02, 1.4),
    )


def _y(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Along the shoulder blade, from behind or from the front."""
    side = either(random)
    angle = float(random.normal(-56.0, 8.0)) + (180.0 if random.random() < 0.7 else 0.0)
    return Shot(
        view="y",
        show={
            f"humerus_{side}": (0.0, float(random.uniform(0.12, 0.5))),
            f"scapula_{side}": (0.0, float(random.uniform(0.6, 1.0))),
            f"clavicle_{side}": (0.75, 1.0),
        },
        bones=shoulder_bones(side),
        beam=_beam(side, angle, float(random.normal(-5.0, 6.0))),
        pose=_pose(side, random, rotation=(-70.0, 20.0), elbow=(0.0, 95.0)),
        more=_more(subject, side, random),
        margin=(1.05, 1.5),
    )


def _axillary(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Arm lifted sideways, the beam through the armpit upwards, or downwards with the arm over the cassette."""
    side = either(random)
    out = outward(side)
    inward, forward = np.deg2rad([random.uniform(5, 30), random.normal(0, 8)])
    beam = np.array([-out * np.sin(inward), np.sin(forward), np.cos(inward)]) * (1 if random.random() < 0.7 else -1)
    angle = np.deg2rad(random.choice([0.0, 180.0, 90.0, -90.0], p=[0.5, 0.15, 0.2, 0.15]))
    return Shot(
        view="axillary",
        show={
            f"humerus_{side}": (0.0, float(random.uniform(0.1, 0.4))),
            f"scapula_{side}": (0.0, float(random.uniform(0.15, 0.5))),
            f"clavicle_{side}": (0.8, 1.0),
        },
        bones=shoulder_bones(side),
        beam=(float(beam[0]), float(beam[1]), float(beam[2])),
        up=(float(np.sin(angle)), float(np.cos(angle)), 0.0),
        pose=_pose(side, random, rotation=(-40.0, 60.0), abduction=(55.0, 100.0), elbow=(0.0, 90.0)),
        more=_more(subject, side, random),
        margin=(1.1, 1.7),
        roll=10.0,
    )


def _abducted(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """From the front with the arm lifted, or seen from behind."""
    side = either(random)
    return Shot(
        view="abducted",
        show=_framing(side, random),
        bones=shoulder_bones(side),
        beam=_beam(side, float(random.uniform(-10, 40)) + (180.0 if random.random() < 0.2 else 0.0)),
        pose=_pose(side, random, rotation=(-20.0, 90.0), abduction=(30.0, 110.0), elbow=(0.0, 100.0)),
        more=_more(subject, side, random),
        margin=(1.02, 1.4),
    )


def _proximal_humerus(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """The upper arm with the joint at the end of the picture."""
    side = either(random)
    return Shot(
        view="proximal_humerus",
        show={f"humerus_{side}": (0.0, float(random.uniform(0.4, 0.7))), f"scapula_{side}": (0.0, 0.3)},
        bones=shoulder_bones(side),
        beam=_beam(side, float(random.uniform(-15, 35))),
        pose=_pose(side, random, abduction=(0.0, 40.0), rotation=(-90.0, 40.0)),
        more=_more(subject, side, random),
        margin=(1.05, 1.4),
    )


def _transthoracic(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """The injured arm's neck of humerus seen across the chest, the other arm lifted out of the way."""
    side = either(random)
    return Shot(
        view="transthoracic",
        show={f"humerus_{side}": (0.0, float(random.uniform(0.3, 0.55)))},
        bones=shoulder_bones(side),
        beam=_beam(side, 90.0 + float(random.normal(0, 8)), float(random.uniform(0, 12))),
        pose=_pose(side, random),
        more=_more(subject, side, random),
        margin=(1.1, 1.5),
    )


VIEWS = (
    View(name="ap", weight=4.5, draw=_ap),
    View(name="grashey", weight=1.8, draw=_grashey),
    View(name="y", weight=1.6, draw=_y),
    View(name="axillary", weight=1.3, draw=_axillary),
    View(name="abducted", weight=0.7, draw=_abducted),
    View(name="proximal_humerus", weight=0.8, draw=_proximal_humerus),
    View(name="transthoracic", weight=0.15, draw=_transthoracic, children=0.3),
)
