"""DICOM files as bytes."""

from pathlib import Path

LONG_LENGTH = {b"OB", b"UN"}  # of the file meta's elements, those with four bytes of length (PS3.5 7.1.2)


def dataset_bytes(path: Path) -> bytes:
    """The data set of a Part 10 file, exactly as it lies there: what follows preamble and file meta (PS3.10 7.1)."""
    content = path.read_bytes()
    assert content[128:132] == b"DICM", path
    start = 132
    while content[start : start + 2] == b"\x02\x00":
        wide = content[start + 4 : start + 6] in LONG_LENGTH
        at, size = (start + 8, 4) if wide else (start + 6, 2)
        start = at + size + int.from_bytes(content[at : at + size], "little")
    return content[start:]
