"""Views of a turned image count by how upright they look."""

import pytest
import torch

from training.hang import fit_hang, no_hang, weighed
from training.turns import VIEWS, turned, upright


def views_with_a_sign(n, *, seed=0):
    """(4, N, 512) noise; upright views are larger in the third number."""
    random = torch.Generator().manual_seed(seed)
    views = torch.randn(4, n, 512, generator=random)
    views[0, :, 2] += 6.0
    return views


def test_what_tells_upright_views_apart_is_learned_and_holds_for_other_images():
    hang = fit_hang(views_with_a_sign(300), [0])
    votes = torch.softmax(views_with_a_sign(200, seed=1) @ hang, dim=0)
    assert (votes.argmax(dim=0) == 0).float().mean() > 0.95


def test_where_nothing_tells_them_apart_views_count_about_alike():
    """A strong penalty leaves noise alone."""
    noise = torch.randn(4, 300, 512, generator=torch.Generator().manual_seed(0))
    votes = torch.softmax(noise @ fit_hang(noise, [0], strength=10.0), dim=0)
    assert votes.mean(dim=1).tolist() == pytest.approx([0.25] * 4, abs=0.05)


def test_the_order_of_the_views_does_not_matter():
    views, hang = views_with_a_sign(20), torch.randn(512, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(weighed(views, hang), weighed(views.roll(1, dims=0), hang), atol=1e-5)


def test_without_a_hang_it_is_the_plain_mean():
    views = views_with_a_sign(20)
    assert torch.allclose(weighed(views, no_hang()), views.mean(dim=0), atol=1e-6)


@pytest.mark.parametrize("turns", sorted(VIEWS))
def test_upright_views_have_the_same_rows_on_top(turns):
    """A picture that is bright above stays bright above in exactly these."""
    picture = torch.zeros(1, 8, 8)
    picture[:, 0] = 1.0
    bright = [number for number, view in enumerate(turned(picture, turns)) if view[0, 0].min() == 1.0]
    assert bright == upright(turns)
