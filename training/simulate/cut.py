"""Cutting a closed surface in two closed ones: growth plates, fractures, amputations."""

import numpy as np
import numpy.typing as npt

from training.simulate.mesh import Mesh

Array = npt.NDArray[np.float64]


def split(mesh: Mesh, point: npt.ArrayLike, normal: npt.ArrayLike) -> tuple[Mesh, Mesh]:
    """Both halves of a closed mesh, each closed: the one that `normal` (3,) points into, and the other.

    The plane goes through `point` (3,), in m. Its cap is a fan around one point, whatever the outline: where a fan's
    triangles overlap or leave the outline, their signed depths cancel in the projection. A half may be empty.
    """
    normal = np.asarray(normal, np.float64) / np.linalg.norm(np.asarray(normal, np.float64))
    height = (mesh.vertices.astype(np.float64) - np.asarray(point, np.float64)) @ normal
    # A vertex in the plane itself would make cuts of no length: move it a micrometre to one side.
    height = np.where(np.abs(height) < 1e-6, 1e-6, height)
    return _half(mesh, height), _half(mesh, -height)


def _half(mesh: Mesh, height: Array) -> Mesh:
    """What lies above zero height, capped."""
    above = height[mesh.faces] > 0
    count = above.sum(axis=1)
    whole = mesh.faces[count == 3]
    tips, roofs = _turned(mesh.faces, above, 1), _turned(mesh.faces, ~above, 1)
    vertices = mesh.vertices.astype(np.float64)
    cuts, cut_points = _cuts(vertices, height, np.concatenate([tips, roofs]))
    tip_cuts, roof_cuts = np.split(cuts + len(vertices), [len(tips)])
    n = len(vertices) + len(cut_points)
    # A triangle with one corner above keeps a tip; one with two keeps a quadrilateral, that is, two triangles.
    kept_tips = np.stack([tips[:, 0], tip_cuts[:, 0], tip_cuts[:, 1]], axis=1)
    first = np.stack([roof_cuts[:, 0], roofs[:, 1], roofs[:, 2]], axis=1)
    second = np.stack([roof_cuts[:, 0], roofs[:, 2], roof_cuts[:, 1]], axis=1)
    edges = np.concatenate([tip_cuts, roof_cuts[:, ::-1]])
    if len(edges) == 0:
        return _compact(vertices, whole)
    cap = np.stack([np.full(len(edges), n), edges[:, 1], edges[:, 0]], axis=1)
    all_vertices = np.concatenate([vertices, cut_points, cut_points.mean(axis=0)[None]])
    return _compact(all_vertices, np.concatenate([whole, kept_tips, first, second, cap]))


def _turned(faces: npt.NDArray[np.int32], chosen: npt.NDArray[np.bool_], count: int) -> npt.NDArray[np.int64]:
    """The faces with `count` chosen corner, turned so that it comes first."""
    rows = np.flatnonzero(chosen.sum(axis=1) == count)
    first = chosen[rows].argmax(axis=1)
    turned: npt.NDArray[np.int64] = faces[rows[:, None], (first[:, None] + np.arange(3)) % 3].astype(np.int64)
    return turned


def _cuts(vertices: Array, height: Array, faces: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Array]:
    """Where the edges from the first corner to the second and to the third cross zero: each face's two numbers (F, 2)
    into the points (N, 3). Faces that share an edge share its point.
    """
    ends = np.sort(np.stack([faces[:, [0, 1]], faces[:, [0, 2]]], axis=1).reshape(-1, 2), axis=1)
    edges, numbers = np.unique(ends, axis=0, return_inverse=True)
    a, b = edges.T
    share = height[a] / (height[a] - height[b])
    return numbers.reshape(-1, 2), vertices[a] + share[:, None] * (vertices[b] - vertices[a])


def _compact(vertices: Array, faces: npt.NDArray[np.int64]) -> Mesh:
    used, inverse = np.unique(faces, return_inverse=True)
    return Mesh(vertices=vertices[used].astype(np.float32), faces=inverse.reshape(-1, 3).astype(np.int32))
