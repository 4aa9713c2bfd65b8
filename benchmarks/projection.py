"""How long it takes to project a skeleton's mesh: our kernel against NumPy, and what finer sampling costs.

    python -m benchmarks.projection --atlas ../shared/atlas/myo_sim --size 144

One core. A rasteriser on the graphics card (OpenGL through moderngl or pyrender) can add signed depths too, but needs
a context that a headless server with two cores has only in software, and a blend into 32-bit floats; ray casting
(Embree) needs its tree rebuilt whenever a pose moves the vertices, and every crossing of every ray. Neither has been
measured.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.conditions import conditions
from training.simulate.camera import Camera
from training.simulate.flesh import union_length
from training.simulate.mesh import Mesh, read_stl
from training.simulate.project import add_mesh
from training.simulate.raster import SUBPIXELS, on_screen

# What is looked at: centre in the atlas, m, and width of the field, m.
VIEWS = {"whole body": ((0.0, 0.0, 0.85), 1.8), "skull": ((0.0, -0.05, 1.55), 0.3)}


def main() -> None:
    """Project both views in every way, print the median of the rounds and the ratio to the kernel's."""
    options = _options()
    mesh = read_stl(options.atlas / "human_highpoly.stl")
    print(conditions())
    print(f"{len(mesh.faces)} triangles, {options.size} x {options.size} pixels, median of {options.rounds}")
    for name, (target, field) in VIEWS.items():
        camera = Camera.looking(target, (0, -1, 0), (0, 0, 1), 1.2, 0.1, field, options.size)
        image = np.zeros((options.size, options.size), np.float32)
        ours = _seconds(_projecting(mesh, camera, image, 1), options.rounds)
        _print(name, "kernel", ours, ours)
        for samples in (2, 3):
            _print(
                name,
                f"{samples}x{samples} rays",
                _seconds(_projecting(mesh, camera, image, samples), options.rounds),
                ours,
            )
        _print(name, "NumPy", _seconds(partial(with_numpy, mesh, camera), 3), ours)
    random = np.random.default_rng(0)
    centres = random.normal(0, 0.06, (3000, 3)) + VIEWS["skull"][0]
    for radius in (0.01, 0.02):
        balls = np.c_[centres, np.full(len(centres), radius)]
        took = _seconds(partial(union_length, camera, balls), options.rounds)
        print(f"{'3000 balls':12s} {f'of {1e3 * radius:.0f} mm':12s} {1e3 * took:8.2f} ms")


def with_numpy(mesh: Mesh, camera: Camera) -> np.ndarray:
    """The same without a compiler: all boxes unrolled into one list of triangles and pixels, then tested at once."""
    focal, u0, v0 = camera.intrinsics
    corners, inverse = on_screen(mesh.vertices.astype(float), camera.source, camera.axes, focal, u0, v0)
    at, over = corners[mesh.faces].astype(float) / SUBPIXELS, inverse[mesh.faces]
    low = np.maximum(np.ceil(at.min(axis=1)), 0).astype(int)
    high = np.minimum(np.floor(at.max(axis=1)), (camera.width - 1, camera.height - 1)).astype(int)
    size = np.maximum(high - low + 1, 0)
    count = size.prod(axis=1) * (over > 0).all(axis=1)
    face = np.repeat(np.arange(len(count)), count)
    place = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    column, row = low[face, 0] + place % size[face, 0], low[face, 1] + place // size[face, 0]
    edge = [_turn(at[face, (i + 1) % 3], at[face, (i + 2) % 3], column, row) for i in range(3)]
    whole = sum(edge)
    inside = ((np.sign(whole) * edge) >= 0).all(axis=0) & (whole != 0)
    share = sum(e * over[face, i] for i, e in enumerate(edge))
    depth = np.sign(whole[inside]) * whole[inside] / share[inside]
    total = np.bincount(row[inside] * camera.width + column[inside], depth, camera.height * camera.width)
    return total.reshape(camera.height, camera.width)


def _turn(start: np.ndarray, end: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    return (end[:, 0] - start[:, 0]) * (row - start[:, 1]) - (end[:, 1] - start[:, 1]) * (column - start[:, 0])


def _projecting(mesh: Mesh, camera: Camera, image: np.ndarray, samples: int) -> Callable[[], None]:
    return partial(add_mesh, image, camera, mesh.vertices, mesh.faces, samples=samples)


def _seconds(work: Callable[[], object], rounds: int) -> float:
    """The median of `rounds`, after one that compiles."""
    work()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _print(view: str, way: str, seconds: float, ours: float) -> None:
    print(f"{view:12s} {way:12s} {1e3 * seconds:8.2f} ms  {seconds / ours:6.1f} x")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atlas", type=Path, required=True, help="the folder with human_highpoly.stl")
    parser.add_argument("--size", type=int, default=144)
    parser.add_argument("--rounds", type=int, default=30)
    return parser.parse_args()


if __name__ == "__main__":
    main()
