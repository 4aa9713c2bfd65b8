"""The population: skeletons with a choice of arms and ages, and scenes drawn from them."""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from training.simulate.atlas import load_skeleton
from training.simulate.body import Body
from training.simulate.camera import Camera
from training.simulate.compose import bone_depth, contrast, trabeculated, visible
from training.simulate.flesh import union_length
from training.simulate.fracture import broken
from training.simulate.growth import INFANT, growing, ossified
from training.simulate.matter import matter, scaled
from training.simulate.recipe import SimulateRecipe
from training.simulate.regions import VIEWS
from training.simulate.regions.out_of_domain import choose_kind
from training.simulate.regions.spine import UPWARD
from training.simulate.scene import Anchor, Map, Scene, Vertebra
from training.simulate.shot import Shot, View, aim, choose
from training.simulate.skeleton import Skeleton
from training.simulate.strangers import PICTURES, stranger
from training.simulate.subject import Subject, draw_subject
from training.simulate.wear import narrowed, wearing, worn

INFANTS_SIZE = 0.42
"""An infant's stature against an adult's: bodies are as large as the atlas here, but rays meet less in the small."""
BODY_WIDTH = {"c": 0.018, "t": 0.032, "l": 0.05}
"""Width in m at most of the vertebrae's bodies: in the neck, other processes lie as far in front as these do."""


@dataclass(frozen=True, kw_only=True, eq=False)
class People:
    """Skeletons of adults, of children and of infants, each with the atlas's first and second arm."""

    adults: tuple[Skeleton, ...]
    children: tuple[Skeleton, ...]
    infants: tuple[Skeleton, ...]

    @classmethod
    def of(cls, atlas: Path) -> "People":
        """From the atlas's folder; takes seconds.

        Raises:
            TrainingError: the folder is not the atlas.
        """
        adults = tuple(load_skeleton(atlas, second_arm=second) for second in (False, True))
        return cls(
            adults=adults,
            children=tuple(growing(skeleton) for skeleton in adults),
            infants=tuple(growing(skeleton, infant=True) for skeleton in adults),
        )

    def scene(self, region: str, random: np.random.Generator, recipe: SimulateRecipe, size: int) -> Scene:
        """Invent a subject and a view of the region, and follow the rays; `size`: pixels of the longer side. `ood` is
        any kind of what lies out of the domain.
        """
        if region == "ood":
            region = choose_kind(random)
        if region in PICTURES:
            return stranger(region, random, size)
        view = choose(_possible(VIEWS[region], recipe), random)
        skeleton, subject = self._somebody(random, recipe, view)
        shot = view.draw(skeleton, subject, random)
        names = skeleton.named(*shot.bones)
        body = Body.posed(skeleton, subject, shot.pose, [*names, *shot.show])
        joints = worn(skeleton, subject, names, random)
        if joints:
            shot = replace(shot, pose=narrowed(shot.pose, body, joints, random), more=(*shot.more, wearing(joints)))
            body = Body.posed(skeleton, subject, shot.pose, [*names, *shot.show])
        camera = aim(shot, body, random, size=size, pose_strength=recipe.pose, to_the_part=recipe.to_the_part)
        anatomy = camera.axes @ body.where[shot.frame].turn if shot.frame else camera.axes
        if random.random() < recipe.fractures:
            body = broken(body, shot, random)
            names = body.skeleton.named(*shot.bones)
        scene = _exposed(body, names, camera, region, shot, random)
        return replace(scene, shown=tuple(shot.show), anatomy=anatomy)

    def _somebody(self, random: np.random.Generator, recipe: SimulateRecipe, view: View) -> tuple[Skeleton, Subject]:
        many = recipe.shapes == "many"
        child = bool(random.random() < recipe.children * view.children)
        infant = child and bool(random.random() < view.infants)
        arm = int(random.integers(2)) if many else 0
        skeleton = (self.infants if infant else self.children if child else self.adults)[arm]
        subject = draw_subject(skeleton, random, child=child, infant=infant, many=many)
        if child:
            subject = replace(subject, sizes=ossified(skeleton, subject.age, subject.sizes))
        return skeleton, subject


