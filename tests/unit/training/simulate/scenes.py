"""Subjects that a formula describes: balls of bone in a slab of tissue, as many as the region's number."""

import numpy as np

from dicom_node.model.card import LABELS
from training.simulate.camera import Camera
from training.simulate.project import add_ellipsoids
from training.simulate.recipe import SimulateRecipe
from training.simulate.scene import Anchor, Scene

FIELD = 0.16
"""m that a scene shows."""


def draw_balls(region: str, random: np.random.Generator, recipe: SimulateRecipe, size: int) -> Scene:
    """A `DrawScene`: balls of 60/m in 4 cm of tissue of 20/m, with air at two sides; "ood" has no ball."""
    del recipe
    camera = Camera.looking((0, 0, 0), (0, -1, 0), (0, 0, 1), field=FIELD, size=size)
    depth = np.zeros((size, size), np.float32)
    depth[:, size // 8 : size - size // 8] = 0.8
    count = 0 if region == "ood" else 1 + LABELS.index(region)
    centres = random.uniform(-0.05, 0.05, (count, 3))
    if count:
        add_ellipsoids(depth, camera, centres, random.uniform(0.006, 0.02, count)[:, None] * np.ones(3), 60.0)
    bone = Anchor(bone="rod", start=np.array([0.0, 0, -0.06]), end=np.array([0.0, 0, 0.06]), radius=0.01)
    return Scene(
        depth=depth,
        camera=camera,
        region="ood:nothing" if region == "ood" else region,
        view="AP",
        age=40.0,
        female=True,
        tissue=20.0,
        anchors=(bone,),
        anatomy=None if region == "ood" else camera.axes,
    )
