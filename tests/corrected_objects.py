"""CR and DX objects made from scratch, valid by dciodvfy, for the tests of outgoing copies."""

from datetime import UTC, datetime
from io import BytesIO

import numpy as np
from pydicom import Dataset, FileDataset, dcmread, dcmwrite
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)

from dicom_node.bodypart import body_parts
from dicom_node.correct import Correction
from dicom_node.verdict import Decision

AT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def correction(term: str, *, region: str | None = "", decision: Decision = Decision.CORRECTS, **over) -> Correction:
    """A correction to a term of BodyPartExamined; the image's own region is the same unless `region` says otherwise."""
    own = term if region == "" else region
    values = {
        "body_part": body_parts()[term],
        "region": body_parts()[own] if own else None,
        "decision": decision,
        "model_id": "starter-7f3a",
        "ae_title": "REGION",
        "software_version": "0.1.0",
        "at": AT,
    }
    return Correction(**(values | over))


def code(value: str, meaning: str, scheme: str = "SCT") -> Dataset:
    """A coded concept."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def anatomy(term: str) -> list[Dataset]:
    """AnatomicRegionSequence for a term."""
    return [code(body_parts()[term].code, body_parts()[term].meaning)]


def as_read(ds: Dataset, transfer_syntax: str | None = None) -> FileDataset:
    """`ds` written to a file and read again, as the spool gives it."""
    if transfer_syntax:
        ds.file_meta.TransferSyntaxUID = transfer_syntax
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return dcmread(BytesIO(buffer.getvalue()))


def with_bytes(ds: FileDataset, keyword: str, value: bytes) -> FileDataset:
    """`ds` with an element as a file can hold it, however wrong its bytes are."""
    tag = Tag(tag_for_keyword(keyword))
    ds._dict[tag] = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)
    return ds


def undecoded(ds: Dataset) -> dict[int, tuple[str | None, object]]:
    """Every element as it is encoded, group lengths apart (they are retired, and never written)."""
    elements = {}
    for tag in ds.keys():  # noqa: SIM118  # iterating decodes
        element = ds.get_item(tag)
        if tag.element == 0:
            continue
        if isinstance(element.value, Sequence):
            elements[tag] = ("SQ", [undecoded(item) for item in element.value])
        else:
            elements[tag] = (element.VR, element.value or b"")
    return elements


def cr(**elements) -> FileDataset:
    """A CR image; `elements` by keyword override, None removes."""
    ds = _radiograph(ComputedRadiographyImageStorage, "CR")
    ds.BodyPartExamined = ""
    ds.ViewPosition = "AP"
    return as_read(_with(ds, elements))


def dx(**elements) -> FileDataset:
    """A DX image for presentation with every Type 1 attribute; `elements` by keyword override, None removes."""
    ds = _radiograph(DigitalXRayImageStorageForPresentation, "DX")
    ds.ImageLaterality = "U"
    ds.AnatomicRegionSequence = []
    ds.PresentationIntentType = "FOR PRESENTATION"
    ds.PixelIntensityRelationship, ds.PixelIntensityRelationshipSign = "LOG", -1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
    ds.PresentationLUTShape = "IDENTITY"
    ds.LossyImageCompression, ds.BurnedInAnnotation = "00", "NO"
    ds.WindowCenter, ds.WindowWidth = 2048, 4096
    ds.DetectorType, ds.DetectorConfiguration = "SCINTILLATOR", "AREA"
    ds.ImagerPixelSpacing = [0.14, 0.14]
    ds.PositionerType = ds.ViewPosition = ""
    ds.AcquisitionContextSequence = []
    return as_read(_with(ds, elements))


def _with(ds: FileDataset, elements: dict) -> FileDataset:
    for keyword, value in elements.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def _radiograph(sop_class: str, modality: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, generate_uid(entropy_srcs=[modality, "instance"])
    ds.StudyInstanceUID, ds.SeriesInstanceUID = (generate_uid(entropy_srcs=[modality, each]) for each in ("st", "se"))
    ds.ImageType, ds.Modality = ["ORIGINAL", "PRIMARY", ""], modality
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = ds.AcquisitionDate = ds.InstanceCreationDate = "20260101"
    ds.StudyTime = ds.SeriesTime = ds.ContentTime = ds.AcquisitionTime = ds.InstanceCreationTime = "101500"
    ds.AccessionNumber, ds.StudyID, ds.ReferringPhysicianName = "A1", "S1", ""
    ds.Manufacturer = "Müller Röntgen"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Größe^Ännchen", "P1", "19700101", "F"
    ds.SeriesNumber, ds.InstanceNumber = 1, 3
    ds.PatientOrientation = ["L", "F"]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = 16, 12
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = np.random.default_rng(7).integers(0, 4096, (16, 12), dtype=np.uint16).tobytes()
    return ds