def _possible(views: tuple[View, ...], recipe: SimulateRecipe) -> tuple[View, ...]:
    """Without children no views that infants alone have: their poses would squeeze an adult into an infant's shape."""
    return views if recipe.children > 0.0 else tuple(view for view in views if view.infants < 1.0)


def _exposed(
    body: Body, names: list[str], camera: Camera, region: str, shot: Shot, random: np.random.Generator
) -> Scene:
    """Add up what the rays meet."""
    subject = body.subject
    flesh = _flesh(body, visible(body, names, camera, margin=0.5), camera)
    stuff = matter(_energy(flesh, random), spongy_share=float(random.uniform(0.1, 0.35)), mineral=subject.mineral)
    if subject.age <= INFANT:
        stuff = scaled(stuff, INFANTS_SIZE)
    seen = visible(body, names, camera)
    bone = trabeculated(bone_depth(body, seen, camera, stuff), camera, random)
    depth = flesh * np.float32(stuff.soft) + bone
    for add in shot.more:
        add(depth, body, camera, stuff, random)
    return Scene(
        depth=np.maximum(depth, 0.0),
        camera=camera,
        region=region,
        view=shot.view,
        age=subject.age,
        female=subject.female,
        tissue=stuff.soft,
        contrast=contrast(bone),
        anchors=_anchors(body, seen),
        vertebrae=_vertebrae(body, seen),
    )


def _energy(flesh: Map, random: np.random.Generator) -> float:
    """Effective energy in keV: thick parts are not exposed with soft beams. `flesh`: length of the rays in m."""
    thick = float(np.clip((np.percentile(flesh[::4, ::4], 90) - 0.12) / 0.15, 0.0, 1.0))
    return float(random.uniform(38.0 + 14.0 * thick, 65.0))


def _flesh(body: Body, names: list[str], camera: Camera) -> Map:
    """Length (H, W) in m of each ray in soft tissue, on a grid half as fine, and smoothed: skin runs smoothly over what
    the balls leave as ripples.
    """
    coarse = replace(camera, pitch=2 * camera.pitch, height=camera.height // 2, width=camera.width // 2)
    length = union_length(coarse, body.flesh(names))
    smooth = cv2.GaussianBlur(length, (0, 0), 0.011 * coarse.height)
    return np.asarray(cv2.resize(smooth, (camera.width, camera.height), interpolation=cv2.INTER_LINEAR), np.float32)


def _anchors(body: Body, names: list[str]) -> tuple[Anchor, ...]:
    """The long bones in the picture."""
    found = []
    for name in names:
        bone = body.skeleton[name]
        if bone.kind == "long":
            found.append(Anchor(bone=name, start=body.along(name, 0.0), end=body.along(name, 1.0), radius=bone.girth))
    return tuple(found)


def _vertebrae(body: Body, names: list[str]) -> tuple[Vertebra, ...]:
    """The vertebrae in the picture, from below; their bodies are the front parts of their surfaces."""
    found = []
    for name in UPWARD:
        if name in names:
            points = body.skeleton[name].mesh.vertices
            front = points[:, 1] > points[:, 1].max() - 0.35 * np.ptp(points[:, 1])
            outer = body.warped[name][0][front]
            axes = np.stack([body.direction(name, axis) for axis in np.eye(3)])
            axes /= np.linalg.norm(axes, axis=1, keepdims=True)
            centre = np.asarray(body.where[name](outer).mean(axis=0), np.float64)
            width = min(BODY_WIDTH[name[0]], float(np.ptp(outer[:, 0])))
            found.append(Vertebra(name=name, centre=centre, axes=axes, width=width))
    return tuple(found)
