"""Pictures so plain that a few steps learn them: a bright bar whose place tells the region."""

import csv
from pathlib import Path

import cv2
import numpy as np

from dicom_node.model.card import LABELS
from training.images import ImageSet
from training.manifest import Row

SIZE = 32


def bar(region_index: int, seed: int) -> np.ndarray:
    """(SIZE, SIZE) uint8: noise with a bright bar, 2 px wide, at a column that only this region has."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 60, (SIZE, SIZE), dtype=np.uint8)
    image[:, 2 + 2 * region_index : 4 + 2 * region_index] = 255
    return image


def small_set(per_region: int = 4, regions: int = 14) -> ImageSet:
    """`per_region` images of each of the first `regions` regions, and as many without a bar."""
    rows, images = [], []
    for number in range(per_region):
        for index in range(regions + 1):
            region = LABELS[index] if index < regions else "ood:noise"
            file = Path(f"{number}-{index}.png")
            rows.append(Row(file=file, region=region, group=f"g{number}", use="train", source="a"))
            images.append(bar(index if index < regions else 20, seed=number * 100 + index))
    return ImageSet(images=np.stack(images), rows=tuple(rows))


def write_manifest(folder: Path, per_region: int = 6) -> Path:
    """The same as PNG files with a manifest; every third image is for tuning."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "manifest.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "region", "group", "view", "use", "source", "licence", "origin"])
        for number in range(per_region):
            for index, region in enumerate((*LABELS, "ood:noise")):
                name = f"{number}-{index}.png"
                cv2.imwrite(str(folder / name), bar(index if index < 14 else 20, seed=number * 100 + index))
                use = "tune" if number % 3 == 0 else "train"
                writer.writerow([name, region, f"g{number}", "", use, "drawn", "none", ""])
    return path
