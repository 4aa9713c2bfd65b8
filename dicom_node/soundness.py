"""Whether a file of the spool still is what was put into it: disks lose bytes, and copies of them break off."""

import hashlib
import os
from io import BytesIO
from pathlib import Path
from struct import unpack
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from dicom_node.content import PIECE
from dicom_node.part10 import PREAMBLE

# What `part10.file_header` begins with, up to the length of the rest (PS3.10 section 7.1).
_BEGINNING = PREAMBLE + b"\x02\0\0\0UL\x04\0"
_SOP_INSTANCE_UID = 0x00020003
_TRANSFER_SYNTAX_UID = 0x00020010


def is_as_long(path: Path, size: int) -> bool:
    """Whether there is a file with a data set of `size` bytes. Raises OSError when that cannot be told."""
    try:
        with path.open("rb") as file:
            begins_at = len(_BEGINNING) + 4 + _length_of_meta(file)
            return os.fstat(file.fileno()).st_size == begins_at + size
    except (FileNotFoundError, IsADirectoryError, _BrokenError):
        return False


def is_sound(path: Path, digest: str) -> bool:
    """Whether there is a file with the content of this digest (`part10.digest_of`), all of which is read for it.

    The UID and the syntax are those that the file says, since it will be sent under them. Raises OSError.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.sha256(_announced(file.read(_length_of_meta(file))))
            while piece := file.read(PIECE):
                found.update(piece)
    except (FileNotFoundError, IsADirectoryError, _BrokenError):
        return False
    return found.hexdigest() == digest


def is_surely_sound(path: Path, digest: str) -> bool:
    """As `is_sound`, for whoever vouches for it: what cannot be read is not."""
    try:
        return is_sound(path, digest)
    except OSError:
        return False


class _BrokenError(Exception):
    """Not even the file's head is what this node writes."""


def _length_of_meta(file: BinaryIO) -> int:
    head = file.read(len(_BEGINNING) + 4)
    if len(head) < len(_BEGINNING) + 4 or not head.startswith(_BEGINNING):
        raise _BrokenError
    return int(unpack("<L", head[-4:])[0])


def _announced(meta: bytes) -> bytes:
    """As the bytes lie there: some peers' UIDs are none, and a digest is made from what they said."""
    try:
        ds: Dataset = read_dataset(BytesIO(meta), is_implicit_VR=False, is_little_endian=True)
        values = [ds.get_item(tag).value for tag in (_TRANSFER_SYNTAX_UID, _SOP_INSTANCE_UID)]
        return b"".join(value.rstrip(b"\0") + b"\0" for value in values)
    except Exception as error:
        raise _BrokenError from error
