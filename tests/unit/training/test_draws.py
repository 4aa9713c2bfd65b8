"""Views against slow oracles: one pixel at a time, and torchvision's two resamplings."""

import math

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as slow

from training.augment import RING_HOLE, augment, views
from training.draws import BALL, RING, affine, draw
from training.recipe import AugmentRecipe

SIZE, VIEW = 20, 16
EVERYTHING = AugmentRecipe(invert=0.5, gauges=2, gauge_radius=(0.1, 0.3), collimation=0.5, shear=30.0, noise=0.05)


def slow_view(image, d, i):
    """View `i` as nested loops say it; image (S, S) uint8."""
    view = np.zeros((VIEW, VIEW))
    for row in range(VIEW):
        for column in range(VIEW):
            at = [(2 * column + 1) / VIEW - 1, (2 * row + 1) / VIEW - 1, 1.0]
            x, y = (((float(sum(m * v for m, v in zip(line, at, strict=True))) + 1) * SIZE - 1) / 2
                    for line in d.affine[i].double().tolist())  # fmt: skip
            left, top = math.floor(x), math.floor(y)
            for r, c in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
                if 0 <= r < SIZE and 0 <= c < SIZE:
                    view[row, column] += (1 - abs(x - c)) * (1 - abs(y - r)) * int(image[r, c]) / 255
    mean = view.mean()
    down, right = (int(v) for v in d.grain_at[i])
    for row in range(VIEW):
        for column in range(VIEW):
            value = ((view[row, column] - mean) * float(d.contrast[i]) + mean) * float(d.brightness[i])
            value = min(1.0, max(0.0, value)) ** float(d.gamma[i])
            value += float(d.grain[i]) * float(d.grain_field[down + row, right + column])
            value = min(1.0, max(0.0, value))
            value = 1.0 - value if d.inverted[i] else value
            y, x = (row + 0.5) / VIEW - 0.5, (column + 0.5) / VIEW - 0.5
            for g in range(d.gauge_kind.shape[1]):
                value = max(value, slow_gauge(y, x, d, i, g))
            view[row, column] = slow_border(y, x, d, i, value)
    return view


def slow_gauge(y, x, d, i, g):
    away = math.dist((y, x), d.gauge_place[i, g].tolist()) / float(d.gauge_radius[i, g])
    kind, intensity = int(d.gauge_kind[i, g]), float(d.gauge_intensity[i, g])
    if away >= 1 or (kind == RING and away <= RING_HOLE):
        return 0.0
    return intensity * (math.sqrt(1 - away**2) if kind == BALL else 1.0)


def slow_border(y, x, d, i, value):
    angle = float(d.border_angle[i])
    top, bottom, left, right = d.border[i].tolist()
    down, across = math.cos(angle) * y - math.sin(angle) * x, math.sin(angle) * y + math.cos(angle) * x
    if not d.bordered[i] or (-top < down < bottom and -left < across < right):
        return value
    return float(d.border_white[i])


def test_every_view_is_what_nested_loops_make_of_its_draws():
    """Affine, tone, grain, inversion, gauges and borders at once, for images larger than the view."""
    random = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (12, SIZE, SIZE), dtype=torch.uint8, generator=random)
    draws = draw(12, EVERYTHING, random, size=VIEW)
    got = views(images, draws, size=VIEW)[:, 0].numpy()
    for i in range(12):
        assert np.allclose(got[i], slow_view(images[i].numpy(), draws, i), atol=2e-4), i


def test_a_part_of_the_draws_makes_that_part_of_the_views():
    """As every process of several makes its own part."""
    random = torch.Generator().manual_seed(4)
    images = torch.randint(0, 256, (6, SIZE, SIZE), dtype=torch.uint8, generator=random)
    draws = draw(6, EVERYTHING, random, size=VIEW)
    whole = views(images, draws, size=VIEW)
    assert torch.equal(views(images[2:5], draws.part(2, 5), size=VIEW), whole[2:5])


def test_the_draws_of_a_batch_do_not_depend_on_the_images():
    """So a resumed run, on whatever device, sees the same views."""
    images = torch.zeros(5, SIZE, SIZE, dtype=torch.uint8)
    first, again = (draw(5, EVERYTHING, torch.Generator().manual_seed(7), size=VIEW) for _ in range(2))
    assert torch.equal(first.affine, again.affine)
    assert torch.equal(views(images, first, size=VIEW), views(images, again, size=VIEW))


