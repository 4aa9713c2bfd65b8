"""Augmentation of whole batches on the device: one affine resampling per image, then tone, then what lies on top.

Nothing here blurs (Langer et al. 2024 leave the blur out). All randomness comes from the generator that the caller
gives.
"""

import math

import torch
from torch import Tensor

from training.recipe import AugmentRecipe, Range


def augment(images: Tensor, recipe: AugmentRecipe, random: torch.Generator) -> Tensor:
    """Return one random view of each image.

    Args:
        images: (N, S, S) uint8, 255 = 1.0, on any device.
        recipe: the ranges.
        random: a CPU generator, whatever the device, so that a seed means the same everywhere.

    Returns:
        (N, 1, S, S) float32 in [0, 1], on the images' device.
    """
    n, size = images.shape[0], images.shape[-1]
    draw = _Draw(n, random, images.device)
    x = images[:, None].float() / 255.0
    grid = torch.nn.functional.affine_grid(_affine(draw, recipe), [n, 1, size, size], align_corners=False)
    x = torch.nn.functional.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    x = _tone(x, draw, recipe)
    x = _gauges(x, draw, recipe)
    return _collimation(x, draw, recipe)


class _Draw:
    """Random numbers for n images, shape (n, 1, 1, 1) unless flat."""

    def __init__(self, n: int, random: torch.Generator, device: torch.device) -> None:
        self.n, self.random, self.device = n, random, device

    def flat(self, low: float, high: float) -> Tensor:
        return (torch.rand(self.n, generator=self.random) * (high - low) + low).to(self.device)

    def uniform(self, low: float, high: float) -> Tensor:
        return self.flat(low, high)[:, None, None, None]

    def chance(self, probability: float) -> Tensor:
        return self.uniform(0.0, 1.0) < probability


def _log_uniform(draw: _Draw, limits: Range) -> Tensor:
    return draw.flat(math.log(limits[0]), math.log(limits[1])).exp()


def _affine(draw: _Draw, recipe: AugmentRecipe) -> Tensor:
    """(N, 2, 3): from the view's coordinates in [-1, 1] to the image's, all geometry in one."""
    small = draw.flat(-recipe.rotation, recipe.rotation)
    turned = draw.flat(0.0, 1.0) < recipe.any_rotation
    angle = torch.where(turned, draw.flat(-180.0, 180.0), small).deg2rad()
    mirror = torch.where(draw.flat(0.0, 1.0) < recipe.mirror, -1.0, 1.0)
    shear = draw.flat(-recipe.shear, recipe.shear).deg2rad().tan()
    crop = draw.flat(*recipe.crop_area).sqrt()
    zoom, aspect = _log_uniform(draw, recipe.scale), _log_uniform(draw, recipe.aspect).sqrt()
    width, height = crop * aspect / zoom, crop / aspect / zoom
    cos, sin = angle.cos(), angle.sin()
    # The crop's centre may lie anywhere where the crop, at scale 1, stays inside the image.
    room = (1.0 - crop).clamp(min=0.0)
    shift_x = 2.0 * draw.flat(-recipe.translation, recipe.translation) + room * draw.flat(-1.0, 1.0)
    shift_y = 2.0 * draw.flat(-recipe.translation, recipe.translation) + room * draw.flat(-1.0, 1.0)
    first = torch.stack([mirror * cos * width, mirror * (cos * shear - sin) * height, shift_x], dim=1)
    second = torch.stack([sin * width, (sin * shear + cos) * height, shift_y], dim=1)
    return torch.stack([first, second], dim=1)


def _tone(x: Tensor, draw: _Draw, recipe: AugmentRecipe) -> Tensor:
    """Contrast about the image's mean, brightness, gamma, grain and inversion; the result stays in [0, 1]."""
    mean = x.mean(dim=(2, 3), keepdim=True)
    x = ((x - mean) * draw.uniform(*recipe.contrast) + mean) * draw.uniform(*recipe.brightness)
    x = x.clamp(0.0, 1.0) ** _log_uniform(draw, recipe.gamma)[:, None, None, None]
    if recipe.noise > 0:
        grain = torch.randn(x.shape, generator=draw.random).to(x.device)
        x = (x + grain * draw.uniform(0.0, recipe.noise)).clamp(0.0, 1.0)
    return torch.where(draw.chance(recipe.invert), 1.0 - x, x)


def _axes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Pixel centres in [-0.5, 0.5], as (S, 1) down and (1, S) across."""
    size = x.shape[-1]
    line = (torch.arange(size, device=x.device) + 0.5) / size - 0.5
    return line[:, None], line[None, :]


def _gauges(x: Tensor, draw: _Draw, recipe: AugmentRecipe) -> Tensor:
    """Draw zero to `gauges` planning gauges (each number equally likely): rings, discs and balls at random places."""
    down, across = _axes(x)
    count = draw.uniform(0.0, recipe.gauges + 1.0).floor()
    for number in range(recipe.gauges):
        radius = draw.uniform(*recipe.gauge_radius)
        place_y, place_x = draw.uniform(-0.5, 0.5), draw.uniform(-0.5, 0.5)
        distance = torch.sqrt((down - place_y) ** 2 + (across - place_x) ** 2) / radius
        kind = draw.uniform(0.0, 3.0)
        ball = (1.0 - distance**2).clamp(min=0.0).sqrt()
        disc = (distance < 1.0).float()
        ring = disc * (distance > 0.75)
        shape = torch.where(kind < 1.0, ball, torch.where(kind < 2.0, disc, ring))
        shape = shape * draw.uniform(*recipe.gauge_intensity) * (count > number)
        x = torch.maximum(x, shape)
    return x


def _collimation(x: Tensor, draw: _Draw, recipe: AugmentRecipe) -> Tensor:
    """Paint what lies outside of a turned rectangle black, or sometimes white, as an uncleaned border would be."""
    down, across = _axes(x)
    angle = draw.uniform(-8.0, 8.0).deg2rad()
    turned_y = angle.cos() * down - angle.sin() * across
    turned_x = angle.sin() * down + angle.cos() * across
    inside = (turned_y > -draw.uniform(0.3, 0.55)) & (turned_y < draw.uniform(0.3, 0.55))
    inside = inside & (turned_x > -draw.uniform(0.3, 0.55)) & (turned_x < draw.uniform(0.3, 0.55))
    colour = draw.chance(0.2).float()
    return torch.where(draw.chance(recipe.collimation) & ~inside, colour, x)
