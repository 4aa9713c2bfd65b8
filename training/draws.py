"""The random half of the augmentation: small numbers per image, drawn on the CPU, from which `augment` makes views.

Drawn for a whole batch at once, so that a seed means the same on every device and for every number of processes.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from training.recipe import AugmentRecipe, Range

BALL, DISC, RING = 0, 1, 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Draws:
    """What happens to each of N images. float32 unless said; lengths are fractions of the view's side, angles radians.

    affine: (N, 2, 3) from the view's coordinates in [-1, 1] to the image's.
    contrast, brightness, gamma: (N,) factors and exponent.
    grain: (N,) standard deviation; grain_at: (N, 2) int64, where each finds its own grain in grain_field (2T, 2T).
    inverted: (N,) bool.
    gauge_kind: (N, G) int64, `BALL`, `DISC` or `RING`; gauge_place: (N, G, 2), down and across from the middle;
    gauge_radius: (N, G); gauge_intensity: (N, G), 0 where none is drawn.
    bordered, border_white: (N,) bool; border_angle: (N,); border: (N, 4), distances of the top, bottom, left and right
    edge of what stays visible from the middle.
    """

    affine: Tensor
    contrast: Tensor
    brightness: Tensor
    gamma: Tensor
    grain: Tensor
    grain_at: Tensor
    grain_field: Tensor
    inverted: Tensor
    gauge_kind: Tensor
    gauge_place: Tensor
    gauge_radius: Tensor
    gauge_intensity: Tensor
    bordered: Tensor
    border_white: Tensor
    border_angle: Tensor
    border: Tensor

    def part(self, start: int, stop: int) -> Self:
        """The draws of images `start` to `stop`, the last not included."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return dataclasses.replace(
            self, **{name: value if name == "grain_field" else value[start:stop] for name, value in values.items()}
        )


def draw(n: int, recipe: AugmentRecipe, random: torch.Generator, *, size: int) -> Draws:
    """Draw for `n` views of side `size`; `random` is a CPU generator."""

    def flat(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(n, *shape, generator=random) * (high - low) + low

    def chance(probability: float) -> Tensor:
        return torch.rand(n, generator=random) < probability

    def log_flat(limits: Range) -> Tensor:
        return flat(math.log(limits[0]), math.log(limits[1])).exp()

    count, gauges = flat(0.0, recipe.gauges + 1.0).floor(), recipe.gauges
    drawn = torch.arange(gauges)[None] < count[:, None]
    angle = torch.where(
        chance(recipe.any_rotation), flat(-180.0, 180.0), flat(-recipe.rotation, recipe.rotation)
    ).deg2rad()
    area, ratio = flat(*recipe.crop_area), log_flat(recipe.aspect)
    crop = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1)
    grainy = recipe.noise > 0
    return Draws(
        affine=affine(
            angle=angle,
            shear=flat(-recipe.shear, recipe.shear).deg2rad(),
            scale=flat(*recipe.scale),
            translation=flat(-recipe.translation, recipe.translation, 2),
            crop=crop,
            centre=(1.0 - crop).clamp(min=0.0) * flat(-0.5, 0.5, 2),
            mirrored=chance(recipe.mirror),
        ),
        contrast=flat(*recipe.contrast),
        brightness=flat(*recipe.brightness),
        gamma=log_flat(recipe.gamma),
        grain=flat(0.0, recipe.noise),
        grain_at=torch.randint(size + 1, (n, 2), generator=random),
        grain_field=torch.randn(2 * size, 2 * size, generator=random) if grainy else torch.zeros(0, 0),
        inverted=chance(recipe.invert),
        gauge_kind=torch.randint(3, (n, gauges), generator=random),
        gauge_place=flat(-0.5, 0.5, gauges, 2),
        gauge_radius=flat(*recipe.gauge_radius, gauges) * flat(*recipe.gauge_scale, gauges),
        gauge_intensity=flat(*recipe.gauge_intensity, gauges) * drawn,
        bordered=chance(recipe.collimation),
        border_white=chance(0.2),
        border_angle=flat(-8.0, 8.0).deg2rad(),
        border=flat(0.3, 0.55, 4),
    )


def affine(
    *,
    angle: Tensor,
    shear: Tensor,
    scale: Tensor,
    translation: Tensor,
    crop: Tensor,
    centre: Tensor,
    mirrored: Tensor,
) -> Tensor:
    """One matrix for an affine transform, then a crop that fills the view, then mirroring left and right.

    The transform is torchvision's: a point of the image, seen from its middle, is sheared along x, scaled, turned and
    moved. The matrix runs backwards, as sampling needs it.

    Args:
        angle, shear: (N,) radians.
        scale: (N,), above 1 enlarges.
        translation: (N, 2), x and y, fractions of the side.
        crop: (N, 2), width and height of the crop, fractions of the side.
        centre: (N, 2), x and y of its middle, from the image's middle, fractions of the side.
        mirrored: (N,) bool.

    Returns:
        (N, 2, 3): from the view's coordinates in [-1, 1] to the image's.
    """
    cos, sin, tan = angle.cos(), angle.sin(), shear.tan()
    # (R [[1, -tan], [0, 1]] s)^-1 = [[1, tan], [0, 1]] R^T / s
    back = torch.stack([cos - tan * sin, sin + tan * cos, -sin, cos], dim=1).view(-1, 2, 2) / scale[:, None, None]
    sides = crop * torch.stack([1.0 - 2.0 * mirrored.float(), torch.ones_like(scale)], dim=1)
    middle = back @ (2.0 * (centre - translation))[:, :, None]
    return torch.cat([back * sides[:, None, :], middle], dim=2)
