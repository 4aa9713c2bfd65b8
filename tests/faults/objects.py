"""The objects that the senders of a fault run send: small radiographs with pixels of their own, never two alike."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from random import Random

from pydicom.uid import generate_uid

from dicom_node.part10 import split_meta
from tests.radiographs import as_file
from tests.synthetic import dark

SIDES = (32, 64, 64, 128, 256, 400)  # 2 to 320 kB


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A file to send. `content`: SHA-256 of its data set's bytes, without file meta."""

    uid: str
    path: Path
    content: str


def new_sample(folder: Path, chance: Random, *, series: int = 5) -> Sample:
    """Write one more object. Images share `series` series, as the images of an examination do."""
    side = chance.choice(SIDES)
    ds = dark(
        SOPInstanceUID=generate_uid(entropy_srcs=[str(chance.getrandbits(128))]),
        SeriesInstanceUID=f"1.2.3.4.{chance.randrange(series)}",
        StudyInstanceUID="1.2.3.4",
        BodyPartExamined="HAND",
        Rows=side,
        Columns=side,
        PixelData=chance.randbytes(2 * side * side),
    )
    ds["PixelData"].VR = "OW"
    path = as_file(ds, folder)
    return Sample(uid=str(ds.SOPInstanceUID), path=path, content=content_of(path))


def content_of(path: Path) -> str:
    """SHA-256 of the bytes of a file's data set."""
    with path.open("rb") as file:
        _, offset = split_meta(file)
        file.seek(offset)
        return hashlib.file_digest(file, "sha256").hexdigest()
