"""Meshes of about one fineness: enough faces to look round at the size of a radiograph, no more than that."""

import numpy as np

from training.simulate.mesh import Mesh, refined

FEWEST, MOST = (12_000, 500), (22_000, 1000)
"""Faces of a bone for each metre of its extent, and for any: with fewer, edges show; more cost time alone."""

ROUNDING = 0.6


def evenly_fine(mesh: Mesh, *, coarse: float = 1.0) -> Mesh:
    """The mesh with at least `FEWEST` faces, its new ones rounded, or with at most `MOST`, its vertices merged; both
    by the factor `coarse` fewer.
    """
    extent = min(0.16, float(np.ptp(mesh.vertices, axis=0).max()))
    fewest, most = (max(each * extent, least) / coarse for each, least in (FEWEST, MOST))
    while len(mesh.faces) < fewest:
        mesh = refined(mesh, rounding=ROUNDING)
    cell = 0.0004
    while len(mesh.faces) > most:
        mesh = merged(mesh, cell)
        cell *= 1.3
    return mesh


def merged(mesh: Mesh, cell: float) -> Mesh:
    """The mesh with all vertices in the same cube of side `cell` (m) made one, at their mean.

    Every edge is still run through as often one way as the other, so that a closed mesh stays closed.
    """
    cubes = np.floor(mesh.vertices / cell).astype(np.int64)
    _, number, count = np.unique(cubes, axis=0, return_inverse=True, return_counts=True)
    number = number.ravel()
    vertices = np.stack([np.bincount(number, mesh.vertices[:, axis]) for axis in range(3)], axis=1) / count[:, None]
    faces = number[mesh.faces]
    a, b, c = faces.T
    proper = faces[(a != b) & (b != c) & (c != a)]
    return Mesh(vertices=vertices.astype(np.float32), faces=proper.astype(np.int32))
