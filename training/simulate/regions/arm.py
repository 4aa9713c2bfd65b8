"""What the regions of the arm share: sides, the bones that the rays meet, and how the forearm and the wrist turn."""

import numpy as np
import numpy.typing as npt

from training.simulate.pose import ANTERIOR, LATERAL, turn
from training.simulate.regions.sides import outward
from training.simulate.skeleton import Skeleton
from training.simulate.subject import Subject

Array = npt.NDArray[np.float64]

TROCHLEA = 0.015
"""Radius in m of the atlas's trochlea and capitellum."""

CARPUS = r"(scaphoid|lunate|triquetrum|pisiform|trapezium|trapezoid|capitate|hamate)"
CHEST = (r"rib\d+_[rl](\..*)?", r"[ct]\d+(\..*)?", r"sternum(\..*)?")
ROW = ("scaphoid", "lunate", "triquetrum")
"""The carpal bones that hang on the radius; all others hang on them."""


def hand_bones(side: str) -> tuple[str, ...]:
    """Forearm and hand."""
    return (
        rf"(radius|ulna)_{side}(\..*)?",
        rf"({CARPUS}|(metacarpal|proximal|middle|distal)\d)_{side}(\..*)?",
    )


def elbow_bones(side: str) -> tuple[str, ...]:
    """Upper arm and forearm."""
    return (rf"(humerus|radius|ulna)_{side}(\..*)?",)


def shoulder_bones(side: str) -> tuple[str, ...]:
    """Girdle, arm to the elbow, and chest."""
    return (rf"(clavicle|scapula|humerus|radius|ulna)_{side}(\..*)?", r"clavicle_[rl](\..*)?", *CHEST)


def pronated(skeleton: Skeleton, side: str, degrees: float) -> dict[str, Array]:
    """Turns that carry the radius, and the hand on it, about the axis from its head to the ulna's far end.

    Positive turns bring the thumb forward and inward.
    """
    ulna = skeleton[f"ulna_{side}"]
    high = ulna.along.max() - ulna.middle @ ulna.axes[0]
    axis = skeleton[f"radius_{side}"].joint - (ulna.middle + high * ulna.axes[0])
    return {f"radius_{side}": turn(axis, outward(side) * degrees)}


def wrist_bent(
    skeleton: Skeleton, side: str, *, ulnar: float = 0.0, flexion: float = 0.0, forearm: Array | None = None
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Turns and moves of the carpus as one piece about the head of the capitate, in degrees.

    In ulnar deviation the first row so slides towards the thumb, as it does in life. `forearm`: the radius's turn.
    """
    centre = skeleton[f"capitate_{side}"].joint
    bend = turn(LATERAL, flexion) @ turn(ANTERIOR, outward(side) * ulnar)
    carried = np.eye(3) if forearm is None else forearm
    names = [f"{bone}_{side}" for bone in ROW]
    # The atlas's joint is a little wide, and the radius's slope would open it as the row slides along.
    seat = np.array([0.0, 0.0, 0.0008 + 0.0001 * max(0.0, ulnar)])
    moves = {name: carried @ ((bend - np.eye(3)) @ (skeleton[name].joint - centre) + seat) for name in names}
    return dict.fromkeys(names, bend), moves


def elbow_bent(
    skeleton: Skeleton, side: str, *, flexion: float, valgus: float = 0.0
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Turns and moves of the forearm about the middle of the trochlea, in degrees, for a humerus that is not turned.

    The atlas's second forearm is slid down until its radius clears the capitellum.
    """
    pieces = [skeleton[name].mesh.vertices for name in skeleton.named(rf"humerus_{side}(\.distal)?")]
    end = np.concatenate(pieces).astype(np.float64)
    end = end[end[:, 2] < end[:, 2].min() + 0.025]
    ulna, radius = skeleton[f"ulna_{side}"], skeleton.named(rf"radius_{side}(\.head)?")
    centre = np.array([ulna.joint[0], end[:, 1].max() - TROCHLEA, end[:, 2].min() + TROCHLEA])
    top = max(float(skeleton[name].mesh.vertices[:, 2].max()) for name in radius)
    bend = turn(LATERAL, flexion) @ turn(ANTERIOR, -outward(side) * valgus)
    slide = np.array([0.0, 0.0, min(0.0, centre[2] - 0.012 - top)])
    move = (bend - np.eye(3)) @ (ulna.joint - centre) + bend @ slide
    return {ulna.name: bend}, {ulna.name: move}


def even_forearm(subject: Subject, side: str, random: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Sizes that make the ulna as long as the radius, but for a spread of 1.5 mm (Schuind et al. 1992)."""
    own = subject.sizes
    radius, ulna = own.get(f"radius_{side}", (1.0, 1.0)), own.get(f"ulna_{side}", (1.0, 1.0))
    return {f"ulna_{side}": (radius[0] / ulna[0] * float(1.0 + random.normal(0.0, 0.006)), 1.0)}
