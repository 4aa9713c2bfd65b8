"""Surfaces of triangles: reading, taking apart, closing, refining, and how thick what they enclose is.

Every surface here is oriented: faces turn anticlockwise seen from outside. It is closed when each edge is run through
as often one way as the other; that, and no finer topology, is what the projection needs.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from training.errors import TrainingError

Array = npt.NDArray[np.float64]
Vertices = npt.NDArray[np.float32]
Faces = npt.NDArray[np.int32]

_STL = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


@dataclass(frozen=True, kw_only=True, eq=False)
class Mesh:
    """Vertices (V, 3) float32 in m, and faces (F, 3) int32: the numbers of their corners."""

    vertices: Vertices
    faces: Faces


def read_stl(path: Path) -> Mesh:
    """Read a binary STL, its unit taken for metres; equal corners become one vertex, faces without area go.

    Raises:
        TrainingError: the file cannot be read, is no binary STL, or holds nothing.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"{path} cannot be read ({error.strerror}): give the folder of the atlas.") from error
    count = int.from_bytes(content[80:84], "little")
    if len(content) != 84 + count * _STL.itemsize or count == 0:
        raise TrainingError(f"{path} is no binary STL, or only part of one: fetch the atlas again.")
    corners = np.frombuffer(content, _STL, count, 84)["corners"].reshape(-1, 3)
    if not np.isfinite(corners).all():
        raise TrainingError(f"{path} has corners that are no numbers: fetch the atlas again.")
    # Adding zero makes one of the two zeros of floating point.
    vertices, numbers = np.unique(corners + np.float32(0), axis=0, return_inverse=True)
    return Mesh(vertices=vertices, faces=_proper(numbers.reshape(-1, 3)))


def components(mesh: Mesh) -> list[Mesh]:
    """The parts that hang together by edges, in order of their first face, each closed by `capped`.

    A surface that touches another in single vertices alone is a part of its own.
    """
    starts, ends = _edges(mesh.faces)
    _, edge = np.unique(np.minimum(starts, ends) * len(mesh.vertices) + np.maximum(starts, ends), return_inverse=True)
    face = np.tile(np.arange(len(mesh.faces)), 3)
    # A graph of faces and edges: an edge is a node, too, whatever the number of faces that share it.
    shape = (len(mesh.faces) + int(edge.max(initial=-1)) + 1,) * 2
    graph = coo_matrix((np.ones(len(edge)), (face, len(mesh.faces) + edge)), shape=shape)
    _, label = connected_components(graph, directed=False)
    label = label[: len(mesh.faces)]
    order = np.argsort(label, kind="stable")
    parts = np.split(mesh.faces[order], np.flatnonzero(np.diff(label[order])) + 1)
    return [capped(_compact(mesh.vertices, part)) for part in parts if len(part)]


def capped(mesh: Mesh) -> Mesh:
    """The surface with each of its holes closed by a fan around the middle of the hole's edge.

    Whatever the edge looks like, the result is closed in the sense of this module; a closed mesh stays as it is.
    """
    starts, ends = _unmatched(mesh)
    if len(starts) == 0:
        return mesh
    size = len(mesh.vertices)
    _, label = connected_components(coo_matrix((np.ones(len(starts)), (starts, ends)), shape=(size, size)))
    label = np.unique(label[starts], return_inverse=True)[1]
    share = np.bincount(label)[:, None]
    middles = np.stack([np.bincount(label, mesh.vertices[starts, axis]) for axis in range(3)], axis=1) / share
    caps = np.stack([ends, starts, size + label], axis=1)
    return Mesh(
        vertices=np.concatenate([mesh.vertices, middles.astype(np.float32)]),
        faces=np.concatenate([mesh.faces, caps.astype(np.int32)]),
    )


def is_closed(mesh: Mesh) -> bool:
    """Whether each edge is run through as often one way as the other."""
    return len(_unmatched(mesh)[0]) == 0


def area(mesh: Mesh) -> float:
    """The surface's area in m2."""
    return float(np.linalg.norm(_cross(mesh), axis=1).sum() / 2)


def volume(mesh: Mesh) -> float:
    """What the surface holds, in m3; negative when it is inside out.

    Raises:
        TrainingError: the mesh has holes.
    """
    if not is_closed(mesh):
        raise TrainingError("This mesh has holes and therefore no volume: close it with `capped` first.")
    corners = mesh.vertices.astype(np.float64)[mesh.faces] - mesh.vertices.mean(axis=0, dtype=np.float64)
    return float(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6)


def vertex_normals(mesh: Mesh) -> Vertices:
    """Outward unit normals (V, 3): those of the faces around, weighted by their angles (Baerentzen and Aanaes 2005).

    Zero where the faces around cancel out.
    """
    corners = mesh.vertices.astype(np.float64)[mesh.faces]
    across = _unit(_cross(mesh))
    total = np.zeros((len(mesh.vertices), 3))
    for corner in range(3):
        one = _unit(corners[:, (corner + 1) % 3] - corners[:, corner])
        other = _unit(corners[:, (corner + 2) % 3] - corners[:, corner])
        angle = np.arccos(np.clip((one * other).sum(axis=1), -1, 1))[:, None]
        np.add.at(total, mesh.faces[:, corner], angle * across)
    return _unit(total).astype(np.float32)


