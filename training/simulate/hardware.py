"""What surgeons leave in bones, as capsules and ellipsoids in the world, in m; attenuation in 1/m.

Titanium attenuates about 600 to 1500/m at effective energies of 60 to 40 keV, steel and cobalt-chrome some four times
as much (NIST X-ray mass attenuation tables); both are nearly black to the detector once they are some mm thick.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from training.simulate.camera import Camera
from training.simulate.noise import Map
from training.simulate.project import add_capsules, add_ellipsoids
from training.simulate.scene import Anchor

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Capsule:
    """All within `radius` of the line from `start` to `end` (3,); `weight` is its share of the metal's attenuation."""

    start: Array
    end: Array
    radius: float
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Ellipsoid:
    """Half axes are the columns of `axes` (3, 3); a negative `weight` hollows out what lies around it."""

    centre: Array
    axes: Array
    weight: float = 1.0


Solids = tuple[Capsule | Ellipsoid, ...]


def add_solids(depth: Map, camera: Camera, solids: Solids, metal: float) -> None:
    """Add the solids' optical depth, `metal` in 1/m times their length along each ray, to `depth` (H, W) in place."""
    rods = [each for each in solids if isinstance(each, Capsule)]
    balls = [each for each in solids if isinstance(each, Ellipsoid)]
    added = np.zeros_like(depth)
    if rods:
        starts, ends = np.array([rod.start for rod in rods]), np.array([rod.end for rod in rods])
        weights = metal * np.array([rod.weight for rod in rods])
        add_capsules(added, camera, starts, ends, np.array([rod.radius for rod in rods]), weights, samples=2)
    if balls:
        centres, axes = np.array([ball.centre for ball in balls]), np.array([ball.axes for ball in balls])
        add_ellipsoids(added, camera, centres, axes, metal * np.array([ball.weight for ball in balls]), samples=2)
    depth += np.maximum(added, np.float32(0.0))


def ball(centre: Array, radius: float, weight: float = 1.0) -> Ellipsoid:
    return Ellipsoid(centre=centre, axes=radius * np.eye(3), weight=weight)


def frame_of(anchor: Anchor) -> tuple[Array, float]:
    """Rows: along the bone and two directions across it (3, 3); and its length in m."""
    along = anchor.end - anchor.start
    length = float(np.linalg.norm(along))
    along = along / length
    other = np.eye(3)[int(np.argmin(np.abs(along)))]
    across = np.cross(along, other)
    across /= np.linalg.norm(across)
    return np.stack([along, across, np.cross(along, across)]), length


def across_at(anchor: Anchor, angle: float) -> Array:
    """A unit vector across the bone."""
    frame, _ = frame_of(anchor)
    return np.asarray(np.cos(angle) * frame[1] + np.sin(angle) * frame[2])


def point_on(anchor: Anchor, share: float) -> Array:
    """A point of the axis: 0 at the near end, 1 at the far end."""
    return np.asarray(anchor.start + share * (anchor.end - anchor.start))


def screw(head: Array, tip: Array, radius: float) -> Solids:
    """A core, a head and a thread: rings of a little more radius along two thirds of the way."""
    length = float(np.linalg.norm(tip - head))
    direction = (tip - head) / max(length, 1e-6)
    core = Capsule(start=head, end=tip, radius=0.75 * radius)
    cap = Capsule(start=head - direction * radius, end=head, radius=1.7 * radius)
    turns = [
        Capsule(start=at, end=at + direction * 0.2 * radius, radius=radius, weight=0.5)
        for at in (head + direction * s for s in np.arange(length / 3, length, 1.6 * radius)[:20])
    ]
    return (core, cap, *turns)


def screws(anchor: Anchor, random: np.random.Generator) -> Solids:
    """One to three screws across the bone, each its own way."""
    made: Solids = ()
    for _ in range(random.integers(1, 4)):
        angle, share = random.uniform(0, 2 * np.pi), random.uniform(0.03, 0.97)
        along = anchor.end - anchor.start
        slant = random.normal(0, 0.4) * anchor.radius * along / np.linalg.norm(along)
        side = 1.3 * anchor.radius * across_at(anchor, angle)
        middle = point_on(anchor, share)
        made += screw(middle - side - slant, middle + side + slant, _bore(anchor, random))
    return made


