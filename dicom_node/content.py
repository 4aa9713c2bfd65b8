"""What a data set consists of: bytes, or a file without a name for one that is too large to be kept in memory by many
associations at once. It is looked at in pieces, and gone with whoever holds it.
"""

from collections.abc import Iterator
from io import BytesIO
from mmap import ACCESS_READ, MADV_DONTNEED, mmap
from typing import BinaryIO, cast

PIECE = 1 << 20

Content = bytes | mmap
"""What a data set consists of: both can be sliced, measured and searched alike."""


def mapped(file: BinaryIO) -> mmap:
    """The content of an open file, which must not be empty; it stays when the file is closed. Raises OSError."""
    file.flush()
    return mmap(file.fileno(), 0, access=ACCESS_READ)


def in_pieces(content: Content) -> Iterator[bytes]:
    """All of it, in order; of a mapped file, no more than a piece at a time is in memory."""
    if isinstance(content, bytes):
        yield content
        return
    for start in range(0, len(content), PIECE):
        yield content[start : start + PIECE]
        content.madvise(MADV_DONTNEED, start, min(PIECE, len(content) - start))


def as_file(content: Content) -> BinaryIO:
    """To read from its beginning, without a copy of a mapped file."""
    if isinstance(content, bytes):
        return BytesIO(content)
    content.seek(0)
    return cast("BinaryIO", content)
