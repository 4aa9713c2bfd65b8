"""What this patient has in or on the body: chosen by the bones in the picture, added to the scene's optical depth."""

from collections.abc import Callable

import numpy as np

from training.simulate import worn
from training.simulate.camera import Camera
from training.simulate.hardware import (
    Solids,
    add_solids,
    cerclage,
    nail,
    plate,
    ring,
    screws,
    wires,
)
from training.simulate.noise import Map
from training.simulate.prostheses import hip, knee, shoulder
from training.simulate.recipe import SimulateRecipe
from training.simulate.scene import Anchor, Scene
from training.simulate.spinal_implants import instrumented

GROWN = 20.0
"""Age in years from which joints are replaced."""
SPINES = ("cervical_spine", "thoracic_spine", "lumbar_spine")
THICK = 0.006
"""Radius in m from which a bone can take a nail."""

Fixing = Callable[[Anchor, np.random.Generator], Solids]
Wearing = Callable[[Map, np.random.Generator, float], None]

WORN: tuple[Wearing, ...] = (
    worn.cast,
    worn.cast,
    worn.buttons,
    worn.zip_fastener,
    worn.cords,
    worn.cords,
    worn.staples,
    worn.strap,
)


def equipped(scene: Scene, random: np.random.Generator, recipe: SimulateRecipe, pixel: float) -> Map:
    """The scene's optical depth (H, W), with hardware for the recipe's share of images.

    `pixel` is the side of a pixel in m in the plane of the bone.
    """
    if random.random() >= recipe.hardware:
        return scene.depth
    depth = scene.depth.copy()
    implanted = random.random() < 0.6 and (bool(scene.anchors) or _spine(scene))
    if implanted:
        add_solids(depth, scene.camera, _implants(scene, random), scene.metal * random.uniform(0.5, 1.5))
    if not implanted or random.random() < 0.15:
        WORN[random.integers(len(WORN))](depth, random, pixel)
    return depth


def _implants(scene: Scene, random: np.random.Generator) -> Solids:
    """Screws and rods in a spine; a prosthesis where a joint for one is in the picture, half of the time; else one or
    two bones are fixed.
    """
    if _spine(scene):
        return instrumented(scene.vertebrae, random)
    joints = _joints(scene, random) if scene.age >= GROWN else []
    if joints and random.random() < 0.5:
        return joints[random.integers(len(joints))]()
    seen = [anchor for anchor in scene.anchors if _in_sight(anchor, scene.camera)] or list(scene.anchors)
    made: Solids = ()
    for _ in range(1 if random.random() < 0.7 else 2):
        anchor = seen[random.integers(len(seen))]
        if "proximal" in anchor.bone and random.random() < 0.4:
            made += ring(anchor, 0.4, 1.9 * anchor.radius, random.uniform(0.001, 0.002))
        else:
            fixings: tuple[Fixing, ...] = (plate, screws, wires)
            if anchor.radius > THICK:
                fixings = (plate, plate, nail, screws, cerclage)
            made += fixings[random.integers(len(fixings))](anchor, random)
    return made


def _spine(scene: Scene) -> bool:
    """Whether it is a picture of a spine, with vertebrae to hold together."""
    return scene.region in SPINES and len(scene.vertebrae) > 1


def _joints(scene: Scene, random: np.random.Generator) -> list[Callable[[], Solids]]:
    """The prostheses that the bones in the picture have room for."""
    found: list[Callable[[], Solids]] = []
    for anchor in scene.anchors:
        medial = np.array([-np.sign(anchor.start[0]) or 1.0, 0.0, 0.0])
        near, far = (_visible(point, scene.camera) for point in (anchor.start, anchor.end))
        if "femur" in anchor.bone and near and scene.region == "pelvis_hip":
            found.append(lambda anchor=anchor, medial=medial: hip(anchor, medial, random))  # type: ignore[misc]
        if "humerus" in anchor.bone and near and scene.region == "shoulder":
            found.append(lambda anchor=anchor, medial=medial: shoulder(anchor, medial, random))  # type: ignore[misc]
        if "femur" in anchor.bone and far and scene.region == "knee":
            tibia = _nearest(anchor, [each for each in scene.anchors if "tibia" in each.bone])
            if tibia is not None:
                found.append(lambda anchor=anchor, tibia=tibia: knee(anchor, tibia, random))  # type: ignore[misc]
    return found


def _nearest(femur: Anchor, others: list[Anchor]) -> Anchor | None:
    """The bone that begins where the femur ends."""
    return min(others, key=lambda each: float(np.linalg.norm(each.start - femur.end)), default=None)


def _in_sight(anchor: Anchor, camera: Camera) -> bool:
    return _visible((anchor.start + anchor.end) / 2, camera)


def _visible(point: np.ndarray[tuple[int, ...], np.dtype[np.float64]], camera: Camera) -> bool:
    """Whether the point falls on the detector."""
    u, v, depth = camera.project(point)
    return bool(depth > 0 and 0 <= u < camera.width and 0 <= v < camera.height)
