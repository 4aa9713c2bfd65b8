"""The length of rays in a union of balls."""

import numpy as np
import pytest

from training.simulate.camera import Camera
from training.simulate.flesh import union_length


def _camera(size: int = 64) -> Camera:
    return Camera.looking((0, 0, 0), (0, -1, 0), (0, 0, 1), source_distance=1.0, field=0.2, size=size)


def _oracle(camera: Camera, balls: np.ndarray) -> np.ndarray:
    """Ray by ray: all stretches, sorted, joined where they overlap."""
    lengths = np.zeros((camera.height, camera.width))
    for row in range(camera.height):
        for column in range(camera.width):
            across = (column - (camera.width - 1) / 2) * camera.right + (row - (camera.height - 1) / 2) * camera.down
            ray = camera.detector + across * camera.pitch - camera.source
            ray /= np.linalg.norm(ray)
            stretches = []
            for *centre, radius in balls:
                to_centre = np.array(centre) - camera.source
                near = to_centre @ ray
                root = radius**2 - (to_centre @ to_centre - near**2)
                if root > 0:
                    stretches.append((near - np.sqrt(root), near + np.sqrt(root)))
            end = -np.inf
            for start, stop in sorted(stretches):
                lengths[row, column] += max(0.0, stop - max(start, end))
                end = max(end, stop)
    return lengths


def test_one_ball_is_as_thick_as_its_chord() -> None:
    """Through the middle: twice the radius."""
    length = union_length(_camera(65), [[0, 0, 0, 0.03]])
    assert length[32, 32] == pytest.approx(0.06, rel=1e-5)
    assert length[0, 0] == 0.0


def test_overlaps_count_once_and_gaps_not_at_all() -> None:
    """Three balls along the central ray: two that overlap by half, one apart."""
    length = union_length(_camera(65), [[0, 0.05, 0, 0.02], [0, 0.03, 0, 0.02], [0, -0.05, 0, 0.01]])
    assert length[32, 32] == pytest.approx(0.06 + 0.02, rel=1e-5)


def test_a_limb_of_balls_agrees_with_the_slow_union() -> None:
    """Balls in a row, tapering, close together, seen from the side and from an angle."""
    camera = _camera(24)
    places = np.linspace(-0.08, 0.08, 25)
    balls = np.stack([places, 0.3 * places, 0.1 * places, np.linspace(0.03, 0.015, 25)], axis=1)
    np.testing.assert_allclose(union_length(camera, balls), _oracle(camera, balls), atol=2e-4)
