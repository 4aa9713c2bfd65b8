"""DICOM files as bytes."""

from pathlib import Path


def dataset_bytes(path: Path) -> bytes:
    """The data set of a Part 10 file, exactly as it lies there: what follows preamble and file meta (PS3.10 7.1)."""
    content = path.read_bytes()
    assert content[128:132] == b"DICM", path
    # Group length is the first element of the file meta: 8 bytes of tag, VR and length, 4 of value (PS3.10 7.1).
    length = int.from_bytes(content[140:144], "little")
    return content[144 + length :]
