"""What the loop learns from: rows of several prepared folders, mapped into memory and gathered step by step."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.errors import TrainingError
from training.images import ImageSet, UInt8Array, load
from training.manifest import Row, check_groups

LOOKED_AT = 64
"""Images whose pixels enter a pool's fingerprint: the same rows prepared anew, larger or cleaned otherwise, show."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """(N, S, S) uint8 that stay where they lie, in files perhaps: only those that are asked for are read and copied."""

    parts: tuple[UInt8Array, ...]
    place: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.place)

    def __getitem__(self, chosen: slice | int | npt.NDArray[np.int64]) -> UInt8Array:
        """One image (S, S), or those of a slice or of row numbers (n, S, S)."""
        place = self.place[chosen]
        if place.ndim == 1:
            return np.array(self.parts[place[0]][place[1]])
        taken = np.empty((len(place), *self.parts[0].shape[1:]), np.uint8)
        for number, part in enumerate(self.parts):
            here = place[:, 0] == number
            taken[here] = part[place[here, 1]]
        return taken

    def __iter__(self) -> Iterator[UInt8Array]:
        return (self[number] for number in range(len(self)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool:
    """`parts`: (n, S, S) uint8 each, of one size S; `place` (N, 2): each row's part, and where it lies in it."""

    parts: tuple[UInt8Array, ...]
    place: npt.NDArray[np.int64]
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, *sets: ImageSet) -> Self:
        """Several image sets as one, without copying their pixels.

        Raises:
            TrainingError: there are none, or they were prepared at different sizes.
        """
        if len({each.size for each in sets}) != 1:
            raise TrainingError("The data sets were prepared at different sizes; prepare them with one recipe.")
        pairs = [(part, index) for part, each in enumerate(sets) for index in range(len(each.rows))]
        return cls(
            parts=tuple(each.images for each in sets),
            place=np.array(pairs, np.int64).reshape(-1, 2),
            rows=tuple(row for each in sets for row in each.rows),
        )

    @property
    def images(self) -> Images:
        """(N, S, S) uint8, read as they are asked for."""
        return Images(parts=self.parts, place=self.place)

    @property
    def size(self) -> int:
        """The side of an image in pixels."""
        return int(self.parts[0].shape[1])

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """(N,) region index, `OOD` or `UNLABELLED`."""
        return np.array([row.target for row in self.rows], np.int64)

    @property
    def fingerprint(self) -> str:
        """The same for the same rows in the same order, wherever their folders lie: 16 digits for what the rows say,
        then 16 for the images' size and the pixels of some of them.
        """
        lines = (f"{row.file.name}|{row.region}|{row.group}|{row.source}\n" for row in self.rows)
        said = sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()[:16]
        pixels = sha256(f"{self.size}|".encode())
        for part, index in self.place[:: 1 + len(self.rows) // LOOKED_AT]:
            pixels.update(np.ascontiguousarray(self.parts[part][index]).tobytes())
        return f"{said}-{pixels.hexdigest()[:16]}"

    def where(self, keep: Callable[[Row], bool]) -> Self:
        """The rows for which `keep` is true."""
        chosen = [index for index, row in enumerate(self.rows) if keep(row)]
        return replace(self, place=self.place[chosen], rows=tuple(self.rows[index] for index in chosen))

    def taker(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """A function from row numbers (B,), on the CPU, to their images (B, S, S) uint8 on `device`.

        On a GPU all pixels are moved there once; on the CPU they stay in the files and only what is asked for is read.
        """
        if device.type == "cpu":
            return self._take
        parts = [torch.from_numpy(np.array(part)).to(device) for part in self.parts]
        starts = np.cumsum([0, *(len(part) for part in parts)])
        flat = torch.from_numpy(starts[self.place[:, 0]] + self.place[:, 1]).to(device)
        images = parts[0] if len(parts) == 1 else torch.cat(parts)
        return lambda chosen: images[flat[chosen.to(device)]]

    def _take(self, chosen: Tensor) -> Tensor:
        return torch.from_numpy(self.images[chosen.numpy()])


def open_pool(paths: Sequence[Path], *, at_least: int) -> Pool:
    """Prepared folders (or their manifest.csv) as one pool, mapped into memory instead of read.

    Raises:
        TrainingError: one is not prepared, or they differ in size, or are smaller than the model's input, or a group
            (a patient) has rows of more than one use.
    """
    pool = Pool.of(*(load(path, mapped=True) for path in paths))
    if pool.size < at_least:
        raise TrainingError(f"The data was prepared at {pool.size} px, the recipe asks for {at_least} px or more.")
    check_groups(pool.rows)
    return pool