def refined(mesh: Mesh, *, rounding: float = 0.0) -> Mesh:
    """Four triangles for each one: (V + E, 3) vertices, the first V the old ones, and (4 F, 3) faces.

    New vertices lie in the middle of the edges, or moved from there by the share `rounding` towards the planes that
    touch the surface at the edge's ends (Boubekeur and Alexa 2008, Phong Tessellation; 0.75 there): round, not faceted.
    """
    starts, ends = _edges(mesh.faces)
    size = len(mesh.vertices)
    keys, number = np.unique(np.minimum(starts, ends) * size + np.maximum(starts, ends), return_inverse=True)
    one, other = keys // size, keys % size
    vertices = mesh.vertices.astype(np.float64)
    middles = (vertices[one] + vertices[other]) / 2
    if rounding:
        normals = vertex_normals(mesh).astype(np.float64)
        half = (vertices[other] - vertices[one]) / 2
        middles += rounding / 2 * ((half * normals[other]).sum(axis=1)[:, None] * normals[other])
        middles -= rounding / 2 * ((half * normals[one]).sum(axis=1)[:, None] * normals[one])
    ab, bc, ca = size + number.reshape(3, -1)
    a, b, c = mesh.faces.T
    faces = np.concatenate([np.stack(t, axis=1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    return Mesh(vertices=np.concatenate([vertices, middles]).astype(np.float32), faces=faces.astype(np.int32))


def half_thickness(mesh: Mesh, *, largest: float = 0.05) -> Vertices:
    """The radius (V,) in m of the largest ball inside that touches the surface at each vertex, at most `largest`.

    The shrinking ball of Ma, Bae and Choi (2012), between vertices, so no sharper than they are dense. A ball that is
    stopped by a vertex less than 60 degrees away, as seen from its own centre, is stopped by the roughness of the
    surface around its own point of touch, and is let be (Peters and Ledoux 2016).
    """
    points = mesh.vertices.astype(np.float64)
    inward = -vertex_normals(mesh).astype(np.float64)
    tree = cKDTree(points)
    radius = np.full(len(points), largest)
    active = np.flatnonzero(inward.any(axis=1))
    for _ in range(30):
        if len(active) == 0:
            break
        centre = points[active] + radius[active, None] * inward[active]
        distance, nearest = tree.query(centre)
        chord = points[nearest] - points[active]
        towards = (chord * inward[active]).sum(axis=1)
        smaller = (chord**2).sum(axis=1) / np.maximum(2 * towards, 1e-12)
        to_wall, to_own = points[nearest] - (points[active] + smaller[:, None] * inward[active]), -inward[active]
        apart = (_unit(to_wall) * to_own).sum(axis=1) < 0.5
        stopped = (distance < radius[active] * (1 - 1e-4)) & (smaller < radius[active] * (1 - 1e-4)) & apart
        active, smaller = active[stopped], smaller[stopped]
        radius[active] = smaller
    return radius.astype(np.float32)


def _edges(faces: Faces) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where the edges of all faces start and end, (3 F,) each: first all ab, then bc, then ca."""
    turned = faces.astype(np.int64)
    return turned.T.ravel(), np.roll(turned, -1, axis=1).T.ravel()


def _unmatched(mesh: Mesh) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The edges, start and end, that no edge the other way makes up for, as often as they are too many."""
    starts, ends = _edges(mesh.faces)
    size = len(mesh.vertices)
    keys, edge = np.unique(np.minimum(starts, ends) * size + np.maximum(starts, ends), return_inverse=True)
    net = np.bincount(edge, np.where(starts < ends, 1, -1), minlength=len(keys)).astype(np.int64)
    low, high, net = (np.repeat(each, np.abs(net)) for each in (keys // size, keys % size, net))
    return np.where(net > 0, low, high), np.where(net > 0, high, low)


def _compact(vertices: Vertices, faces: Faces) -> Mesh:
    """Without the vertices that no face uses."""
    used, numbers = np.unique(faces, return_inverse=True)
    return Mesh(vertices=vertices[used], faces=numbers.reshape(-1, 3).astype(np.int32))


def _proper(faces: npt.NDArray[np.int64]) -> Faces:
    """Without faces that use a vertex twice: they have no area, and their edges cancel out."""
    a, b, c = faces.T
    proper: Faces = faces[(a != b) & (b != c) & (c != a)].astype(np.int32)
    return proper


def _cross(mesh: Mesh) -> Array:
    corners = mesh.vertices.astype(np.float64)[mesh.faces]
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def _unit(vectors: Array) -> Array:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Array = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    return unit
