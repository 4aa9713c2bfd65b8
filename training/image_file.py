"""The pixels of a data set as they come, image by image, so that no more than a few lie in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
Given = TypeVar("Given")
Made = TypeVar("Made")

BUFFER = 1 << 20


@contextmanager
def growing(path: Path, *, size: int) -> Iterator[Callable[[UInt8Array], None]]:
    """A function that appends an image (size, size) uint8 to `path`, an .npy file of (N, size, size).

    The file appears when the context ends well; until then its beginning is `path` with ".part", which says that it
    holds no image. An older file is gone from the start, but stays for whoever has it mapped.
    """
    part, n = path.with_name(path.name + ".part"), 0
    path.unlink(missing_ok=True)
    with part.open("wb", buffering=BUFFER) as stream:
        begins = _header(stream, 0, size)

        def append(image: UInt8Array) -> None:
            nonlocal n
            stream.write(np.ascontiguousarray(image, np.uint8).data)
            n += 1

        yield append
        stream.seek(0)
        # numpy leaves room in the header for the first axis to grow (GROWTH_AXIS_MAX_DIGITS).
        assert _header(stream, n, size) == begins
    part.replace(path)


def in_order(
    pool: Executor, function: Callable[[Given], Made], items: Iterable[Given], *, ahead: int
) -> Iterator[Made]:
    """`pool.map`, but at most `ahead` items are being worked on or wait to be taken."""
    waiting: deque[Future[Made]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _header(stream: IO[bytes], n: int, size: int) -> int:
    """Write the header for `n` images; returns where the pixels begin."""
    about = {"descr": "|u1", "fortran_order": False, "shape": (n, size, size)}
    np.lib.format.write_array_header_1_0(stream, about)
    return stream.tell()
