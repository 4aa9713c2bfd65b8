"""Many images: by seed and number alone, on all cores, and going on where a killed run stopped.

Image number i of seed S draws from `numpy.random.default_rng([S, i])` and from nothing else, so that neither the
number of workers nor an interruption changes a byte. Images come in blocks; a block counts once its rows have been
renamed into `unfinished/`, and about.json (or, for files, the manifest) appears last.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from dicom_node.config.names import nearest
from dicom_node.imaging import IMAGING_VERSION, model_input
from dicom_node.model.card import LABELS
from training.errors import TrainingError
from training.images import ABOUT, IMAGES, MANIFEST, declare_whole
from training.manifest import COLUMNS
from training.simulate.formats import Format, write_picture
from training.simulate.picture import picture_of
from training.simulate.recipe import SimulateRecipe
from training.simulate.rows import Line, read_lines, write_lines
from training.simulate.scene import DrawScene
from training.simulate.tone import to_bytes

BLOCK = 64
"""Images between two points at which a killed run can go on."""
SIMULATION, UNFINISHED = "simulation.json", "unfinished"
SIMULATION_VERSION = 2
"""What this code makes of a seed. Raise it with every change that moves a pixel, a row or a header, so that no folder
mixes blocks of two versions; folders from before it count as 0.
"""
SOURCE, LICENCE = "simulated", "Apache-2.0"
OPEN_FIELD = "ood"

Bytes = npt.NDArray[np.uint8]
OpenScenes = Callable[[Path], DrawScene]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One simulation: what decides every byte of it.

    `size` is the prepared images' side in pixels; `open_scenes` opens `atlas` in each worker and must be importable.
    """

    atlas: Path
    out: Path
    count: int
    seed: int
    size: int
    recipe: SimulateRecipe
    format: Format
    open_scenes: OpenScenes


def open_people(atlas: Path) -> DrawScene:
    """The scenes of the whole population, from the atlas's folder."""
    from training.simulate.people import People  # compiles its kernels, which no other way of drawing scenes needs

    return People.of(atlas).scene


def simulate(job: Job, *, workers: int, advance: Callable[[int], None] = lambda _n: None) -> None:
    """Make what is missing of the job's images and finish the folder. Outcomes:

    - finished before: nothing is done;
    - begun by the same command: the missing blocks are made;
    - begun by another command, or by another version of the simulator: TrainingError, nothing is touched;
    - some other data set, of real images for one: TrainingError, nothing is touched;
    - no such atlas or region, a seed below 0, no workers: TrainingError, and the folder is as it was.

    With the format `cache` the folder is a prepared data set (`training.images.load`); otherwise pictures lie in
    `images/` and manifest.csv names them.
    """
    _check(job, workers)
    _begin(job)
    blocks = range(0, job.count, BLOCK)
    done = [start for start in blocks if _rows_of(job, start).exists()]
    if _finished(job):
        advance(job.count)
        return
    advance(sum(_length(job, start) for start in done))
    pixels = _pixels(job, begin=not done)
    for start, lines, images in _made(job, sorted(set(blocks) - set(done)), workers):
        if pixels is not None:
            pixels[start : start + len(images)] = images
            pixels.flush()
        write_lines(_rows_of(job, start), lines)
        advance(len(lines))
    _finish(job, blocks)


def make_block(job: Job, start: int) -> tuple[int, list[Line], Bytes]:
    """Images `start` and following: their rows and, for the cache, their pixels (n, S, S)."""
    cv2.setNumThreads(1)  # the pool already uses every core
    draw_scene = _scenes(job.open_scenes, job.atlas)
    lines, images = [], []
    for index in range(start, start + _length(job, start)):
        line, image = _one(job, index, draw_scene)
        lines.append(line)
        images.append(image)
    empty = np.zeros((0, job.size, job.size), np.uint8)
    return start, lines, np.stack(images) if job.format == "cache" else empty


def _one(job: Job, index: int, draw_scene: DrawScene) -> tuple[Line, Bytes]:
    random = np.random.default_rng([job.seed, index])
    region = _region(random, job.recipe)
    try:
        picture, scene = picture_of(region, draw_scene, random, job.recipe)
    except Exception as error:
        raise TrainingError(f"Image {index} of seed {job.seed} ({region}): {type(error).__name__}: {error}") from error
    grey = to_bytes(picture)
    file = f"simulated-{job.seed}/{index:07d}"
    seen = np.zeros((0, 0), np.uint8)
    if job.format == "cache":
        # From 8 bits, as a picture file would give it: both ways into training show the same.
        seen = to_bytes(model_input(np.asarray(grey, np.float32) / np.float32(255.0), job.size))
    else:
        file = write_picture(
            job.out, grey, scene, seed=job.seed, index=index, kind=job.format, headers=job.recipe.headers
        )
    line = Line(
        file=file, region=scene.region, group=f"sim-{job.seed}-{index}", view=scene.view, source=SOURCE, licence=LICENCE
    )
    return line, seen


