"""What each randomisation of the simulator is worth on real images: the same training with one of them switched off.

    python -m benchmarks.randomisations --atlas ../shared/atlas/myo_sim \
        --real ../shared/data/radiographs/manifest.csv --out runs/randomisations

Every run simulates as many images from the same seed, trains a supervised network from scratch on them alone and asks
it about every real image that it is allowed to look at (`use` train or tune: none of them was learned from). What is
wanted is a difference between rows of one table; the networks are small and short-lived, and their scores are none that
the shipped model would have. The whole is repeated with other weights (`--seeds`), for the spread. A run that was
killed goes on where it was.
"""

import argparse
import json
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from dicom_node.model.card import LABELS
from training.heads import Classifier, embed, trained_classifier
from training.images import ABOUT, ImageSet, load, prepare
from training.manifest import is_learned_from, read_manifest
from training.pool import Pool, open_pool
from training.pretrain import pretrain
from training.progress import progress
from training.recipe import Recipe, read_recipe
from training.runs import save_weights, write_json, write_run
from training.simulate.generate import Job, open_people, simulate
from training.simulate.recipe import BARE_DETECTOR, BARE_SURROUNDINGS, BARE_TONE, SimulateRecipe

WHOLE = SimulateRecipe(out_of_domain=0.1)
WITHOUT: Mapping[str, SimulateRecipe] = {
    "nothing left out": WHOLE,
    "square pictures of limbs (`to_the_part`)": replace(WHOLE, to_the_part=0.0),
    "one body for all (`shapes`)": replace(WHOLE, shapes="one"),
    "straight beams, unturned pictures (`pose`)": replace(WHOLE, pose=0.0),
    "Beer and Lambert alone (`detector`)": replace(WHOLE, detector=BARE_DETECTOR),
    "a plain window (`tone`)": replace(WHOLE, tone=BARE_TONE),
    "the picture alone (`surroundings`)": replace(WHOLE, surroundings=BARE_SURROUNDINGS),
    "none of all these": SimulateRecipe(
        out_of_domain=0.1,
        shapes="one",
        pose=0.0,
        children=0.0,
        fractures=0.0,
        hardware=0.0,
        detector=BARE_DETECTOR,
        tone=BARE_TONE,
        surroundings=BARE_SURROUNDINGS,
    ),
    "no children": replace(WHOLE, children=0.0),
    "no fractures, implants, casts": replace(WHOLE, fractures=0.0, hardware=0.0),
}
IMAGE_SEED = 7


def main() -> None:
    """Run everything that is not there yet and print the table."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    recipe = read_recipe(options.recipe)
    real = _real(options.real, options.out / "real", recipe.data.size)
    scores: dict[str, list[dict[str, float]]] = {}
    for name, folder, pool in _pools(options, recipe.data.size):
        for seed in range(options.seeds):
            scores.setdefault(name, []).append(_measured(pool, real, recipe, folder / f"weights-{seed}", seed))
            _print_table(scores, real)


def _pools(options: argparse.Namespace, size: int) -> Iterator[tuple[str, Path, Pool]]:
    """What each row of the table learns from: its name, its folder, its images."""
    if options.simulated:
        yield "what is given", options.out / "given", open_pool(options.simulated, at_least=size)
        return
    for number, (name, switches) in enumerate(list(WITHOUT.items())[: options.first]):
        folder = options.out / f"{number}"
        yield name, folder, _simulated(options.atlas, folder / "images", options.count, size, switches)


def _real(manifest: Path, folder: Path, size: int) -> ImageSet:
    """All real images of a region that may be looked at."""
    if (folder / ABOUT).exists():
        return load(folder)
    rows = [row for row in read_manifest(manifest) if row.use in ("train", "tune") and row.target >= 0]
    with progress("prepare", len(rows)) as shown:
        return prepare(rows, size=size, out=folder, workers=os.cpu_count() or 1, advance=shown.advance)


def _simulated(atlas: Path, folder: Path, count: int, size: int, switches: SimulateRecipe) -> Pool:
    job = Job(
        atlas=atlas,
        out=folder,
        count=count,
        seed=IMAGE_SEED,
        size=size,
        recipe=switches,
        format="cache",
        open_scenes=open_people,
    )
    folder.mkdir(parents=True, exist_ok=True)
    with progress("simulate", count) as shown:
        simulate(job, workers=os.cpu_count() or 1, advance=shown.advance)
    return open_pool([folder], at_least=size)


def _measured(pool: Pool, real: ImageSet, recipe: Recipe, out: Path, seed: int) -> dict[str, float]:
    """Share of each region's real images that is right, by a network that learned from the pool alone: without the
    groups that the recipe holds out, on which it may be calibrated later.
    """
    scores = out / "scores.json"
    if scores.exists():
        found: dict[str, float] = json.loads(scores.read_text(encoding="utf-8"))
        return found
    out.mkdir(parents=True, exist_ok=True)
    learned = pool.where(lambda row: is_learned_from(row, recipe.data))
    with progress(out.parent.name, recipe.pretrain.samples) as shown:
        trained = pretrain(learned, recipe, seed=seed, out=out, device=torch.device("cpu"), advance=shown.advance)
    save_weights(out, trained.weights)  # to be calibrated, exported or put into an ensemble
    write_run(out, command="pretrain", recipe=recipe, seed=seed, data=learned, now=datetime.now(UTC))
    found = _right(trained_classifier(trained.weights), real)
    write_json(scores, found)
    return found


def _right(classifier: Classifier, real: ImageSet) -> dict[str, float]:
    embeddings = embed(classifier.backbone, torch.from_numpy(real.images), torch.device("cpu"))
    right = classifier.logits(embeddings).argmax(dim=1).numpy() == real.targets
    return {LABELS[k]: float(right[real.targets == k].mean()) for k in np.unique(real.targets)}


def _print_table(scores: Mapping[str, Sequence[Mapping[str, float]]], real: ImageSet) -> None:
    regions = [LABELS[k] for k in np.unique(real.targets)]
    sizes = {LABELS[k]: int((real.targets == k).sum()) for k in np.unique(real.targets)}
    print("\n| left out | runs | " + " | ".join(f"{name} ({sizes[name]})" for name in regions) + " | balanced |")
    print("|---" * (len(regions) + 3) + "|")
    for name, runs in scores.items():
        cells = [_spread([run[region] for run in runs]) for region in regions]
        balanced = _spread([statistics.mean(run.values()) for run in runs])
        print(f"| {name} | {len(runs)} | " + " | ".join([*cells, balanced]) + " |", flush=True)


def _spread(values: Sequence[float]) -> str:
    """The mean, and the lowest and highest where there are several."""
    mean = f"{statistics.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.2f} to {max(values):.2f})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--atlas", type=Path, help="simulate, with each randomisation switched off in turn")
    source.add_argument("--simulated", type=Path, nargs="+", help="learn from these simulated sets alone instead")
    parser.add_argument("--real", type=Path, required=True, help="manifest of real images")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/randomisations.toml"))
    parser.add_argument("--count", type=int, default=6000, help="simulated images of each run")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first", type=int, default=len(WITHOUT), help="only so many rows of the table")
    return parser.parse_args()


if __name__ == "__main__":
    main()
