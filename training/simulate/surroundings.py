"""What lies around and upon a picture, in the order in which it comes there in a hospital.

before the exposure   supports (table, foam)
at the exposure       the collimator's field
at the workstation    shutter, crop, markers, words, gauges, lines
afterwards            the film's edge, a frame, a photograph
"""

import numpy as np

from training.simulate import field as fields
from training.simulate import film, lettering, overlays
from training.simulate.field import Field
from training.simulate.noise import Map
from training.simulate.recipe import SurroundingsRecipe


def lay_supports(depth: Map, random: np.random.Generator, recipe: SurroundingsRecipe) -> Map:
    """The optical depth (H, W) with that of a table or a cushion added, for the recipe's share of pictures."""
    if random.random() >= recipe.table:
        return depth
    return depth + overlays.supports((depth.shape[0], depth.shape[1]), random)


def surround(
    picture: Map, random: np.random.Generator, recipe: SurroundingsRecipe, *, field: Field | None, pixel: float
) -> Map:
    """The finished picture (H', W') float32 in [0, 1], at most a frame's width larger than `picture`.

    `field` is what the exposure was collimated with, `pixel` the side of a pixel in m in the plane of the bone.
    """

    def happens(share: float) -> bool:
        return random.random() < share

    if field is not None and happens(recipe.shuttered):
        picture = fields.shutter(picture, field, random)
    if field is not None and happens(recipe.cropped):
        picture = fields.crop(picture, field, random)
    picture = np.array(picture, np.float32)  # from here on drawn upon
    for share, draw in (
        (recipe.side_marker, lettering.side_marker),
        (recipe.words, lettering.words),
        (recipe.label_box, lettering.label_box),
        (recipe.text_rows, lettering.text_rows),
        (recipe.arrows, overlays.arrows),
        (recipe.ruler, overlays.ruler),
        (recipe.grid_lines, overlays.grid_lines),
    ):
        if happens(share):
            draw(picture, random)
    if happens(recipe.gauges):
        overlays.gauges(picture, random, pixel)
    for share, change in (
        (recipe.film_edge, film.film_edge),
        (recipe.border, film.border),
        (recipe.photographed, film.photographed),
    ):
        if happens(share):
            picture = change(picture, random)
    return np.clip(picture, 0.0, 1.0)
