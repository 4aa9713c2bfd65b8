"""From a posed body and a camera to the optical depth of every ray."""

import numpy as np
import numpy.typing as npt

from training.simulate.body import Body
from training.simulate.camera import Camera
from training.simulate.matter import Matter
from training.simulate.project import add_mesh
from training.simulate.skeleton import Bone

Array = npt.NDArray[np.float64]
Map = npt.NDArray[np.float32]


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


def _weights(bone: Bone, matter: Matter) -> tuple[float, float]:
    """Attenuation in 1/m that counts at the outer surface, and at the inner one."""
    if bone.hollow:
        return matter.compact, -matter.compact
    if bone.kind == "cartilage":
        return 0.25 * matter.spongy, 0.0
    return matter.compact, matter.spongy - matter.compact
