"""Where points of the world appear on the detector."""

import numpy as np
import pytest

from tests.unit.training.simulate.solids import camera, rays
from training.simulate.camera import Camera


def test_the_target_appears_in_the_middle():
    eye = camera()
    u, v, depth = eye.project((0.01, -0.02, 0.0))
    assert (u, v) == pytest.approx(((eye.width - 1) / 2, (eye.height - 1) / 2))
    assert depth == pytest.approx(1.0)


def test_an_anteroposterior_picture_shows_up_on_top_and_the_right_side_of_the_body_on_the_left():
    """The subject looks along +y with +z up, so that its right hand is at +x; the reader faces it."""
    eye = Camera.looking((0, 0, 0), (0, -1, 0), (0, 0, 1), 1.0, 0.1, 0.3, 144)
    u, v, _ = eye.project([(0, 0, 0), (0.05, 0, 0), (0, 0, 0.05)])
    assert u[1] < u[0]
    assert v[2] < v[0]


def test_roll_turns_the_picture_counter_clockwise():
    straight, rolled = (Camera.looking((0, 0, 0), (0, -1, 0), (0, 0, 1), roll=roll) for roll in (0.0, np.pi / 2))
    assert straight.project((0, 0, 0.05))[1] < 60
    assert rolled.project((0, 0, 0.05))[0] < 60


@pytest.mark.parametrize("depth", [0.7, 1.0, 1.1])
def test_an_object_appears_larger_by_source_to_detector_over_source_to_object(depth):
    """A rod of 40 mm across the beam: its length on the detector is SID / SOD times its own."""
    eye = camera()
    middle = eye.source + depth * eye.forward
    u, _, _ = eye.project([middle - 0.02 * eye.right, middle + 0.02 * eye.right])
    assert (u[1] - u[0]) * eye.pitch == pytest.approx(0.04 * 1.2 / depth)
    assert eye.magnification(middle) == pytest.approx(1.2 / depth)


def test_the_field_is_as_wide_as_asked_for_in_the_plane_of_the_target():
    eye = camera()
    edges = [np.array((0.01, -0.02, 0.0)) + side * 0.15 * eye.right for side in (-1, 1)]
    u, _, _ = eye.project(edges)
    assert u == pytest.approx([-0.5, eye.width - 0.5])


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.05, -0.03)])
def test_a_point_on_a_pixels_ray_is_projected_onto_that_pixel_also_when_the_detector_is_shifted(shift):
    eye = camera()
    eye = Camera(
        source=eye.source,
        detector=eye.detector + shift[0] * eye.right + shift[1] * eye.down,
        right=eye.right,
        down=eye.down,
        pitch=eye.pitch,
        height=eye.height,
        width=eye.width,
    )
    u, v, _ = eye.project(eye.source + 0.8 * rays(eye))
    rows, columns = np.mgrid[: eye.height, : eye.width]
    np.testing.assert_allclose(u, columns, atol=1e-9)
    np.testing.assert_allclose(v, rows, atol=1e-9)


def test_what_is_behind_the_source_is_on_no_ray():
    eye = camera()
    u, v, depth = eye.project(eye.source - eye.forward)
    assert np.isnan(u)
    assert np.isnan(v)
    assert depth < 0
