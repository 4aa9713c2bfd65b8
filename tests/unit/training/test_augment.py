"""Augmentation keeps the image's kind, follows its generator, and does what its ranges say."""

import pytest
import torch

from training.augment import augment
from training.recipe import AugmentRecipe

SIZE = 33
STILL = AugmentRecipe(
    rotation=0.0,
    any_rotation=0.0,
    mirror=0.0,
    scale=(1.0, 1.0),
    shear=0.0,
    translation=0.0,
    crop_area=(1.0, 1.0),
    aspect=(1.0, 1.0),
    brightness=(1.0, 1.0),
    contrast=(1.0, 1.0),
    gamma=(1.0, 1.0),
    noise=0.0,
    invert=0.0,
    gauges=0,
    collimation=0.0,
)


def changed(**values):
    return AugmentRecipe(**{**{name: getattr(STILL, name) for name in STILL.__dataclass_fields__}, **values})


def images(n=4):
    return torch.randint(0, 256, (n, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


def test_a_recipe_of_no_change_changes_nothing():
    """The geometry's identity is exact, so nothing is blurred by the way."""
    x = images()
    assert torch.allclose(augment(x, STILL, seeded())[:, 0], x / 255.0, atol=1e-5)


def test_every_view_is_a_grey_image_in_range_and_its_seed_makes_it_again():
    """Values stay in [0, 1]; the same seed gives the same views, another one others."""
    x = images(64)
    first, again, other = (augment(x, AugmentRecipe(), seeded(s)) for s in (1, 1, 2))
    assert first.shape == (64, 1, SIZE, SIZE)
    assert first.dtype == torch.float32
    assert first.min() >= 0.0
    assert first.max() <= 1.0
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_mirroring_is_exactly_the_mirror_image():
    """With probability 1, left and right change places."""
    x = images()
    got = augment(x, changed(mirror=1.0), seeded())[:, 0]
    assert torch.allclose(got, (x / 255.0).flip(2), atol=1e-5)


def test_inversion_is_exactly_the_negative():
    """With probability 1, bright and dark change places."""
    x = images()
    assert torch.allclose(augment(x, changed(invert=1.0), seeded())[:, 0], 1.0 - x / 255.0, atol=1e-5)


def test_rotation_keeps_the_centre_and_the_distances():
    """A dot stays at its distance from the centre, and the small angles stay small."""
    x = torch.zeros(50, SIZE, SIZE, dtype=torch.uint8)
    x[:, 16, 26] = 255
    got = augment(x, changed(rotation=20.0), seeded())[:, 0]
    line = torch.arange(SIZE) - 16.0
    mass = got.sum(dim=(1, 2))
    down = (got * line[:, None]).sum(dim=(1, 2)) / mass
    across = (got * line[None, :]).sum(dim=(1, 2)) / mass
    assert torch.allclose((down**2 + across**2).sqrt(), torch.tensor(10.0), atol=0.3)
    angles = torch.atan2(down, across).rad2deg()
    assert angles.abs().max() <= 22.0
    assert angles.min() < -8.0
    assert angles.max() > 8.0


def test_scale_above_one_enlarges():
    """A disc's area grows by the square of the scale."""
    line = torch.arange(SIZE) - 16.0
    disc = ((line[:, None] ** 2 + line[None, :] ** 2) < 25).to(torch.uint8)[None] * 255
    before, after = disc.float().sum() / 255, augment(disc, changed(scale=(2.0, 2.0)), seeded()).sum()
    assert after / before == pytest.approx(4.0, rel=0.1)


def test_gauges_are_drawn_bright_and_in_every_number():
    """Zero, one and two gauges each occur; a drawn one is at least as bright as asked."""
    x = torch.zeros(300, SIZE, SIZE, dtype=torch.uint8)
    recipe = changed(gauges=2, gauge_radius=(0.06, 0.09), gauge_intensity=(0.75, 1.0))
    brightest = augment(x, recipe, seeded()).amax(dim=(1, 2, 3))
    without = (brightest == 0).float().mean()
    assert 0.25 < without < 0.5  # one third, and those whose only gauge fell outside
    assert (brightest[brightest > 0] > 0.5).float().mean() > 0.95


def test_collimation_paints_borders_but_leaves_the_middle():
    """The middle of the image is never covered."""
    x = torch.full((100, SIZE, SIZE), 128, dtype=torch.uint8)
    got = augment(x, changed(collimation=1.0), seeded())[:, 0]
    assert torch.allclose(got[:, 12:21, 12:21], torch.tensor(128 / 255), atol=1e-5)
    painted = (got - 128 / 255).abs() > 0.1
    assert painted.flatten(1).any(dim=1).float().mean() > 0.9
