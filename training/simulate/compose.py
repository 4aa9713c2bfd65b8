"""From a posed body and a camera to the optical depth of every ray."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from training.simulate.body import Body
from training.simulate.camera import Camera
from training.simulate.matter import Matter
from training.simulate.noise import white
from training.simulate.project import add_mesh
from training.simulate.skeleton import Bone

Array = npt.NDArray[np.float64]
Map = npt.NDArray[np.float32]

BONE = 0.01
"""Optical depth from which on a ray is said to have met bone."""


def visible(body: Body, names: list[str], camera: Camera, *, margin: float = 0.1) -> list[str]:
    """The bones of `names` that reach into the picture, or come within `margin` of its side to it."""
    if not names:
        return []
    centres, radii = body.middles(names)
    u, v, depth = camera.project(centres)
    focal = camera.distance / camera.pitch
    reach = radii * focal / np.maximum(depth, 1e-3) + margin * max(camera.width, camera.height)
    inside = (u > -reach) & (u < camera.width + reach) & (v > -reach) & (v < camera.height + reach) & (depth > radii)
    return [name for name, kept in zip(names, inside, strict=True) if kept]


def bone_depth(body: Body, names: list[str], camera: Camera, matter: Matter) -> Map:
    """Optical depth (H, W) of the bones, beyond that of the soft tissue which they displace.

    Compact bone lies between the outer surface and the inner one, spongy bone inside: the outer surface counts with
    the attenuation of compact bone, the inner one with that of spongy bone less that of compact bone. In the skull
    there is no spongy bone, but a brain.
    """
    depth = np.zeros((camera.height, camera.width), np.float32)
    vertices, faces, weights = [], [], []
    start = 0
    for name, surfaces in zip(names, body.surfaces(names), strict=True):
        mesh = body.skeleton[name].mesh
        for surface, weight in zip(surfaces, _weights(body.skeleton[name], matter), strict=True):
            vertices.append(surface)
            faces.append(mesh.faces + start)
            weights.append(np.full(len(mesh.faces), weight))
            start += len(surface)
    if vertices:
        add_mesh(depth, camera, np.concatenate(vertices), np.concatenate(faces), np.concatenate(weights))
    return depth


def contrast(bone: Map) -> float:
    """The optical depth by which most bones in the picture stand out, of their map (H, W); infinite without any."""
    seen = bone[bone > BONE]
    return float(np.median(seen)) if seen.size else math.inf


def trabeculated(bone: Map, camera: Camera, random: np.random.Generator) -> Map:
    """The bones' optical depth (H, W) with the grain of spongy bone, which runs along the limb: beams a millimetre
    apart that show where pixels are about as small, and average out in larger ones.
    """
    strength = 0.2 * float(random.random()) ** 2 * min(1.0, (0.0009 / camera.pitch) ** 2)
    if strength < 0.01:
        return bone
    height, width = bone.shape
    fine = cv2.GaussianBlur(white((height, width), random), (0, 0), sigmaX=0.6, sigmaY=random.uniform(0.6, 3.0))
    grain = np.clip(fine / np.float32(max(float(fine[::4, ::4].std()), 1e-6)), -2.5, 2.5)
    return np.asarray(bone * (np.float32(1.0) + np.float32(strength) * grain), np.float32)


def _weights(bone: Bone, matter: Matter) -> tuple[float, float]:
    """Attenuation in 1/m that counts at the outer surface, and at the inner one."""
    if bone.hollow:
        return matter.compact, -matter.compact
    if bone.kind == "cartilage":
        return 0.25 * matter.spongy, 0.0
    return matter.compact, matter.spongy - matter.compact