def _region(random: np.random.Generator, recipe: SimulateRecipe) -> str:
    """One of the regions, equally likely, or out of domain."""
    if random.random() < recipe.out_of_domain:
        return OPEN_FIELD
    regions = recipe.regions or LABELS
    return str(regions[int(random.integers(len(regions)))])


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    Thread(target=_wait_for_the_parents_end, daemon=True).start()


def _wait_for_the_parents_end() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@cache
def _scenes(open_scenes: OpenScenes, atlas: Path) -> DrawScene:
    return open_scenes(atlas)


def _made(job: Job, starts: Sequence[int], workers: int) -> Iterator[tuple[int, list[Line], Bytes]]:
    """The blocks as they get ready, in any order; at most two per worker wait in memory."""
    left = iter(starts)
    # Not forked: OpenCV's own threads do not come along into a forked child, which then waits for them for ever.
    context = get_context("spawn")
    with ProcessPoolExecutor(max_workers=workers, mp_context=context, initializer=_end_with_parent) as pool:
        running: set[Future[tuple[int, list[Line], Bytes]]] = set()
        try:
            while True:
                while len(running) < 2 * workers and (start := next(left, None)) is not None:
                    running.add(pool.submit(make_block, job, start))
                if not running:
                    return
                ready, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ready:
                    yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _check(job: Job, workers: int) -> None:
    for name in job.recipe.regions:
        if name not in LABELS:
            hint = nearest(name, list(LABELS))
            raise TrainingError(f"The recipe's 'simulate.regions' names no region: {name}{hint or '.'}")
    if job.seed < 0:
        raise TrainingError(f"The seed is {job.seed}; it must be 0 or more.")
    if workers < 1:
        raise TrainingError(f"The number of workers is {workers}; it takes one at least.")


def _begin(job: Job) -> None:
    """Take the folder for this job, unless something else is there; the last thing written says so."""
    about = {
        "count": job.count,
        "seed": job.seed,
        "size": job.size,
        "format": job.format,
        "imaging_version": IMAGING_VERSION,
        "atlas": _meshes(job.atlas),
        "recipe": json.loads(json.dumps(asdict(job.recipe))),
    }
    told = job.out / SIMULATION
    if told.exists():
        _go_on(job, about)
        return
    for name in (MANIFEST, IMAGES, ABOUT):
        if (job.out / name).exists():
            raise TrainingError(f"{job.out} holds a data set that was not simulated ({name}): choose another folder.")
    # Were the wrong meshes to fail in a worker, the folder would be taken by a job that can never be done.
    job.open_scenes(job.atlas)
    (job.out / UNFINISHED).mkdir(parents=True, exist_ok=True)
    new = told.with_name(told.name + ".new")
    new.write_text(json.dumps({"version": SIMULATION_VERSION, **about}, indent=1) + "\n", encoding="utf-8")
    new.replace(told)


def _go_on(job: Job, about: dict[str, Any]) -> None:
    """Check that the folder was begun by this very job."""
    told = job.out / SIMULATION
    try:
        # Folders of older releases say neither their version nor which meshes they were made from.
        begun = {"version": 0, "atlas": about["atlas"], **json.loads(told.read_text(encoding="utf-8"))}
    except (ValueError, TypeError) as error:
        raise TrainingError(f"{told} cannot be read, or is only part of it: choose another folder.") from error
    version = begun.pop("version")
    if begun != about:
        raise TrainingError(f"{job.out} holds another simulation ({SIMULATION}): choose another folder.")
    if version != SIMULATION_VERSION and not _finished(job):
        raise TrainingError(
            f"{job.out} was begun by another version of the simulator ({version}; this is {SIMULATION_VERSION}), "
            "whose images are others: choose another folder."
        )


def _finished(job: Job) -> bool:
    return (job.out / MANIFEST).exists() and (job.format != "cache" or (job.out / ABOUT).exists())


def _meshes(atlas: Path) -> str:
    """A digest of the meshes by which the images are made, wherever they lie."""
    digest = hashlib.sha256()
    for path in sorted(atlas.glob("*.stl")):
        digest.update(os.fsencode(path.name) + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _pixels(job: Job, *, begin: bool) -> "np.memmap[tuple[int, ...], np.dtype[np.uint8]] | None":
    """The images' file, opened to be written to; None when pictures are written one by one."""
    if job.format != "cache":
        return None
    path, shape = job.out / IMAGES, (job.count, job.size, job.size)
    if begin:
        return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    return np.lib.format.open_memmap(path, mode="r+")


def _finish(job: Job, blocks: Sequence[int]) -> None:
    lines = [line for start in blocks for line in read_lines(_rows_of(job, start))]
    write_lines(job.out / MANIFEST, lines, header=COLUMNS)
    if job.format == "cache":
        declare_whole(job.out, size=job.size, n=job.count)
    shutil.rmtree(job.out / UNFINISHED)


def _rows_of(job: Job, start: int) -> Path:
    return job.out / UNFINISHED / f"{start:08d}.csv"


def _length(job: Job, start: int) -> int:
    return min(BLOCK, job.count - start)