@pytest.mark.parametrize("mirrored", [False, True])
def test_one_resampling_is_torchvisions_affine_then_crop_then_flip(mirrored):
    """On a smooth picture, where resampling twice loses little; angles, signs, order and units are torchvision's."""
    size, angle, shear, scale, move = 96, 12.0, -20.0, 1.2, (6, -3)
    top, left, height, width = 14, 22, 56, 48
    line = torch.linspace(0, 3, size)
    picture = 0.5 + 0.25 * torch.sin(2 * line)[None, :] + 0.25 * torch.cos(3 * line)[:, None] * line[None, :] / 3
    turned = slow.affine(
        picture[None], angle=angle, translate=list(move), scale=scale, shear=[shear, 0.0],
        interpolation=InterpolationMode.BILINEAR,
    )  # fmt: skip
    theirs = slow.resized_crop(turned, top, left, height, width, [size, size], antialias=False)[0]
    theirs = theirs.flip(1) if mirrored else theirs
    matrix = affine(
        angle=torch.tensor([angle]).deg2rad(),
        shear=torch.tensor([shear]).deg2rad(),
        scale=torch.tensor([scale]),
        translation=torch.tensor([move]) / size,
        crop=torch.tensor([[width, height]]) / size,
        centre=torch.tensor([[left + width / 2, top + height / 2]]) / size - 0.5,
        mirrored=torch.tensor([mirrored]),
    )
    grid = torch.nn.functional.affine_grid(matrix, [1, 1, size, size], align_corners=False)
    ours = torch.nn.functional.grid_sample(picture[None, None], grid, align_corners=False)[0, 0]
    inside = theirs > 0
    assert inside.float().mean() > 0.8
    assert (ours - theirs)[inside].abs().quantile(0.98) < 0.01


def test_the_ranges_are_reached_and_kept():
    """Ten thousand draws fill each range of the supplement's table 1 and never leave it; each number of gauges is
    equally likely.
    """
    recipe = AugmentRecipe(crop_area=(0.08, 1.0))
    d = draw(10_000, recipe, torch.Generator().manual_seed(0), size=2)
    for values, (low, high) in ((d.brightness, recipe.brightness), (d.contrast, recipe.contrast)):
        assert low <= values.min() < low + 0.02
        assert high - 0.02 < values.max() <= high
    shares = torch.bincount((d.gauge_intensity > 0).sum(dim=1), minlength=3) / 10_000
    assert torch.allclose(shares, torch.full((3,), 1 / 3), atol=0.02)
    drawn = d.gauge_intensity[d.gauge_intensity > 0]
    assert drawn.min() >= 0.75
    assert drawn.max() <= 1.0
    shown = torch.linalg.det(d.affine[:, :, :2]).abs()  # the share of the image that a view shows: crop area / scale^2
    assert shown.min() >= 0.08 / recipe.scale[1] ** 2 - 1e-4
    assert shown.max() <= 1.0 / recipe.scale[0] ** 2 + 1e-4


def test_a_crop_of_the_whole_image_stays_where_it_is():
    """There is no room to move it, so only translation moves the view."""
    recipe = AugmentRecipe(crop_area=(1.0, 1.0), aspect=(1.0, 1.0), translation=0.0)
    assert draw(50, recipe, torch.Generator().manual_seed(0), size=2).affine[:, :, 2].abs().max() < 1e-6


def test_nothing_is_blurred_beyond_the_one_resampling():
    """A view without geometry of a larger image is its plain bilinear reduction."""
    still = AugmentRecipe(
        rotation=0, any_rotation=0, mirror=0, scale=(1, 1), shear=0, translation=0, crop_area=(1, 1), aspect=(1, 1),
        brightness=(1, 1), contrast=(1, 1), gamma=(1, 1), noise=0, invert=0, gauges=0, collimation=0,
    )  # fmt: skip
    random = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (3, SIZE, SIZE), dtype=torch.uint8, generator=random)
    plain = torch.nn.functional.interpolate(images[:, None] / 255.0, size=VIEW, mode="bilinear", align_corners=False)
    assert torch.allclose(augment(images, still, random, size=VIEW), plain, atol=1e-5)