def plate(anchor: Anchor, random: np.random.Generator) -> Solids:
    """A plate along the bone with a screw through each hole, a few left empty."""
    angle, share = random.uniform(0, 2 * np.pi), random.uniform(0.25, 0.6)
    first = random.uniform(0.0, 1.0 - share)
    out, count = across_at(anchor, angle), int(random.integers(4, 11))
    frame, _ = frame_of(anchor)
    beside = np.cross(frame[0], out)
    thick, bore = anchor.radius * random.uniform(0.12, 0.25), _bore(anchor, random)
    made: Solids = ()
    ends = [point_on(anchor, each) + out * (anchor.radius + thick) for each in (first, first + share)]
    for offset in np.linspace(-1.0, 1.0, 4) * 1.6 * bore:
        made += (Capsule(start=ends[0] + offset * beside, end=ends[1] + offset * beside, radius=thick),)
    for each in np.linspace(first + 0.02, first + share - 0.02, count):
        at = point_on(anchor, float(each)) + out * (anchor.radius + 2 * thick)
        if random.random() < 0.75:
            made += screw(at, at - out * 2.3 * anchor.radius, bore)
        else:
            made += (Capsule(start=at, end=at - out * 2 * thick, radius=bore, weight=-1.0),)
    return made


def nail(anchor: Anchor, random: np.random.Generator) -> Solids:
    """A rod in the marrow with locking screws across both ends."""
    radius = anchor.radius * random.uniform(0.3, 0.5)
    low, high = random.uniform(0.02, 0.08), random.uniform(0.75, 0.95)
    rod = Capsule(start=point_on(anchor, low), end=point_on(anchor, high), radius=radius)
    made: Solids = (rod, Capsule(start=rod.start, end=rod.end, radius=0.5 * radius, weight=-0.6))
    for share in (low + 0.04, high - 0.06, high - 0.02):
        side = across_at(anchor, random.uniform(0, 2 * np.pi)) * 1.2 * anchor.radius
        middle = point_on(anchor, share)
        made += screw(middle - side, middle + side, _bore(anchor, random))
    return made


def wires(anchor: Anchor, random: np.random.Generator) -> Solids:
    """Kirschner wires: one to three thin pins, slanted through the bone and often out of it."""
    made: Solids = ()
    for _ in range(random.integers(1, 4)):
        share = random.uniform(-0.1, 0.9)
        side = across_at(anchor, random.uniform(0, 2 * np.pi)) * anchor.radius * random.uniform(0.3, 2.0)
        start = point_on(anchor, share) + side
        end = point_on(anchor, share + random.uniform(0.2, 0.8)) - side
        made += (Capsule(start=start, end=end, radius=random.uniform(0.0006, 0.001), weight=3.0),)
    return made


def cerclage(anchor: Anchor, random: np.random.Generator) -> Solids:
    """One to four wires around the bone."""
    made: Solids = ()
    for share in random.uniform(0.1, 0.9, random.integers(1, 5)):
        made += ring(anchor, float(share), 1.05 * anchor.radius, random.uniform(0.0006, 0.0012), weight=3.0)
    return made


def ring(anchor: Anchor, share: float, radius: float, thickness: float, weight: float = 1.0) -> Solids:
    """A ring around the bone, of short rods: a cerclage, or a ring on a finger."""
    middle = point_on(anchor, share)
    angles = np.linspace(0, 2 * np.pi, 13)
    points = [middle + radius * across_at(anchor, float(angle)) for angle in angles]
    return tuple(Capsule(start=one, end=other, radius=thickness, weight=weight) for one, other in pairwise(points))


def _bore(anchor: Anchor, random: np.random.Generator) -> float:
    """A screw's radius in m: 0.7 to 3.5 mm, by the bone."""
    return float(np.clip(anchor.radius * random.uniform(0.12, 0.25), 0.0007, 0.0035))
