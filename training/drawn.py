"""Rows of a pool as one image set at the model's input size, at most so many."""

import cv2
import numpy as np
import torch

from training.images import ImageSet, UInt8Array
from training.metrics import Ints
from training.pool import Pool


def drawn(pool: Pool, size: int, *, at_most: int | None = None, of_each: int = 0, seed: int = 0) -> ImageSet:
    """The pool's images at (size, size); with `at_most`, so many of them by chance, the same for the same seed.

    `of_each`: of every target at least so many, where there are as many, whatever share of the pool they are; the
    others by chance. They go before `at_most`.
    """
    chosen = np.arange(len(pool.rows))
    if at_most is not None and len(chosen) > at_most:
        order = np.random.default_rng(seed).permutation(chosen)
        first = _first_of_each(pool.targets, order, of_each)
        others = order[~np.isin(order, first)]
        chosen = np.sort(np.concatenate([first, others[: max(0, at_most - len(first))]]))
    images = pool.taker(torch.device("cpu"))(torch.from_numpy(chosen)).numpy()
    return ImageSet(images=_sized(images, size), rows=tuple(pool.rows[index] for index in chosen))


def _first_of_each(targets: Ints, order: Ints, count: int) -> Ints:
    """The first `count` rows of every target in this order."""
    of_one = [order[targets[order] == target][:count] for target in np.unique(targets)]
    return np.concatenate([order[:0], *of_one])


def _sized(images: UInt8Array, size: int) -> UInt8Array:
    if images.shape[1] == size:
        return images
    resized = [cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in images]
    return np.stack(resized).astype(np.uint8) if resized else np.zeros((0, size, size), np.uint8)


def subset(data: ImageSet, chosen: Ints) -> ImageSet:
    """The rows with these numbers."""
    return ImageSet(images=data.images[chosen], rows=tuple(data.rows[index] for index in chosen))
