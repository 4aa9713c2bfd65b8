"""Line integrals against closed forms and against slow sampling along the rays."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.unit.training.simulate.solids import blank, box, camera, chord, icosphere, rays
from training.simulate.project import add_capsules, add_ellipsoids, add_mesh

CENTRE = np.array((0.02, -0.01, 0.03))


def _ball_chord(eye, centre, radius):
    """2 sqrt(r^2 - d^2), d being the distance of the centre from the ray."""
    to_centre = centre - eye.source
    distance = np.linalg.norm(np.cross(rays(eye), to_centre), axis=-1)
    return 2 * np.sqrt(np.maximum(radius**2 - distance**2, 0))


def _mesh_map(eye, mesh, weight=1.0, **options):
    image = blank(eye)
    add_mesh(image, eye, mesh.vertices, mesh.faces, weight, **options)
    return image


def test_a_balls_mesh_is_as_thick_as_its_chord():
    """Inside by 0.1 mm of 100; at the rim, where the chord falls steeply, to what one pixel to the side would have."""
    eye, mesh = camera(), icosphere(0.05, CENTRE, rounds=5)
    image, exact = _mesh_map(eye, mesh), _ball_chord(eye, CENTRE, 0.05)
    deep = exact > 0.04
    assert deep.sum() > 400
    np.testing.assert_allclose(image[deep], exact[deep], atol=1e-4)
    pixel = eye.pitch / eye.magnification(CENTRE)
    assert (image <= _ball_chord(eye, CENTRE, 0.05 + pixel) + 1e-6).all()
    assert (image >= _ball_chord(eye, CENTRE, 0.05 - pixel) - 1e-6).all()


def test_a_boxs_mesh_is_as_thick_as_the_slabs_leave_of_the_ray():
    eye = camera()
    low, high = np.array((-0.03, -0.05, -0.04)), np.array((0.05, 0.02, 0.03))
    image = _mesh_map(eye, box(low, high), 20.0)
    way = rays(eye)
    one, other = (low - eye.source) / way, (high - eye.source) / way
    exact = 20 * np.maximum(np.maximum(one, other).min(axis=-1) - np.minimum(one, other).max(axis=-1), 0)
    # Corners are rounded to 1/1024 pixel: along the side faces that moves depth a little.
    np.testing.assert_allclose(image, exact, atol=20 * 1e-4)
    assert (image > 0).sum() > 400


def test_nothing_is_left_outside_a_closed_mesh_and_no_order_of_its_faces_matters():
    """A crumpled ball, many of its triangles smaller than a pixel: not one ray that misses it has any length."""
    random = np.random.default_rng(7)
    mesh = icosphere(1.0, rounds=5)
    eye = camera(size=64)
    waves = random.normal(size=(6, 3)) * 6
    points = mesh.vertices * (0.05 + 0.004 * np.sin(mesh.vertices @ waves.T).sum(axis=1))[:, None]
    image, order = blank(eye), random.permutation(len(mesh.faces))
    add_mesh(image, eye, points, mesh.faces)
    again = blank(eye)
    add_mesh(again, eye, points, mesh.faces[order])
    u, v, _ = eye.project(points)
    outside = np.ones_like(image, bool)
    for a, b, c in mesh.faces:
        left, right, top, bottom = (
            min(u[a], u[b], u[c]),
            max(u[a], u[b], u[c]),
            min(v[a], v[b], v[c]),
            max(v[a], v[b], v[c]),
        )
        outside[int(top) : int(bottom) + 2, int(left) : int(right) + 2] = False
    assert (image[outside] == 0).all()
    assert outside.sum() > 1000
    assert (image > 0.02).sum() > 300
    assert image.min() > -1e-4
    assert image.max() < 0.2
    np.testing.assert_allclose(again, image, atol=1e-7)


def test_a_ray_through_a_shared_edge_or_corner_counts_once():
    """Pixel centres lie exactly on the diagonals and corners of a wall of squares that faces the source."""
    eye = camera(target=(0, 0, 0), direction=(0, -1, 0), roll=0.0, size=33, field=0.33)
    low, high = np.array((-0.08, -0.05, -0.08)), np.array((0.08, 0.05, 0.08))
    image = _mesh_map(eye, box(low, high))
    way = rays(eye)
    straight = np.abs(0.1 / way[..., 1])
    middle = np.zeros_like(image, bool)
    middle[10:23, 10:23] = True
    np.testing.assert_allclose(image[middle], straight[middle], rtol=1e-6)


def test_overlapping_solids_of_different_weight_are_as_every_triangle_met_one_by_one_has_them():
    """The oracle meets every ray with every plane, in floating point; rays within 1/100 of an edge are let be."""
    eye, random = camera(size=48), np.random.default_rng(11)
    vertices = random.uniform(-0.1, 0.1, (6, 4, 3))
    inside_out = np.linalg.det(vertices[:, 1:] - vertices[:, :1]) < 0
    vertices[inside_out] = vertices[inside_out][:, (0, 2, 1, 3)]
    faces = (4 * np.arange(6)[:, None, None] + [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]).reshape(-1, 3)
    weights = np.repeat(random.uniform(-20, 60, 6), 4)
    image = blank(eye)
    add_mesh(image, eye, vertices.reshape(-1, 3), faces, weights)
    exact, near_edge, way = np.zeros(image.shape), np.zeros(image.shape, bool), rays(eye)
    for (a, b, c), weight in zip(vertices.reshape(-1, 3)[faces], weights, strict=True):
        normal, away = np.cross(b - a, c - a), way @ np.cross(b - a, c - a)
        distance = (a - eye.source) @ normal / away
        point = eye.source + distance[..., None] * way
        corner = np.stack([np.cross(q - p, point - p) @ normal for p, q in ((a, b), (b, c), (c, a))])
        share = corner.min(axis=0) / (normal @ normal)
        exact += np.where(share > 0, np.sign(away) * distance * weight, 0)
        near_edge |= np.abs(share) < 0.01
    assert near_edge.mean() < 0.3
    assert np.ptp(exact) > 2
    np.testing.assert_allclose(image[~near_edge], exact[~near_edge], atol=60 * 1e-4)


def test_an_inner_surface_that_counts_against_the_outer_one_leaves_the_shell():
    eye = camera()
    image = blank(eye)
    for radius, weight in ((0.05, 60.0), (0.045, -40.0)):
        mesh = icosphere(radius, CENTRE, rounds=5)
        add_mesh(image, eye, mesh.vertices, mesh.faces, weight)
    exact = 60 * _ball_chord(eye, CENTRE, 0.05) - 40 * _ball_chord(eye, CENTRE, 0.045)
    deep = _ball_chord(eye, CENTRE, 0.045) > 0.04
    np.testing.assert_allclose(image[deep], exact[deep], atol=60 * 2e-4)


def test_several_rays_a_pixel_give_the_mean_of_a_finer_picture():
    eye, finer = camera(), camera(size=(288, 240))
    mesh = icosphere(0.05, CENTRE)
    expected = _mesh_map(finer, mesh).reshape(96, 3, 80, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(_mesh_map(eye, mesh, samples=3), expected, atol=1e-5)


def test_a_mesh_behind_the_source_is_left_out():
    eye = camera()
    behind = icosphere(0.05, eye.source - 0.3 * eye.forward)
    assert (_mesh_map(eye, behind) == 0).all()


def test_an_image_of_another_size_is_refused():
    eye = camera()
    with pytest.raises(ValueError, match="camera"):
        add_mesh(np.zeros((3, 3), np.float32), eye, np.zeros((3, 3)), [[0, 1, 2]])


def test_ellipsoids_of_equal_axes_are_balls():
    eye, image = camera(), blank(camera())
    add_ellipsoids(image, eye, [CENTRE, -CENTRE], np.full((2, 3), 0.03), [20.0, -5.0])
    exact = 20 * _ball_chord(eye, CENTRE, 0.03) - 5 * _ball_chord(eye, -CENTRE, 0.03)
    np.testing.assert_allclose(image, exact, atol=1e-5)


def test_a_tilted_ellipsoid_is_as_thick_as_sampling_finds_it():
    eye, image = camera(), blank(camera())
    matrix = Rotation.from_rotvec((0.4, 0.9, -0.3)).as_matrix() * np.array((0.06, 0.02, 0.035))
    add_ellipsoids(image, eye, CENTRE[None], matrix[None], 1.0)

    def inside(points):
        return np.linalg.norm((points - CENTRE) @ np.linalg.inv(matrix).T, axis=-1) <= 1

    np.testing.assert_allclose(image, chord(eye, inside, near=0.8, far=1.2, steps=1000), atol=6e-4)


def test_an_ellipsoid_around_the_source_counts_from_the_source_on():
    eye, image = camera(), blank(camera())
    add_ellipsoids(image, eye, eye.source[None], [(0.3, 0.3, 0.3)], 1.0)
    np.testing.assert_allclose(image, 0.3, rtol=1e-6)
    add_ellipsoids(image, eye, (eye.source - eye.forward)[None], [(0.3, 0.3, 0.3)], 1.0)
    np.testing.assert_allclose(image, 0.3, rtol=1e-6)


def test_capsules_are_as_thick_as_sampling_finds_them():
    """Across, aslant and almost along the beam."""
    eye = camera()
    starts = np.array([(-0.05, 0, 0.05), (0.05, 0.05, -0.02), eye.source + 0.9 * eye.forward])
    ends = np.array([(0.04, 0.02, 0.06), (0.0, -0.06, -0.05), eye.source + 1.1 * eye.forward])
    for start, end, radius in zip(starts, ends, (0.004, 0.011, 0.008), strict=True):
        image = blank(eye)
        add_capsules(image, eye, start[None], end[None], radius, 1.0)

        def inside(points, start=start, end=end, radius=radius):
            along = np.clip((points - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
            return np.linalg.norm(points - start - along[..., None] * (end - start), axis=-1) <= radius

        exact = chord(eye, inside, near=0.8, far=1.2, steps=1000)
        assert exact.max() > radius
        np.testing.assert_allclose(image, exact, atol=9e-4)


def test_a_capsule_that_ends_where_it_starts_is_a_ball():
    eye, image = camera(), blank(camera())
    add_capsules(image, eye, [CENTRE], [CENTRE], 0.02, [3.0])
    np.testing.assert_allclose(image, 3 * _ball_chord(eye, CENTRE, 0.02), atol=1e-6)
