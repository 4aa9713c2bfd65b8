"""One scene's way to a finished picture: hardware, exposure, tone, surroundings."""

from dataclasses import replace

import numpy as np

from training.simulate.detector import draw_exposure, expose
from training.simulate.equip import equipped
from training.simulate.field import draw_field
from training.simulate.film import two_views
from training.simulate.noise import Map
from training.simulate.recipe import SimulateRecipe
from training.simulate.scene import DrawScene, Scene
from training.simulate.surroundings import lay_supports, surround
from training.simulate.tone import compressed, render_tone


def take(scene: Scene, random: np.random.Generator, recipe: SimulateRecipe) -> Map:
    """Return the scene's picture (H, W) float32 in [0, 1], bone bright but for the inverted ones."""
    around = recipe.surroundings
    pixel = pixel_in_the_body(scene)
    depth = lay_supports(equipped(scene, random, recipe, pixel), random, around)
    field = draw_field((depth.shape[0], depth.shape[1]), random, around)
    opened = None if field is None else field.open
    signal = expose(depth, draw_exposure(random, recipe.detector), random, opened, contrast=scene.contrast)
    toned = render_tone(signal, random, recipe.tone, opened)
    framed = surround(toned, random, around, field=field, pixel=pixel)
    return compressed(framed, random, recipe.tone)


def pixel_in_the_body(scene: Scene) -> float:
    """The side of a pixel in m in the plane of the bones that the scene tells, or 10 cm before the detector."""
    camera = scene.camera
    middles = [(anchor.start + anchor.end) / 2.0 for anchor in scene.anchors]
    place = np.mean(middles, axis=0) if middles else camera.detector - 0.1 * camera.forward
    return camera.pitch / camera.magnification(place)


def picture_of(
    region: str, draw_scene: DrawScene, random: np.random.Generator, recipe: SimulateRecipe
) -> tuple[Map, Scene]:
    """Draw a scene of `region` and take its picture; for the recipe's share, two views of the region on one sheet."""
    scene = draw_scene(region, random, recipe, recipe.size)
    picture = take(scene, random, recipe)
    if random.random() < recipe.surroundings.two_views and not scene.region.startswith("ood:"):
        beside = draw_scene(region, random, recipe, recipe.size)
        picture, enlarged = two_views(picture, take(beside, random, recipe), random)
        scene = replace(scene, beside=beside, enlarged=enlarged)
    return picture, scene
