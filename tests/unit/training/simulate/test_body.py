"""The cortex of a posed body's bones: between an outer surface and the inner one under it."""

import numpy as np
import pytest

from tests.unit.training.simulate.solids import box, icosphere
from training.simulate.body import Body
from training.simulate.mesh import Mesh, half_thickness, refined, vertex_normals, volume
from training.simulate.pose import Pose
from training.simulate.skeleton import Bone, Skeleton
from training.simulate.subject import Subject

CORTEX = 0.0022
"""A long bone's, of a subject whose cortex is as thick as most people's, in m."""


def surfaces(mesh: Mesh, *, thickness: float = 1.0) -> tuple[Mesh, Mesh]:
    """The outer and the inner surface of a long bone of this shape, in nobody's pose."""
    centre = mesh.vertices.mean(axis=0).astype(np.float64)
    bone = Bone(
        name="bone",
        mesh=mesh,
        normals=vertex_normals(mesh).astype(np.float64),
        depth=half_thickness(mesh).astype(np.float64),
        parent=None,
        joint=centre,
        anchor=centre,
        axes=np.eye(3),
        flesh=np.zeros((0, 4)),
        kind="long",
    )
    body = Body.posed(Skeleton(bones={"bone": bone}), Subject(thickness=thickness), Pose(), ["bone"])
    outer, inner = body.surfaces(["bone"])[0]
    return Mesh(vertices=outer, faces=mesh.faces), Mesh(vertices=inner, faces=mesh.faces)


@pytest.mark.parametrize("thickness", [0.5, 1.0, 1.5])
def test_the_inner_surface_of_a_ball_is_a_smaller_ball(thickness):
    """By the cortex's thickness, which is the subject's own."""
    outer, inner = surfaces(icosphere(0.02, (0.1, 0, 0)), thickness=thickness)
    np.testing.assert_allclose(np.linalg.norm(outer.vertices - (0.1, 0, 0), axis=1), 0.02, rtol=1e-5)
    expected = 0.02 - thickness * CORTEX
    np.testing.assert_allclose(np.linalg.norm(inner.vertices - (0.1, 0, 0), axis=1), expected, rtol=1e-3)


def test_where_a_bone_is_thin_the_inner_surface_stays_inside():
    """A plate of 3 mm with 2.2 mm of cortex on either side: an inside is left, and it lies within."""
    slab = box((-0.03, -0.03, -0.0015), (0.03, 0.03, 0.0015))
    for _ in range(5):
        slab = refined(slab)
    outer, inner = surfaces(slab)
    assert 0 < volume(inner) < 0.4 * volume(outer)
    assert np.abs(inner.vertices[:, 2]).max() <= 0.0015 + 1e-7
    top = slab.vertices[:, 2] > 0.0014
    assert (inner.vertices[top, 2] > 0).all()
