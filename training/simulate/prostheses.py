"""Artificial joints, as capsules and ellipsoids; see `training.simulate.hardware`."""

import numpy as np

from training.simulate.hardware import Array, Capsule, Ellipsoid, Solids, ball, frame_of, point_on, screw
from training.simulate.scene import Anchor

GROWN_FEMUR = 0.43
"""Length in m that the sizes of a knee are for."""


def stem(top: Array, tip: Array, wide: float, narrow: float) -> Solids:
    """A tapered rod of five pieces."""
    shares = np.linspace(0.0, 1.0, 6)
    points = [top + share * (tip - top) for share in shares]
    radii = wide + (narrow - wide) * shares
    return tuple(
        Capsule(start=points[i], end=points[i + 1], radius=float(radii[i]), weight=0.7) for i in range(len(points) - 1)
    )


def shell(centre: Array, axis: Array, outer: float, inner: float) -> Solids:
    """A ball with a ball hollowed out of it towards `axis`: thick behind, thin at the rim; a cup, or half a head."""
    return ball(centre, outer), ball(centre + axis * (outer - inner), inner, -1.0)


def hip(femur: Anchor, medial: Array, random: np.random.Generator) -> Solids:
    """Stem, neck, head and, mostly, a cup, at the femur's near end; `medial` points to the body's middle (3,)."""
    frame, length = frame_of(femur)
    top = point_on(femur, random.uniform(0.06, 0.12))
    tip = top + frame[0] * min(random.uniform(0.1, 0.18), 0.5 * length)
    head = top + medial * random.uniform(0.03, 0.045) - frame[0] * random.uniform(0.015, 0.035)
    radius = random.uniform(0.011, 0.025)
    made = stem(top, tip, random.uniform(0.008, 0.013), random.uniform(0.004, 0.007))
    made += (Capsule(start=top, end=head, radius=random.uniform(0.005, 0.007)), ball(head, radius, 2.0))
    if random.random() < 0.75:
        opening = -0.6 * medial + 0.8 * frame[0]
        made += shell(head, opening / np.linalg.norm(opening), radius + random.uniform(0.005, 0.01), radius + 0.002)
    return made


def knee(femur: Anchor, tibia: Anchor, random: np.random.Generator) -> Solids:
    """Condyles over the femur's far end, a tray with its keel on the tibia."""
    along_femur, length = frame_of(femur)
    along_tibia, _ = frame_of(tibia)
    size = random.uniform(0.95, 1.15) * length / GROWN_FEMUR
    axes = along_femur.T @ np.diag([0.016, 0.033, 0.033]) * size
    low = femur.end + along_femur[0] * 0.006 * size
    hollow = Ellipsoid(centre=low - along_femur[0] * 0.004 * size, axes=axes * 0.74, weight=-1.0)
    tray = Ellipsoid(
        centre=point_on(tibia, 0.005), axes=along_tibia.T @ np.diag([0.0035, 0.036, 0.036]) * size, weight=1.0
    )
    keel = Capsule(
        start=tray.centre, end=point_on(tibia, random.uniform(0.1, 0.2)), radius=random.uniform(0.005, 0.008)
    )
    return Ellipsoid(centre=low, axes=axes), hollow, tray, keel


def shoulder(humerus: Anchor, medial: Array, random: np.random.Generator) -> Solids:
    """A stem with half a head; or the reverse: a ball at the shoulder blade, a cup on the stem."""
    frame, length = frame_of(humerus)
    top = point_on(humerus, random.uniform(0.03, 0.08))
    made = stem(top, top + frame[0] * min(random.uniform(0.07, 0.15), 0.6 * length), 0.009, 0.005)
    towards = 0.75 * medial - 0.65 * frame[0]
    towards /= np.linalg.norm(towards)
    radius, head = random.uniform(0.019, 0.025), top + towards * 0.012
    if random.random() < 0.7:
        return made + shell(head, -towards, radius, 0.8 * radius) + (Capsule(start=top, end=head, radius=0.006),)
    socket = head + towards * 0.014
    made += (ball(socket + towards * 0.3 * radius, 0.8 * radius, 1.5), Capsule(start=top, end=head, radius=0.012))
    return made + screw(socket, socket + towards * 0.045, 0.0025)
