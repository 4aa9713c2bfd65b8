"""Which objects the model may judge (dicom_facts D5: SOP class, modality, colour, frames, localizers)."""

from collections.abc import Callable

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    BreastTomosynthesisImageStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalIntraOralXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    EncapsulatedPDFStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

from dicom_node.imaging import not_a_radiograph

Factory = Callable[..., Dataset]
PIXELS = np.zeros((8, 8), np.uint16)


@pytest.mark.parametrize(
    ("sop_class", "modality"),
    [
        (ComputedRadiographyImageStorage, "CR"),
        (ComputedRadiographyImageStorage, ""),
        (DigitalXRayImageStorageForPresentation, "DX"),
        (DigitalXRayImageStorageForProcessing, "DX"),
        (SecondaryCaptureImageStorage, "OT"),
        (SecondaryCaptureImageStorage, "RG"),
        (MultiFrameGrayscaleByteSecondaryCaptureImageStorage, "CR"),
        (MultiFrameGrayscaleWordSecondaryCaptureImageStorage, "DX"),
    ],
)
def test_plain_radiographs_are_taken(radiograph: Factory, sop_class: str, modality: str) -> None:
    """CR, DX for presentation and processing, and grey secondary captures of imported films are radiographs."""
    assert not_a_radiograph(radiograph(PIXELS, SOPClassUID=sop_class, Modality=modality)) is None


@pytest.mark.parametrize(
    "sop_class",
    [
        DigitalMammographyXRayImageStorageForPresentation,
        DigitalIntraOralXRayImageStorageForPresentation,
        XRayAngiographicImageStorage,
        XRayRadiofluoroscopicImageStorage,
        BreastTomosynthesisImageStorage,
        CTImageStorage,
        BasicTextSRStorage,
        EncapsulatedPDFStorage,
        "1.2.3.4",
        "",
    ],
)
def test_other_sop_classes_are_not(radiograph: Factory, sop_class: str) -> None:
    """All other SOP classes have a reason that names the class."""
    reason = not_a_radiograph(radiograph(PIXELS, SOPClassUID=sop_class))
    assert reason is not None
    assert "SOP class" in reason


@pytest.mark.parametrize(
    ("sop_class", "modality"),
    [
        (SecondaryCaptureImageStorage, "CT"),
        (SecondaryCaptureImageStorage, "MG"),
        (SecondaryCaptureImageStorage, ""),
        (ComputedRadiographyImageStorage, "MG"),
        (DigitalXRayImageStorageForPresentation, "PX"),
    ],
)
def test_other_modalities_in_these_classes_are_not(radiograph: Factory, sop_class: str, modality: str) -> None:
    """A screenshot of a CT, or a mammogram in a CR object, is named by its modality."""
    reason = not_a_radiograph(radiograph(PIXELS, SOPClassUID=sop_class, Modality=modality))
    assert reason is not None
    assert "modality" in reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "colour"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour"),
        ({"NumberOfFrames": 2}, "multi-frame"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        ({"PixelData": b""}, "no pixel data"),
        ({"Rows": None}, "no pixel data"),
    ],
)
def test_content_that_is_no_radiograph_is_named(radiograph: Factory, change: dict[str, object], reason: str) -> None:
    """Colour, several frames, localizers and missing pixels each have their own reason."""
    assert reason in (not_a_radiograph(radiograph(PIXELS, **change)) or "")


def test_an_empty_data_set_has_a_reason() -> None:
    """Nothing at all is no radiograph, and no exception."""
    assert not_a_radiograph(Dataset()) is not None
