"""The cap that stands for a humeral head."""

import numpy as np
import pytest

from training.simulate.arthroplasty import cap


@pytest.mark.parametrize("height", [0.01, 0.02, 0.03])
def test_a_cap_has_the_volume_of_the_formula_and_stands_on_its_base(height: float) -> None:
    """V = pi h^2 (r - h / 3); the polyhedron has a few per cent less. A face turned over would change the sum."""
    radius = 0.02
    vertices, faces = cap(radius, height, rings=24, sides=64)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    volume = np.einsum("ij,ij->", a, np.cross(b, c)) / 6
    assert volume == pytest.approx(np.pi * height**2 * (radius - height / 3), rel=0.02)
    assert vertices[:, 2].min() == pytest.approx(0.0, abs=1e-12)
    assert vertices[:, 2].max() == pytest.approx(height)
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
