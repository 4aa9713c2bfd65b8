"""How fast pre-training is, next to the same loop on one fixed batch (the bound), and fed by a stock loader.

The stock loader is what most training code has: a DataLoader with worker processes, PIL images and torchvision's
transforms with the same ranges, two views of each image. It is spared the decoding of files. All three run in turn, so
that the ratios mean something on a shared machine.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.conditions import conditions
from dicom_node.model.card import LABELS
from training.augment import views as views_of
from training.distributed import ALONE
from training.draws import draw
from training.feed import Feed, feed_from
from training.images import ImageSet
from training.logbook import LOG
from training.manifest import Row
from training.pool import Pool
from training.pretrain import pretrain
from training.recipe import AugmentRecipe, Recipe, recipe_from

VIEWS = {"supervised": 1}


class Stock(Dataset[tuple[list[Tensor], int]]):
    """PIL images with torchvision's transforms, one image at a time."""

    def __init__(self, data: ImageSet, recipe: AugmentRecipe, *, size: int, views: int) -> None:
        self._data, self._views = data, views
        self._transform = transforms.Compose(
            [
                transforms.RandomAffine(
                    recipe.rotation,
                    translate=(recipe.translation, recipe.translation),
                    scale=recipe.scale,
                    shear=recipe.shear,
                    interpolation=transforms.InterpolationMode.BILINEAR,
                ),
                transforms.RandomResizedCrop(size, scale=recipe.crop_area, ratio=recipe.aspect),
                transforms.ColorJitter(brightness=recipe.brightness, contrast=recipe.contrast),
                transforms.ToTensor(),
            ]
        )

    def __len__(self) -> int:
        return 1_000_000_000  # never an epoch's end, at which workers would start anew

    def __getitem__(self, index: int) -> tuple[list[Tensor], int]:
        index %= len(self._data.rows)
        picture = Image.fromarray(self._data.images[index])
        return [self._transform(picture) for _ in range(self._views)], self._data.rows[index].target


def stock_feed(data: ImageSet, recipe: Recipe, *, device: torch.device, views: int) -> Feed:
    """Feeds from a DataLoader with a worker for each core."""
    loader = DataLoader(
        Stock(data, recipe.pretrain.augment, size=recipe.data.size, views=views),
        batch_size=recipe.pretrain.batch,
        num_workers=os.cpu_count() or 1,
        pin_memory=device.type == "cuda",
    )
    batches: Iterator[Any] = iter(loader)

    def feed(_step: int) -> tuple[list[Tensor], Tensor]:
        pictures, targets = next(batches)
        return [each.to(device, non_blocking=True) for each in pictures], targets.to(device)

    return feed


def fixed_feed(feed: Feed) -> Feed:
    """The first batch, again and again."""
    first = feed(0)
    return lambda _step: first


def images_per_second(feed: Feed, data: ImageSet, recipe: Recipe, device: torch.device, *, compiled: bool) -> float:
    """What the run's own log says between its first and its last step."""
    with tempfile.TemporaryDirectory() as folder:
        pretrain(data, recipe, seed=0, out=Path(folder), device=device, feed=feed, compiled=compiled)
        lines = (Path(folder) / LOG).read_text().splitlines()
    return float(json.loads(lines[-1])["images_per_second"])


def noise(count: int, size: int) -> ImageSet:
    """Images that nothing can be learned from; speed does not depend on them."""
    images = np.random.default_rng(0).integers(0, 256, (count, size, size), dtype=np.uint8)
    rows = tuple(
        Row(file=Path(f"{n}.png"), region=LABELS[n % len(LABELS)], group=str(n), use="train") for n in range(count)
    )
    return ImageSet(images=images, rows=rows)


def augmentation_milliseconds(data: ImageSet, recipe: Recipe, device: torch.device) -> float:
    """One view of one batch, drawn and computed: the best of 20."""
    images = torch.from_numpy(data.images[: recipe.pretrain.batch]).to(device)
    random, best = torch.Generator().manual_seed(0), float("inf")
    for _ in range(20):
        begun = time.perf_counter()
        drawn = draw(len(images), recipe.pretrain.augment, random, size=recipe.data.size)
        views_of(images, drawn, size=recipe.data.size)
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - begun)
    return best * 1000.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="simclr", choices=["supervised", "supcon", "simclr", "byol", "mixed"])
    parser.add_argument("--size", type=int, default=128, help="the model's input, px")
    parser.add_argument("--cache", type=int, default=144, help="the prepared images, px")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--images", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=10, help="measured steps of a round, after the first")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true")
    given = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    plan = {
        "method": given.method, "batch": given.batch, "samples": (given.steps + 1) * given.batch,
        "log_every": given.steps, "checkpoint_seconds": 1e9, "augment": {"crop_area": [0.08, 1.0], "shear": 30.0},
    }  # fmt: skip
    recipe = recipe_from({"data": {"size": given.size}, "pretrain": plan})
    data, views = noise(given.images, given.cache), VIEWS.get(given.method, 2)
    own = feed_from(Pool.of(data), recipe, seed=0, device=device, ranks=ALONE, number_of_views=views)
    feeds = {"ours": own, "bound": fixed_feed(own), "stock": stock_feed(data, recipe, device=device, views=views)}
    measured: dict[str, list[float]] = {name: [] for name in feeds}
    for _ in range(given.rounds):
        for name, feed in feeds.items():
            measured[name].append(images_per_second(feed, data, recipe, device, compiled=given.compile))
    print(conditions())
    print(f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads; {vars(given)}")
    for name, values in measured.items():
        print(f"{name:6} {statistics.median(values):8.1f} images/s ({min(values):.1f}..{max(values):.1f})")
    for name in ("bound", "stock"):
        ratios = [ours / other for ours, other in zip(measured["ours"], measured[name], strict=True)]
        print(f"ours / {name}: {statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})")
    print(f"augmentation: {augmentation_milliseconds(data, recipe, device):.1f} ms per view of {given.batch} images")


if __name__ == "__main__":
    main()
