"""Simulated pictures as DX objects (Digital X-Ray Image Storage - For Presentation, PS3.3 A.26).

Nobody's data is in them and they say so: the names begin with SIMULATED, the identifiers with SIM, and every UID is
derived from the seed and the image's number, so that the same command writes the same bytes.
"""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from dicom_node.bodypart import BodyPart, body_part_of, body_parts
from dicom_node.regions import REGIONS, Region
from training.simulate.recipe import HeaderRecipe
from training.simulate.scene import Scene

IMAGES_TO_A_STUDY = 3
BITS = 12
FIRST_DAY = date(2020, 1, 1)
VIEWS = {
    "AP": ("399348003", "antero-posterior"),
    "PA": ("272479007", "postero-anterior"),
    "LATERAL": ("399067008", "lateral"),
    "OBLIQUE": ("399182000", "oblique"),
}
"""First word of a view's name -> SNOMED CT code and meaning (PS3.16 CID 4010)."""
OUTSIDE = ("CHEST", "ABDOMEN", "HUMERUS", "FEMUR", "FOREARM")
"""What the header of an image out of domain says."""


def write_dx(
    path: Path,
    grey: npt.NDArray[np.uint8],
    scene: Scene,
    *,
    seed: int,
    index: int,
    headers: HeaderRecipe,
) -> None:
    """Write `grey` (H, W), 0 to 255, as one DX object of 12 bits; three consecutive images are one study.

    Each image is a series of its own, since a series has one body part. BodyPartExamined is right, absent or wrong by
    the recipe's shares.
    """
    own, study = np.random.default_rng([seed, index]).spawn(1)[0], index // IMAGES_TO_A_STUDY
    ds = Dataset()
    _identify(ds, seed=seed, index=index, study=study)
    _describe(ds, scene, own, headers)
    _show(ds, grey, scene, inverse=own.random() < headers.monochrome1)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.file_meta = meta
    dcmwrite(path, ds, enforce_file_format=True)


def uid_of(what: str, seed: int, number: int) -> str:
    """The UID of a study, series or instance: always the same for the same seed and number."""
    return str(generate_uid(entropy_srcs=["simulated", what, str(seed), str(number)]))


def _identify(ds: Dataset, *, seed: int, index: int, study: int) -> None:
    """Patient, study and series: those of a study share the first two."""
    shared = np.random.default_rng([seed, study]).spawn(2)[1]
    day = FIRST_DAY + timedelta(days=int(shared.integers(1500)))
    time = f"{int(shared.integers(8, 18)):02d}{int(shared.integers(60)):02d}00"
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.SOPInstanceUID = uid_of("instance", seed, index)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uid_of("study", seed, study), uid_of("series", seed, index)
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = ds.AcquisitionDate = day.strftime("%Y%m%d")
    ds.StudyTime = ds.SeriesTime = ds.ContentTime = ds.AcquisitionTime = time
    ds.AccessionNumber, ds.StudyID, ds.ReferringPhysicianName = f"SIM{study:08d}", f"SIM{study:08d}", ""
    ds.PatientName, ds.PatientID = f"SIMULATED^NUMBER {study}", f"SIM-{seed}-{study}"
    # One patient, but the subjects of the study's images differ: the header leaves open what it cannot say for all.
    ds.PatientBirthDate = ds.PatientSex = ""
    ds.SeriesNumber, ds.InstanceNumber = index % IMAGES_TO_A_STUDY + 1, 1
    ds.Manufacturer, ds.StudyDescription = "SIMULATED", "SIMULATED RADIOGRAPHS"


def _describe(ds: Dataset, scene: Scene, random: np.random.Generator, headers: HeaderRecipe) -> None:
    """Body part, side and view, as a modality would fill them in, or not."""
    ds.Modality, ds.PresentationIntentType = "DX", "FOR PRESENTATION"
    part, chance = _stated_part(scene, random, headers), random.random()
    ds.ImageLaterality = str(random.choice(["L", "R"])) if part.paired else "U"
    ds.AnatomicRegionSequence = []
    if chance >= headers.absent:
        ds.BodyPartExamined = part.term
        ds.AnatomicRegionSequence = [_code(part.code, part.meaning)]
    word = scene.view.upper().split()[0] if scene.view else ""
    if word in {"AP", "PA"}:
        ds.ViewPosition = word
    if word in VIEWS:
        view = _code(*VIEWS[word])
        view.ViewModifierCodeSequence = []
        ds.ViewCodeSequence = [view]
    ds.PatientOrientation = ["L", "F"]
    ds.SeriesDescription = f"SIMULATED {scene.view}"[:64]


def _stated_part(scene: Scene, random: np.random.Generator, headers: HeaderRecipe) -> BodyPart:
    """What the modality's operator chose: the right part, or another one."""
    if scene.region.startswith("ood:"):
        return body_parts()[str(random.choice(OUTSIDE))]
    right = Region(scene.region)
    if random.random() >= headers.wrong:
        return body_part_of(right)
    others = [region for region in REGIONS if region != right]
    return body_part_of(others[int(random.integers(len(others)))])


def _show(ds: Dataset, grey: npt.NDArray[np.uint8], scene: Scene, *, inverse: bool) -> None:
    """The pixels, and how they are to be shown."""
    top = (1 << BITS) - 1
    stored = np.round(grey * (top / 255.0)).astype("<u2")
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME1" if inverse else "MONOCHROME2"
    ds.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"
    ds.Rows, ds.Columns = grey.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, BITS, BITS - 1, 0
    ds.PixelData = (top - stored if inverse else stored).astype("<u2").tobytes()
    ds.ImageType = ["ORIGINAL", "PRIMARY", ""]
    ds.PixelIntensityRelationship, ds.PixelIntensityRelationshipSign = "LOG", 1 if inverse else -1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
    ds.WindowCenter, ds.WindowWidth = (top + 1) // 2, top + 1
    ds.LossyImageCompression, ds.BurnedInAnnotation = "00", "NO"
    ds.DetectorType, ds.DetectorConfiguration = "SCINTILLATOR", "AREA"
    pitch = round(scene.camera.pitch * 1000.0, 4)
    ds.ImagerPixelSpacing = [pitch, pitch]
    ds.PositionerType = ""
    ds.AcquisitionContextSequence = []


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item
