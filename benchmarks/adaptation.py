"""What a few labelled images are worth: the head re-fitted, and the whole network fine-tuned, on the same draws.

    python -m benchmarks.adaptation --model MODEL.onnx --simulated runs/sim \
        --real ../shared/data/radiographs/manifest.csv --out runs/adaptation

Labelled are one image each of 1, 5, 10 and 20 patients of every region, drawn by a seed; measured is on the images of
all other patients. The model must not have learned from the real images, or its figures mean nothing. Rows with
`use = evaluate` are left out. What was finished by a run that was killed is kept.
"""

import argparse
import csv
import json
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.conditions import conditions
from dicom_node.model.session import Model
from training.adapting import MODEL, adapt_file, seen_by
from training.drawn import subset
from training.finetuning import finetune_file
from training.images import ImageSet, prepare
from training.labels import load_labelled
from training.low_label import few_per_region
from training.manifest import read_manifest
from training.metrics import Bools, summary
from training.runs import write_json

WAYS = ("as it is", "head", "network")


def main() -> None:
    """Adapt in every way for every draw and print the table."""
    options = _options()
    model = Model.open(options.model)
    rows = [row for row in read_manifest(options.real) if row.use in ("train", "tune") and row.target >= 0]
    real = prepare(rows, size=model.card.input_size, out=options.out / "real", workers=2)
    print(conditions())
    print(f"{model.model_id}, {len(real.rows)} real images, balanced top 1, mean (lowest to highest) of the seeds")
    print("| images a region | seeds | " + " | ".join(WAYS) + " |")
    print("|---" * (len(WAYS) + 2) + "|")
    for k in options.per_region:
        runs = [_adapted(options, real, k, seed) for seed in range(options.seeds)]
        cells = [_spread([run[way] for run in runs]) for way in WAYS]
        print(f"| {k} | {options.seeds} | " + " | ".join(cells) + " |", flush=True)


def _adapted(options: argparse.Namespace, real: ImageSet, k: int, seed: int) -> dict[str, float]:
    """Balanced top 1 on the patients that were not labelled, by each way."""
    out = options.out / f"{k}-{seed}"
    scores = out / "scores.json"
    if scores.exists():
        found: dict[str, float] = json.loads(scores.read_text(encoding="utf-8"))
        return found
    chosen, asked = few_per_region(real.targets, np.array([row.group for row in real.rows]), k, seed=seed)
    for way in WAYS:
        (out / way).mkdir(parents=True, exist_ok=True)
    labels = _write_labels(out / "labels.csv", subset(real, chosen))
    now = datetime.now(UTC)
    size = Model.open(options.model).card.input_size
    adapt_file(options.model, load_labelled(labels, size), out / "head", now=now)
    finetune_file(options.model, labels, [options.simulated], out / "network", recipe_path=None, seed=seed, now=now)
    files = (options.model, out / "head" / MODEL, out / "network" / MODEL)
    measured = {way: _balanced(file, real, asked) for way, file in zip(WAYS, files, strict=True)}
    write_json(scores, measured)
    return measured


def _write_labels(path: Path, few: ImageSet) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "region", "group"])
        writer.writerows([row.file.resolve(), row.region, row.group] for row in few.rows)
    return path


def _balanced(file: Path, real: ImageSet, asked: Bools) -> float:
    others = subset(real, np.flatnonzero(asked))
    _, probabilities, _ = seen_by(Model.open(file), others)
    return float(summary(probabilities, others.targets)["balanced"])


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a model file that learned from no real image")
    parser.add_argument("--simulated", type=Path, required=True, help="prepared folder to mix in when fine-tuning")
    parser.add_argument("--real", type=Path, required=True, help="manifest of real images")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--per-region", type=int, nargs="+", default=[1, 5, 10, 20])
    parser.add_argument("--seeds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
