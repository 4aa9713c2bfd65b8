"""Closed meshes and cameras whose projections are known."""

import numpy as np
from scipy.spatial import ConvexHull

from training.simulate.camera import Camera
from training.simulate.mesh import Mesh


def icosphere(radius: float = 1.0, centre=(0.0, 0.0, 0.0), *, rounds: int = 4) -> Mesh:
    """A ball out of a halved and halved again icosahedron, its vertices on the ball's surface."""
    golden = (1 + 5**0.5) / 2
    corners = np.array([(0, s, t * golden) for s in (-1, 1) for t in (-1, 1)], float)
    points = np.concatenate([corners, np.roll(corners, 1, axis=1), np.roll(corners, 2, axis=1)])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    faces = hull(points).faces
    for _ in range(rounds):
        middles = np.concatenate([points[faces[:, i]] + points[faces[:, i - 1]] for i in range(3)])
        middles /= np.linalg.norm(middles, axis=1, keepdims=True)
        points = np.unique(np.concatenate([points, middles]).round(9), axis=0)
        faces = hull(points).faces
    return Mesh(vertices=(points * radius + np.array(centre)).astype(np.float32), faces=faces)


def hull(points: np.ndarray) -> Mesh:
    """The convex hull of points (N, 3) that are all corners of it, faces turned outwards."""
    faces = ConvexHull(points).simplices
    corners = points[faces] - points.mean(axis=0)
    inwards = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) < 0
    faces[inwards] = faces[inwards][:, ::-1]
    return Mesh(vertices=points.astype(np.float32), faces=faces.astype(np.int32))


def box(low, high) -> Mesh:
    """The box between two corners (3,)."""
    corners = [(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
    return hull(np.array(corners, float))


def camera(**changes) -> Camera:
    """A cone beam at an odd angle, turned a little, 96 x 80 pixels; 0.3 m wide at the origin."""
    settings = {
        "target": (0.01, -0.02, 0.0),
        "direction": (0.3, -1.0, 0.2),
        "up": (0, 0, 1),
        "source_distance": 1.0,
        "target_to_detector": 0.2,
        "field": 0.3,
        "size": (96, 80),
        "roll": 0.4,
    }
    return Camera.looking(**(settings | changes))


def blank(camera: Camera) -> np.ndarray:
    """Nothing in the beam."""
    return np.zeros((camera.height, camera.width), np.float32)


def rays(camera: Camera) -> np.ndarray:
    """Unit directions (H, W, 3) from the source to each pixel's centre."""
    columns = (np.arange(camera.width) - (camera.width - 1) / 2) * camera.pitch
    rows = (np.arange(camera.height) - (camera.height - 1) / 2) * camera.pitch
    points = camera.detector + columns[None, :, None] * camera.right + rows[:, None, None] * camera.down
    way = points - camera.source
    return way / np.linalg.norm(way, axis=-1, keepdims=True)


def chord(camera: Camera, inside, *, near: float, far: float, steps: int = 4000) -> np.ndarray:
    """The slow way: the length (H, W) of each ray for which `inside` (points (..., 3) -> bool) holds, by sampling."""
    step = (far - near) / steps
    way = rays(camera)
    total = np.zeros(way.shape[:2])
    for number in range(steps):
        total += inside(camera.source + (near + (number + 0.5) * step) * way)
    return total * step
