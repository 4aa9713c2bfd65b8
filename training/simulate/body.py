"""A posed body: what the rays meet."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from training.simulate.pose import Place, Pose, places
from training.simulate.skeleton import Skeleton
from training.simulate.subject import Subject

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Body:
    """A subject in a pose, as far as the chosen bones go; all in metres.

    `where`: each bone's place. `warped`: the surfaces and the centres of the flesh of those bones that were asked for,
    as the subject has them, still in the anatomical position.
    """

    skeleton: Skeleton
    subject: Subject
    where: dict[str, Place]
    warped: dict[str, tuple[Array, Array]] = field(default_factory=dict)

    @classmethod
    def posed(cls, skeleton: Skeleton, subject: Subject, pose: Pose, names: Iterable[str]) -> "Body":
        """The bones of `names`, grown and bent. The pose's own sizes multiply the subject's."""
        sizes = dict(subject.sizes)
        for name, (length, width) in pose.sizes.items():
            own = sizes.get(name, (1.0, 1.0))
            sizes[name] = (own[0] * length, own[1] * width)
        pose = Pose(turns=pose.turns, moves=pose.moves, sizes=sizes)
        return cls(skeleton=skeleton, subject=subject, where=places(skeleton, pose, names))

    def surfaces(self, names: Sequence[str]) -> list[tuple[Array, Array]]:
        """The outer and the inner surface of each bone's cortex: vertices (V, 3) each, with the mesh's faces."""
        self._warp(names)
        found = []
        for name in names:
            bone, place, outer = self.skeleton[name], self.where[name], self.warped[name][0]
            cortex = np.minimum(self.subject.cortex(bone), 0.8 * bone.depth)
            found.append((place(outer), place(outer - cortex[:, None] * bone.normals)))
        return found

    def along(self, name: str, share: float) -> Array:
        """The point (3,) on the bone's long axis, from its near end (0) to its far end (1)."""
        bone = self.skeleton[name]
        offset = bone.low + share * bone.length - bone.middle @ bone.axes[0]
        return np.asarray(
            self.where[name](self.subject.warped((bone.middle + offset * bone.axes[0])[None]))[0], np.float64
        )

    def between(self, name: str, first: float, last: float) -> Array:
        """The bone's vertices (N, 3) between two shares of its length."""
        bone = self.skeleton[name]
        low, high = bone.low + first * bone.length, bone.low + last * bone.length
        self._warp([name])
        chosen = self.warped[name][0][(bone.along >= low) & (bone.along <= high)]
        if len(chosen) == 0:
            return np.stack([self.along(name, first), self.along(name, last)])
        return self.where[name](chosen)

    def middles(self, names: Sequence[str]) -> tuple[Array, Array]:
        """Balls that hold the bones: centres (N, 3) and radii (N,)."""
        bones = [self.skeleton[name] for name in names]
        centres = np.stack([self.where[bone.name](bone.middle) for bone in bones])
        return centres, np.array([bone.reach * 1.15 for bone in bones])

    def direction(self, name: str, axis: npt.ArrayLike) -> Array:
        """A direction (3,) of the atlas, as the bone has turned it."""
        turned: Array = self.where[name].turn @ np.asarray(axis, np.float64)
        return turned

    def flesh(self, names: Sequence[str]) -> Array:
        """Balls of soft tissue around the bones: centre and radius (B, 4)."""
        self._warp(names)
        found = []
        for name in names:
            bone = self.skeleton[name]
            if len(bone.flesh):
                radius = bone.flesh[:, 3] * self.subject.fleshiness(bone)
                found.append(np.c_[self.where[name](self.warped[name][1]), radius])
        return np.concatenate(found) if found else np.zeros((0, 4))

    def _warp(self, names: Iterable[str]) -> None:
        """Deform what is not deformed yet, all in one go: a call for each bone would cost more than the work."""
        bones = [self.skeleton[name] for name in names if name not in self.warped]
        if not bones:
            return
        parts = [points for bone in bones for points in (bone.mesh.vertices, bone.flesh[:, :3])]
        whole = self.subject.warped(np.concatenate(parts).astype(np.float64))
        pieces = np.split(whole, np.cumsum([len(part) for part in parts])[:-1])
        for bone, outer, balls in zip(bones, pieces[::2], pieces[1::2], strict=True):
            self.warped[bone.name] = outer, balls
