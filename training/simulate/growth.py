"""A skeleton that still grows: epiphyses apart from their shafts, and centres of ossification as large as the age has
made them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from training.simulate.cut import split
from training.simulate.mesh import Mesh, half_thickness, vertex_normals
from training.simulate.skeleton import Bone, Skeleton
from training.simulate.tables import rows
from training.simulate.young_hips import three_bones, without_neck

Array = npt.NDArray[np.float64]

INFANT = 1.4
"""Age in years up to which the hips are an infant's."""
PELVIS = ("ischium", "pubis")
PHYSIS = 0.9
"""Size of a nearly grown epiphysis against its place: what is missing is the growth plate."""


@dataclass(frozen=True, kw_only=True)
class Centre:
    """A centre of ossification: seen from the age `appears` in years, of full size at `whole`.

    Ages: Greulich and Pyle 1959 (hand), Scheuer and Black 2000 (elsewhere), rounded, both sexes together. `share` is
    the part of the bone's length that the epiphysis has, at its `near` or `far` end; a small bone has no `end`.
    """

    bone: str
    piece: str
    end: str
    share: float
    appears: float
    whole: float
    least: float = 0.25
    most: float = PHYSIS

    def size(self, age: float) -> float:
        """Of full size, in [0, 1]; 0 as long as it is all cartilage."""
        if age <= self.appears:
            return 0.0
        grown = min(1.0, (age - self.appears) / (self.whole - self.appears))
        return float(self.least + (self.most - self.least) * grown**0.6 if self.end else 0.2 + 0.8 * grown**0.7)


def centres() -> dict[str, Centre]:
    """By bone, without side, and for the pieces with a dot: `radius.distal`."""
    found = [
        Centre(
            bone=line["bone"],
            piece=line["piece"],
            end=line["end"],
            share=float(line["share"] or 0.0),
            appears=float(line["appears"]),
            whole=float(line["whole"]),
        )
        for line in rows("growth")
    ]
    named = {each.bone + ("." + each.piece if each.piece else ""): each for each in found}
    named["femur.head"] = Centre(bone="femur", piece="head", end="near", share=0.0, appears=0.4, whole=13.0)
    for piece in PELVIS:
        named[f"pelvis.{piece}"] = Centre(
            bone="pelvis", piece=piece, end="far", share=0.0, appears=-0.5, whole=14.0, least=0.68, most=0.96
        )
    return named


def growing(skeleton: Skeleton, *, infant: bool = False) -> Skeleton:
    """The same skeleton with its growth plates cut: pieces are bones of their own, named `radius_r.distal`. An
    `infant` has no necks of the femur.
    """
    cuts: dict[str, list[Centre]] = {}
    for each in centres().values():
        if each.end and each.bone != "pelvis":
            cuts.setdefault(each.bone, []).append(each)
    bones: dict[str, Bone] = {}
    for name, bone in skeleton.bones.items():
        stem, side = (name[:-2], name[-2:]) if name[-2:] in ("_r", "_l") else (name, "")
        rest = bone
        pieces = []
        for each in cuts.get(stem, []):
            point, normal = _plane(bone, each, side)
            piece, shaft = split(rest.mesh, point, normal)
            pieces.append(_piece(bone, f"{name}.{each.piece}", piece))
            rest = _with_mesh(rest, shaft)
        if stem == "pelvis":
            meshes = three_bones(
                bone.mesh, skeleton["femur" + side].joint, 1.0 if side == "_r" else -1.0, infant=infant
            )
            rest = _with_mesh(bone, meshes["ilium"])
            pieces = [_piece(bone, f"{name}.{piece}", meshes[piece]) for piece in PELVIS]
        if stem == "femur" and infant:
            rest = _with_mesh(rest, without_neck(rest.mesh, bone.joint, 1.0 if side == "_r" else -1.0))
        bones[name] = rest
        bones |= {piece.name: piece for piece in pieces}
    return Skeleton(bones=bones)


def ossified(
    skeleton: Skeleton, age: float, sizes: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """`sizes` at an age in years: pieces and small bones shrunk to their centres of ossification; (0, 0): not there."""
    table = centres()
    grown = dict(sizes)
    for name in skeleton.bones:
        whole, dot, piece = name.partition(".")
        stem = whole[:-2] if whole[-2:] in ("_r", "_l") else whole
        centre = table.get(stem + dot + piece)
        if centre is not None and (piece or not centre.end):
            length, width = grown.get(whole, (1.0, 1.0))
            grown[name] = (length * centre.size(age), width * centre.size(age))
    return grown


def _plane(bone: Bone, centre: Centre, side: str) -> tuple[Array, Array]:
    """A point of the growth plate, and the direction towards the epiphysis."""
    if centre.bone == "femur" and centre.piece == "head":
        out = np.array([1.0 if side == "_r" else -1.0, 0.0, -1.0]) / np.sqrt(2)
        return bone.joint + 0.013 * out, -out
    along = bone.mesh.vertices.astype(np.float64) @ bone.axes[0]
    share, normal = (centre.share, -bone.axes[0]) if centre.end == "near" else (1 - centre.share, bone.axes[0])
    return (along.min() + share * np.ptp(along)) * bone.axes[0], normal


def _piece(bone: Bone, name: str, mesh: Mesh) -> Bone:
    middle = mesh.vertices.mean(axis=0).astype(np.float64)
    piece = replace(_with_mesh(bone, mesh), name=name, parent=bone.name, joint=middle, anchor=middle)
    return replace(piece, flesh=np.zeros((0, 4)), kind="short")


def _with_mesh(bone: Bone, mesh: Mesh) -> Bone:
    normals = vertex_normals(mesh).astype(np.float64)
    return replace(bone, mesh=mesh, normals=normals, depth=half_thickness(mesh).astype(np.float64))
