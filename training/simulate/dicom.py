"""Simulated pictures as DX objects (Digital X-Ray Image Storage - For Presentation, PS3.3 A.26).

Nobody's data is in them and they say so: the names begin with SIMULATED, the identifiers with SIM, and every UID is
derived from the seed and the image's number, so that the same command writes the same bytes.
"""

import hashlib
import re
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
OUTSIDE = {"ood:chest": "CHEST", "ood:abdomen": "ABDOMEN"}
SHAFTS = {"humerus": "HUMERUS", "radius": "EXTREMITY", "femur": "FEMUR", "tibia": "CALF"}
"""Kind of image out of domain, or the bone that a shaft is of -> its body part; the other kinds have none. FOREARM and
LOWERLEG would be closer, but are younger than dciodvfy's table, and these objects are there to be checked.
"""
WAYS = ("LR", "PA", "FH")
"""The letters of a direction along x, y and z: where it is negative, and where it is positive."""
ASLANT = 0.4
"""A direction is named after the axes along which it goes by this much at least (24 degrees out of their plane)."""


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
    the recipe's shares; side, view and directions are those of the picture. A sheet of two views has the directions and
    the spacing of the first, which DX objects must state, and no view.
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
    # Of the 16 characters that both may have, a long seed and a number would leave none.
    ds.AccessionNumber = ds.StudyID = "SIM" + hashlib.sha256(f"{seed}-{study}".encode()).hexdigest()[:13].upper()
    ds.PatientName, ds.PatientID = f"SIMULATED^NUMBER {seed}-{study}", f"SIM-{seed}-{study}"
    ds.ReferringPhysicianName = ""
    # One patient, but the subjects of the study's images differ: the header leaves open what it cannot say for all.
    ds.PatientBirthDate = ds.PatientSex = ""
    ds.SeriesNumber, ds.InstanceNumber = index % IMAGES_TO_A_STUDY + 1, 1
    ds.Manufacturer, ds.StudyDescription = "SIMULATED", "SIMULATED RADIOGRAPHS"


def _describe(ds: Dataset, scene: Scene, random: np.random.Generator, headers: HeaderRecipe) -> None:
    """Body part, side and view, as a modality would fill them in, or not."""
    ds.Modality, ds.PresentationIntentType = "DX", "FOR PRESENTATION"
    stated = _stated_part(scene, random, headers)
    part = stated or _part_of(scene)
    ds.ImageLaterality = _side(scene) if part is not None and part.paired else "U"
    ds.AnatomicRegionSequence = []
    if stated is not None:
        ds.BodyPartExamined = stated.term
        ds.AnatomicRegionSequence = [_code(stated.code, stated.meaning)]
    word = _view(scene)
    if word in {"AP", "PA"}:
        ds.ViewPosition = word
    if word in VIEWS:
        view = _code(*VIEWS[word])
        view.ViewModifierCodeSequence = []
        ds.ViewCodeSequence = [view]
    # It may be neither absent nor empty (PS3.3 C.8.11.3): where no body is, what most pictures have.
    ds.PatientOrientation = ["L", "F"] if scene.anatomy is None else [_letters(way) for way in scene.anatomy[:2]]
    ds.SeriesDescription = f"SIMULATED {scene.view}"[:64]


def _stated_part(scene: Scene, random: np.random.Generator, headers: HeaderRecipe) -> BodyPart | None:
    """What the modality's operator chose: the right part, another one, or none."""
    chance, right = random.random(), _part_of(scene)
    if chance < headers.absent:
        return None
    if chance >= headers.absent + headers.wrong:
        return right
    others = [part for part in map(body_part_of, REGIONS) if part != right]
    return others[int(random.integers(len(others)))]


def _part_of(scene: Scene) -> BodyPart | None:
    """What the picture shows; None for what is no part of a body, and for a slice or teeth."""
    if not scene.region.startswith("ood:"):
        return body_part_of(Region(scene.region))
    terms = [OUTSIDE.get(scene.region, ""), *(SHAFTS.get(bone[:-2], "") for bone in scene.shown)]
    known = [body_parts()[term] for term in terms if term]
    return known[0] if known else None


def _side(scene: Scene) -> str:
    """R, L, B for both, or U where the bones of the picture are in the middle or none: ImageLaterality."""
    shown = scene.shown + (scene.beside.shown if scene.beside else ())
    sides = {found[1] for bone in shown if (found := re.search(r"_([rl])(?:\.|$)", bone))}
    return "B" if len(sides) > 1 else sides.pop().upper() if sides else "U"


def _view(scene: Scene) -> str:
    """The first word of the view's name; for a frontal one, what the beam says; empty for two views on a sheet."""
    if scene.anatomy is None or scene.beside is not None or not scene.view:
        return ""
    word = scene.view.upper().split()[0]
    backwards = scene.anatomy[2, 1] < 0.0
    return word if word not in {"AP", "PA"} else "AP" if backwards else "PA"


def _letters(way: npt.NDArray[np.float64]) -> str:
    """A direction (3,) in the subject's axes as PatientOrientation says it, the nearest axis first (C.7.6.1.1.1)."""
    return "".join(
        WAYS[axis][int(way[axis] > 0.0)] for axis in np.argsort(-np.abs(way), kind="stable") if abs(way[axis]) >= ASLANT
    )


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
    pitch = round(scene.camera.pitch / scene.enlarged * 1000.0, 4)
    ds.ImagerPixelSpacing = [pitch, pitch]
    ds.PositionerType = ""
    ds.AcquisitionContextSequence = []


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item
