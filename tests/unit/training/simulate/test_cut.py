"""Cutting closed surfaces in two closed ones."""

import numpy as np
import pytest

from tests.unit.training.simulate.solids import box, icosphere
from training.simulate.cut import split
from training.simulate.mesh import is_closed, volume


@pytest.mark.parametrize("normal", [(0, 0, 1), (1, 2, -0.5), (-3, 0.1, 0.2)])
def test_both_halves_are_closed_and_hold_what_the_whole_held(normal) -> None:
    """Whatever the plane's direction, nothing is lost at the cut."""
    ball = icosphere(0.05, rounds=3)
    one, other = split(ball, (0.004, -0.006, 0.011), normal)
    assert is_closed(one)
    assert is_closed(other)
    assert volume(one) > 0
    assert volume(other) > 0
    assert volume(one) + volume(other) == pytest.approx(volume(ball), rel=1e-5)


def test_the_first_half_lies_where_the_normal_points() -> None:
    """Its share of a box is that of the closed form."""
    whole = box((0, 0, 0), (0.02, 0.04, 0.06))
    low = whole.vertices[:, 2].min()
    upper, lower = split(whole, (0, 0, low + 0.045), (0, 0, 1))
    assert volume(upper) == pytest.approx(0.25 * volume(whole), rel=1e-5)
    assert lower.vertices[:, 2].max() == pytest.approx(low + 0.045, abs=1e-5)


def test_a_plane_beside_the_body_leaves_one_half_empty() -> None:
    """The other is the whole."""
    ball = icosphere(0.05, rounds=2)
    one, other = split(ball, (0, 0, 0.2), (0, 0, 1))
    assert len(one.faces) == 0
    assert volume(other) == pytest.approx(volume(ball), rel=1e-6)


def test_faces_at_the_cut_share_their_points() -> None:
    """Not merely equal ones: normals at the rim are those of one surface, and an inner surface has no gap there."""
    one, _ = split(icosphere(0.05, rounds=3), (0, 0, 0.01), (0, 0, 1))
    assert len(np.unique(one.vertices, axis=0)) == len(one.vertices)
