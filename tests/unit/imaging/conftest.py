"""Factories for the imaging tests: small data sets in memory, and where the shared pictures are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


def _radiograph(values: np.ndarray, **attributes: Any) -> Dataset:
    """Return a CR image of the given stored values; keywords add to or replace its attributes."""
    syntax = attributes.pop("TransferSyntaxUID", ExplicitVRLittleEndian)
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID = ComputedRadiographyImageStorage
    ds.Modality = "CR"
    ds.Rows, ds.Columns = values.shape
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = values.dtype.itemsize * 8
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(values.dtype.kind == "i")
    order = "<" if syntax.is_little_endian else ">"
    ds.PixelData = values.astype(values.dtype.newbyteorder(order)).tobytes()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


@pytest.fixture
def radiograph() -> Callable[..., Dataset]:
    return _radiograph


@pytest.fixture(scope="session")
def shared_dicom() -> Path:
    if not (SHARED / "dicom").is_dir():
        pytest.skip("shared/data/dicom is not there")
    return SHARED / "dicom"


@pytest.fixture(scope="session")
def shared_radiographs() -> Path:
    if not (SHARED / "radiographs").is_dir():
        pytest.skip("shared/data/radiographs is not there")
    return SHARED / "radiographs"
