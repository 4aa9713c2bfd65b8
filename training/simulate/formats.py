"""The kinds of file that a simulated picture can become."""

from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from training.simulate.dicom import write_dx
from training.simulate.recipe import HeaderRecipe
from training.simulate.scene import Scene

Format = Literal["cache", "png", "jpeg", "dicom"]
FORMATS: tuple[Format, ...] = get_args(Format)
FOLDER = 1000
"""Pictures to a folder."""
JPEG_QUALITY = 92


def write_picture(
    out: Path,
    grey: npt.NDArray[np.uint8],
    scene: Scene,
    *,
    seed: int,
    index: int,
    kind: Format,
    headers: HeaderRecipe,
) -> str:
    """Write `grey` (H, W) below `out` and return its path from there; `kind` is any but "cache"."""
    suffix = {"png": "png", "jpeg": "jpg", "dicom": "dcm"}[kind]
    file = f"images/{index // FOLDER:04d}/{index:07d}.{suffix}"
    path = out / file
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "dicom":
        write_dx(path, grey, scene, seed=seed, index=index, headers=headers)
    else:
        options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if kind == "jpeg" else []
        path.write_bytes(cv2.imencode(f".{suffix}", grey, options)[1].tobytes())
    return file
