"""Which objects are plain radiographs, and so are classified at all."""

import re

from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

RADIOGRAPHY = frozenset(
    {
        ComputedRadiographyImageStorage,
        DigitalXRayImageStorageForPresentation,
        DigitalXRayImageStorageForProcessing,
    }
)
SECONDARY_CAPTURE = frozenset(
    {
        SecondaryCaptureImageStorage,
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    }
)
RADIOGRAPHY_MODALITIES = frozenset({"CR", "DX", "RG"})
IMPORT_MODALITIES = RADIOGRAPHY_MODALITIES | {"OT"}
MODALITY = re.compile(
    r"AR|ASMT|AU|BDUS|BI|BMD|CFM|CR|CT|CTPROTOCOL|DG|DMS|DOC|DX|ECG|EEG|EMG|EOG|EPS|ES|FID|GM|HC|HD|IO"
    r"|IOL|IVOCT|IVUS|KER|KO|LEN|LS|M3D|MG|MR|NM|OAM|OCT|OP|OPM|OPT|OPTBSV|OPTENF|OPV|OSS|OT|PA|PLAN|POS|PR|PT|PX"
    r"|REG|RESP|RF|RG|RTDOSE|RTIMAGE|RTPLAN|RTRECORD|RTSTRUCT|RWV|SEG|SM|SMR|SR|SRF|STAIN|TEXTUREMAP|TG|US|VA|XA|XC"
)
"""The defined terms (PS3.16 CID 33, as pydicom 3.0 has it): what else stands in Modality may be a name."""

MADE_ELSEWHERE = {"SD": "scanned documents", "DRW": "drawings", "SYN": "synthetic images"}
"""Conversion Types (PS3.3 C.8.6.1) of secondary captures that show no film and no detector's image."""

SCREEN_CAPTURE = re.compile(r"SCREEN|.*SCREEN[ _-]?(SAVE|SHOT|CAP|COPY|DUMP|GRAB|SNAP).*")
"""How workstations mark what they took from their monitor, in Image Type; FILM SCREEN is the cassette's."""


def not_a_radiograph(ds: Dataset) -> str | None:
    """Return why this object is not a plain radiograph that the model may judge, or None when it is one.

    Taken are Computed Radiography and Digital X-Ray images (for presentation and for processing), and grey secondary
    captures of modality CR, DX, RG or OT, which is how imported films arrive, unless they are marked as documents,
    drawings or screens; all of one frame, not stitched together, and with their pixels in `ds`. The reason is one
    short sentence without patient data.
    """
    return _wrong_class(ds) or _wrong_content(ds)


def _wrong_class(ds: Dataset) -> str | None:
    sop_class = UID(_text(ds, "SOPClassUID"))
    modality = _text(ds, "Modality")
    if sop_class in RADIOGRAPHY:
        known = not modality or modality in RADIOGRAPHY_MODALITIES
    elif sop_class in SECONDARY_CAPTURE:
        known = modality in IMPORT_MODALITIES
    else:
        named = sop_class.name if sop_class.name != sop_class else "unknown"
        return f"SOP class {named} is not a plain radiograph"
    if known:
        return None
    named = f"modality {modality}" if MODALITY.fullmatch(modality) else "an unknown modality"
    return f"{named} is not plain radiography"


def _wrong_content(ds: Dataset) -> str | None:
    if not _has_pixels(ds) or not ds.get("Rows") or not ds.get("Columns"):
        return "the object has no pixel data"
    grey = _text(ds, "PhotometricInterpretation").startswith("MONOCHROME")
    if ds.get("SamplesPerPixel") not in (None, 1) or not grey:
        return "colour images are not plain radiographs"
    if _frames(ds) > 1:
        return "multi-frame images are not plain radiographs"
    return _wrong_kind(ds)


def _wrong_kind(ds: Dataset) -> str | None:
    image_type = _image_type(ds)
    if "LOCALIZER" in image_type:
        return "localizers are not plain radiographs"
    if "STITCHED" in image_type:
        return "images stitched together of several are not plain radiographs"
    if UID(_text(ds, "SOPClassUID")) not in SECONDARY_CAPTURE:
        return None
    if any(SCREEN_CAPTURE.fullmatch(value) for value in image_type):
        return "captures of a screen are not plain radiographs"
    made = MADE_ELSEWHERE.get(_text(ds, "ConversionType"))
    return f"{made} are not plain radiographs" if made else None


def _text(ds: Dataset, keyword: str) -> str:
    return str(ds.get(keyword) or "").strip().upper()


def _has_pixels(ds: Dataset) -> bool:
    """Without reading them: where they are deferred, they are large."""
    if "PixelData" not in ds:
        return False
    pixels = ds.get_item("PixelData", keep_deferred=True)
    return bool(pixels.length if isinstance(pixels, RawDataElement) else pixels.value)


def _frames(ds: Dataset) -> int:
    try:
        return int(ds.get("NumberOfFrames") or 1)
    except (TypeError, ValueError):
        return 1


def _image_type(ds: Dataset) -> list[str]:
    values = ds.get("ImageType") or []
    return [str(value).strip().upper() for value in ([values] if isinstance(values, str) else values)]
