"""Augmentation of whole batches on the device: one affine resampling per image, then tone, then what lies on top.

Langer et al. 2024, section 3.2 and supplement, table 1; any rotation, mirroring, gamma, grain, inversion and borders
are ours. Nothing here blurs (the paper leaves the blur out). All chance is in `training.draws`; this half is exact.
"""

import math

import torch
from torch import Tensor

from training.draws import BALL, RING, Draws, draw
from training.recipe import AugmentRecipe

RING_HOLE = 0.75
"""The radius of a ring's hole, as a fraction of the ring's."""


def augment(images: Tensor, recipe: AugmentRecipe, random: torch.Generator, *, size: int | None = None) -> Tensor:
    """Return one random view of each image.

    Args:
        images: (N, S, S) uint8, 255 = 1.0, on any device.
        recipe: the ranges.
        random: a CPU generator, whatever the device, so that a seed means the same everywhere.
        size: T, the side of the views; S when absent.

    Returns:
        (N, 1, T, T) float32 in [0, 1], on the images' device.
    """
    size = size or images.shape[-1]
    return views(images, draw(len(images), recipe, random, size=size), size=size)


def views(images: Tensor, draws: Draws, *, size: int) -> Tensor:
    """The views that `draws` describes: images (N, S, S) uint8 -> (N, 1, size, size) float32 in [0, 1].

    Sampled bilinearly from the larger image, so a view of 128 px from 144 px is as sharp as the picture allows; outside
    of the image is black. What only some images get (grain, inversion, gauges, borders) is computed for those alone.
    """
    x = _sampled(images, draws, size)
    _tone(x, draws)
    _gauges(x, draws)
    _borders(x, draws)
    return x


def _sampled(images: Tensor, draws: Draws, size: int) -> Tensor:
    device, n = images.device, len(images)
    line = (torch.arange(size, device=device) * 2.0 + 1.0) / size - 1.0
    matrix = draws.affine.to(device)[:, :, :, None, None]
    grid = torch.empty(n, size, size, 2, device=device)
    for axis in range(2):  # separable: a column plus a row, which is cheaper than a matrix product for each pixel
        torch.add(
            matrix[:, axis, 0] * line[None, None, :], matrix[:, axis, 1] * line[None, :, None] + matrix[:, axis, 2],
            out=grid[..., axis],
        )  # fmt: skip
    source = images[:, None].float()
    x = torch.nn.functional.grid_sample(source, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return x.mul_(1.0 / 255.0)


def _tone(x: Tensor, draws: Draws) -> None:
    """Contrast about the view's mean, brightness, gamma, grain and inversion; the result stays in [0, 1]."""
    contrast, brightness, gamma = (_each(value, x) for value in (draws.contrast, draws.brightness, draws.gamma))
    offset = x.mean(dim=(2, 3), keepdim=True) * (1.0 - contrast) * brightness
    torch.addcmul(offset, x, contrast * brightness, out=x).clamp_(0.0, 1.0)
    if (draws.gamma != 1.0).any():
        x.pow_(gamma)
    if draws.grain_field.numel():
        size = x.shape[-1]
        patches = draws.grain_field.to(x.device).unfold(0, size, 1).unfold(1, size, 1)
        at = draws.grain_at.to(x.device)
        x.addcmul_(patches[at[:, 0], at[:, 1]][:, None], _each(draws.grain, x)).clamp_(0.0, 1.0)
    inverted = _numbers(draws.inverted, x)
    if len(inverted):
        x[inverted] = 1.0 - x[inverted]


def _gauges(x: Tensor, draws: Draws) -> None:
    """Planning gauges as they are seen: balls (bright in the middle), discs (even) and rings; the brighter value wins.

    Their few pixels are found on the CPU and laid on all images at once.
    """
    size = x.shape[-1]
    image, number = draws.gauge_intensity.nonzero(as_tuple=True)
    if not len(image):
        return
    place, radius, kind, intensity = (
        value[image, number]
        for value in (draws.gauge_place, draws.gauge_radius, draws.gauge_kind, draws.gauge_intensity)
    )
    reach = math.ceil(float(radius.max()) * size)
    pixels = ((place + 0.5) * size).floor().long()[:, :, None] + torch.arange(-reach, reach + 1)  # (K, 2, P)
    off = ((pixels + 0.5) / size - 0.5 - place[:, :, None]) / radius[:, None, None]
    squared = off[:, 0, :, None] ** 2 + off[:, 1, None, :] ** 2  # (K, P, P), 1 at the rim
    in_view = ((pixels >= 0) & (pixels < size)).float()
    drawn = (squared < 1.0) & (in_view[:, 0, :, None] * in_view[:, 1, None, :] > 0)
    kind = kind[:, None, None]
    drawn &= (kind != RING) | (squared > RING_HOLE**2)
    ball = (1.0 - squared).clamp(min=0.0).sqrt()
    value = torch.where(kind == BALL, ball, 1.0) * intensity[:, None, None]
    flat = (image[:, None, None] * size + pixels[:, 0, :, None]) * size + pixels[:, 1, None, :]
    x.view(-1).scatter_reduce_(0, flat[drawn].to(x.device), value[drawn].to(x.device), "amax")


def _borders(x: Tensor, draws: Draws) -> None:
    """Paint what lies outside of a turned rectangle black, or white, as an uncleaned border would be."""
    some = _numbers(draws.bordered, x)
    if not len(some):
        return
    down, across = _axes(x)
    angle, white = (
        value[draws.bordered, None, None].to(x.device) for value in (draws.border_angle, draws.border_white)
    )
    top, bottom, left, right = draws.border[draws.bordered, :, None, None].to(x.device).unbind(dim=1)
    turned_down = angle.cos() * down - angle.sin() * across
    turned_across = angle.sin() * down + angle.cos() * across
    inside = (turned_down > -top) & (turned_down < bottom) & (turned_across > -left) & (turned_across < right)
    x[some, 0] = torch.where(inside, x[some, 0], white.float())


def _each(values: Tensor, x: Tensor) -> Tensor:
    return values.to(x.device)[:, None, None, None]


def _numbers(chosen: Tensor, x: Tensor) -> Tensor:
    """The numbers of the images that are chosen; found on the CPU, so that a GPU need not be waited for."""
    return chosen.nonzero()[:, 0].to(x.device, non_blocking=True)


def _axes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Pixel centres in [-0.5, 0.5], as (S, 1) down and (1, S) across."""
    size = x.shape[-1]
    line = (torch.arange(size, device=x.device) + 0.5) / size - 0.5
    return line[:, None], line[None, :]
