"""Objects to send: CR images of a given size, of noise, with new UIDs, of nobody."""

from datetime import datetime
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid


def write_objects(folder: Path, *, count: int, size: int, rng: np.random.Generator, now: datetime) -> list[Path]:
    """Write `count` CR images of about `size` bytes each, one study, every one with UIDs and pixels of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    side = max(16, round((size / 2) ** 0.5))
    noise = rng.integers(0, 4096, (side, side), dtype=np.uint16)
    study, series = generate_uid(), generate_uid()
    paths = []
    for number in range(count):
        ds = _radiograph(np.roll(noise, number, axis=1), now=now)
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.InstanceNumber = study, series, number + 1
        path = folder / f"{number:05d}.dcm"
        ds.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def _radiograph(values: np.ndarray, *, now: datetime) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ComputedRadiographyImageStorage
    ds.SOPInstanceUID = generate_uid()
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Bench^Mark", "BENCHMARK", "", ""
    ds.StudyDate, ds.StudyTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    ds.AccessionNumber, ds.ReferringPhysicianName, ds.StudyID = "", "", "1"
    ds.Modality, ds.SeriesNumber, ds.BodyPartExamined, ds.ViewPosition = "CR", 1, "", ""
    ds.Rows, ds.Columns = values.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = values.tobytes()
    return ds
