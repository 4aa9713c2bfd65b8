"""The skeleton out of the atlas's files and our tables: which mesh is which bone, its joint, its axes, its flesh."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.errors import TrainingError
from training.simulate.cut import split
from training.simulate.fineness import evenly_fine
from training.simulate.mesh import Mesh, capped, components, half_thickness, read_stl, vertex_normals
from training.simulate.skeleton import BALLS, Array, Bone, Skeleton, mirrored
from training.simulate.tables import rows

HIGHPOLY = "human_highpoly.stl"
BESIDE = ("radius", "fibula", "mandible")
RIBS = 2.5
"""How much coarser than other bones of their length ribs may be, being thin."""
HEAD = ("skull", "mandible")
NEAR = 0.012
"""A bone of the table is the atlas's component whose centre lies within this distance, in m."""


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A row of terms/bones.csv."""

    name: str
    centre: tuple[float, float, float]
    parent: str
    kind: str
    flesh: tuple[float, float]
    aside: tuple[float, float, float]
    """By how much the flesh lies behind, before or below the bone, in m: the calf, the sole."""

    @property
    def paired(self) -> bool:
        return abs(self.centre[0]) > 0.01


def load_skeleton(atlas: Path, *, second_arm: bool = False) -> Skeleton:
    """The atlas folder's whole skeleton, or the same with the atlas's other arm and hand on both sides.

    Raises:
        TrainingError: the folder lacks a file, or the mesh is not the one that the table of bones describes.
    """
    found = components(read_stl(atlas / HIGHPOLY))
    centres = np.array([each.vertices.mean(axis=0) for each in found])
    entries = _entries()
    meshes = {}
    for entry in entries:
        distance = np.linalg.norm(centres - np.array(entry.centre), axis=1)
        if distance.min() > NEAR:
            raise TrainingError(
                f"{atlas / HIGHPOLY} has no {entry.name} where this version expects it: "
                "use the atlas of MyoHub/myo_sim at commit 2cef885."
            )
        meshes[entry.name] = found[int(distance.argmin())]
    if second_arm:
        meshes |= _second_arm(atlas, meshes)
    meshes = {name: evenly_fine(mesh, coarse=RIBS if name.startswith("rib") else 1.0) for name, mesh in meshes.items()}
    paired = {entry.name for entry in entries if entry.paired}
    bones: dict[str, Bone] = {}
    for entry in _parents_first(entries):
        one = _bone(entry, meshes)
        for bone in _both_sides(one, paired) if entry.paired else [one]:
            bones |= {each.name: each for each in (_without_cartilage(bone) if bone.name == "sternum" else [bone])}
    return Skeleton(bones=bones)


def _entries() -> list[_Entry]:
    return [
        _Entry(
            name=line["name"],
            centre=(float(line["x"]) / 100, float(line["y"]) / 100, float(line["z"]) / 100),
            parent=line["parent"],
            kind=line["kind"],
            flesh=(float(line["flesh_near"]) / 1000, float(line["flesh_far"]) / 1000),
            aside=(0.0, float(line["flesh_y"]) / 1000, float(line["flesh_z"]) / 1000),
        )
        for line in rows("bones")
    ]


def _parents_first(entries: list[_Entry]) -> list[_Entry]:
    ordered: list[_Entry] = []
    names = {""}
    while len(ordered) < len(entries):
        ready = [entry for entry in entries if entry.parent in names and entry.name not in names]
        ordered += ready
        names |= {entry.name for entry in ready}
    return ordered


def _second_arm(atlas: Path, first: Mapping[str, Mesh]) -> dict[str, Mesh]:
    """The bones arm_r_* of the atlas, turned into our axes (x lateral, y anterior, z up).

    There, humerus and forearm each have an origin of their own: they are hung where the `first` arm's tops are.
    """
    fingers = {
        f"{ours}{number}": f"{number}{theirs}"
        for number in range(2, 6)
        for ours, theirs in (("proximal", "proxph"), ("middle", "midph"), ("distal", "distph"))
    }
    carpus = ("scaphoid", "lunate", "triquetrum", "pisiform", "trapezium", "trapezoid", "capitate", "hamate")
    names = {
        **{name: name for name in ("humerus", "ulna", "radius", *carpus)},
        **{f"metacarpal{number}": f"{number}mc" for number in range(1, 6)},
        "proximal1": "thumbprox",
        "distal1": "thumbdist",
        **fingers,
    }
    meshes = {ours: capped(read_stl(atlas / f"arm_r_{theirs}.stl")) for ours, theirs in names.items()}
    turned = {name: mesh.vertices[:, [2, 0, 1]] for name, mesh in meshes.items()}
    shifts = {name: _top(first[name].vertices) - _top(turned[name]) for name in ("humerus", "ulna")}
    return {
        name: Mesh(
            vertices=(turned[name] + shifts["humerus" if name == "humerus" else "ulna"]).astype(np.float32),
            faces=mesh.faces,
        )
        for name, mesh in meshes.items()
    }


def _top(vertices: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    centre: npt.NDArray[np.float32] = vertices[vertices[:, 2] > vertices[:, 2].max() - 0.03].mean(axis=0)
    return centre


def _bone(entry: _Entry, meshes: Mapping[str, Mesh]) -> Bone:
    mesh = meshes[entry.name]
    centre = mesh.vertices.mean(axis=0).astype(np.float64)
    joint = _joint(entry, mesh, meshes[entry.parent]) if entry.parent else centre
    axes = _axes(mesh, joint)
    return Bone(
        name=entry.name,
        mesh=mesh,
        normals=vertex_normals(mesh).astype(np.float64),
        depth=half_thickness(mesh).astype(np.float64),
        parent=entry.parent or None,
        joint=joint,
        anchor=joint if entry.kind in ("long", "rib") else centre,
        axes=axes,
        flesh=_flesh(mesh, axes, entry),
        kind=entry.kind,
    )


def _without_cartilage(sternum: Bone) -> list[Bone]:
    """The atlas's sternum is one piece with the ribs' cartilage, which a radiograph hardly shows."""
    pieces, rest = {}, sternum.mesh
    for side, out in (("r", 1.0), ("l", -1.0)):
        pieces[side], rest = split(rest, (out * 0.027, 0.0, 0.0), (out, 0.0, 0.0))
    return [
        _reshaped(sternum, rest),
        *(
            replace(_reshaped(sternum, mesh), name=f"cartilage_{side}", parent="sternum", kind="cartilage")
            for side, mesh in pieces.items()
        ),
    ]


def _reshaped(bone: Bone, mesh: Mesh) -> Bone:
    normals, depth = vertex_normals(mesh).astype(np.float64), half_thickness(mesh).astype(np.float64)
    return replace(bone, mesh=mesh, normals=normals, depth=depth)


def _joint(entry: _Entry, mesh: Mesh, parent: Mesh) -> Array:
    """Between the surfaces where they are closest.

    But the centre of the head where the joint is a ball and socket, and the upper end of a bone that lies beside its
    parent, to which it is close at both ends.
    """
    from scipy.spatial import cKDTree

    if entry.name in BESIDE:
        return _top(mesh.vertices).astype(np.float64)
    own, other = mesh.vertices.astype(np.float64), parent.vertices.astype(np.float64)
    distance, nearest = cKDTree(other).query(own)
    if entry.name in BALLS:
        return _sphere_centre(own[distance < np.quantile(distance, 0.1)])
    close = distance < np.quantile(distance, 0.02) + 0.002
    joint: Array = (own[close].mean(axis=0) + other[nearest[close]].mean(axis=0)) / 2
    return joint


def _sphere_centre(points: Array) -> Array:
    """Least squares: |p|^2 = 2 p.c + (r^2 - |c|^2)."""
    solution = np.linalg.lstsq(np.c_[2 * points, np.ones(len(points))], (points**2).sum(axis=1), rcond=None)[0]
    centre: Array = solution[:3]
    return centre


def _axes(mesh: Mesh, joint: Array) -> Array:
    points = mesh.vertices.astype(np.float64)
    _, _, axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    if (points.mean(axis=0) - joint) @ axes[0] < 0:
        axes[0] = -axes[0]
    if np.linalg.det(axes) < 0:
        axes[2] = -axes[2]
    return axes


def _flesh(mesh: Mesh, axes: Array, entry: _Entry) -> Array:
    """Balls along the long axis, about as far apart as they are wide; one ball in a small bone; none for the trunk."""
    near, far = entry.flesh
    points = mesh.vertices.astype(np.float64)
    centre = points.mean(axis=0) + entry.aside
    if near == 0.0:
        return _trunk(entry.name)
    if entry.name in HEAD:
        return _head(entry.name)
    if entry.kind in ("flat", "rib"):
        return _cover(points, near)
    along = (points - centre) @ axes[0]
    start, end = float(along.min()), float(along.max())
    if entry.kind == "short":  # balls that hardly reach beyond its ends: one, but for the heel
        start, end = start + 0.6 * near, end - 0.6 * near
        if end < start:
            return np.asarray(np.r_[centre, near][None], np.float64)
    places = np.linspace(start, end, max(3, int((end - start) / (0.3 * far)) + 1))
    radius = np.interp(places, [start, end], [near, far])
    return np.asarray(np.c_[centre + places[:, None] * axes[0], radius], np.float64)


def _trunk(name: str) -> Array:
    """The slices of neck or trunk around a bone of it: rows of balls from side to side, as the table says."""
    found = [np.zeros((0, 4))]
    for row in rows("trunk"):
        if row["bone"] == name:
            z, start, end, radius, y = (float(row[key]) / 1000 for key in ("z", "x_from", "x_to", "half_depth", "y"))
            across = np.linspace(start, end, max(1, int((end - start) / (0.25 * radius)) + 1))
            found.append(np.stack(np.broadcast_arrays(across, y, z, radius), axis=1))
    return np.concatenate(found)


def _head(name: str) -> Array:
    """Brain and face: the balls of the table, mirrored where they lie beside the middle."""
    columns = ("x", "y", "z", "radius")
    right = np.array([[float(row[each]) / 1000 for each in columns] for row in rows("head") if row["bone"] == name])
    beside = right[right[:, 0] > 0.0]
    return np.concatenate([right, beside * np.array([-1.0, 1.0, 1.0, 1.0])])


def _cover(points: Array, radius: float) -> Array:
    """Balls on a thinned-out set of the surface's points: skin at a distance of `radius` over a flat bone."""
    cells = np.unique(np.floor(points / radius).astype(np.int64), axis=0, return_index=True)[1]
    return np.asarray(np.c_[points[cells], np.full(len(cells), radius)], np.float64)


def _both_sides(bone: Bone, paired: set[str]) -> list[Bone]:
    parent = bone.parent and (bone.parent + "_r" if bone.parent in paired else bone.parent)
    right = replace(bone, name=bone.name + "_r", parent=parent)
    return [right, mirrored(right)]
