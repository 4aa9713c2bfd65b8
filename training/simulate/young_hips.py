"""The hip that still grows: ilium, ischium and pubis apart, and an infant's femur without head and neck.

At birth the three bones of the pelvis meet in cartilage at the bottom of the socket, the triradiate one, which closes
at 12 to 15 years; ischium and pubis join below at 5 to 8. Head, neck and greater trochanter are all cartilage in the
first months; the head's centre shows from the 4th on (Scheuer and Black 2000).
"""

import numpy as np
import numpy.typing as npt

from training.simulate.cut import split
from training.simulate.mesh import Mesh

Array = npt.NDArray[np.float64]

ROOF = 25.0
"""Degrees by which the socket's roof rises outwards in an infant (acetabular index; Toennis 1976: 20 to 30)."""


def three_bones(pelvis: Mesh, hip: Array, out: float, *, infant: bool) -> dict[str, Mesh]:
    """`ilium`, `ischium` and `pubis` of half a pelvis, each closed and with its edges rounded.

    Args:
        pelvis: one half, m.
        hip: the centre of the hip joint (3,).
        out: sign of x away from the middle.
        infant: rounder, and cut along the roof of the socket.
    """
    up, slope = (0.008, np.deg2rad(ROOF)) if infant else (0.004, np.deg2rad(12.0))
    down = np.array([out * np.sin(slope), 0.0, -np.cos(slope)])
    # The pubis first, whose upper branch would else leave a slice with the ilium.
    pubis, rest = split(pelvis, hip + np.array([-out * 0.018, 0.012, 0.004]), (-out * 0.75, 0.66, -0.35))
    ischium, ilium = split(rest, hip + np.array([0.0, 0.0, up]), down)
    times = 6 if infant else 2
    return {name: rounded(mesh, times) for name, mesh in (("ilium", ilium), ("ischium", ischium), ("pubis", pubis))}


def without_neck(femur: Mesh, hip: Array, out: float) -> Mesh:
    """What is bone of an infant's femur: it ends in a broad, nearly flat metaphysis."""
    return rounded(split(femur, hip - np.array([0.0, 0.0, 0.036]), (out * 0.1, 0.0, -1.0))[0], 2)


def rounded(mesh: Mesh, times: int) -> Mesh:
    """Every vertex moved half the way to the mean of its neighbours, `times` over (Laplacian smoothing)."""
    faces = mesh.faces.astype(np.int64)
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    points, count = mesh.vertices.astype(np.float64), len(mesh.vertices)
    degree = np.maximum(np.bincount(start, minlength=count), 1)[:, None]
    for _ in range(times):
        sums = np.stack([np.bincount(start, points[end, axis], minlength=count) for axis in range(3)], axis=1)
        points = 0.5 * (points + sums / degree)
    return Mesh(vertices=points.astype(np.float32), faces=mesh.faces)
