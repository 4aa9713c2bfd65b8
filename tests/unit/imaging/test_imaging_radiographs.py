"""Which objects the model may judge, by SOP class, modality, colour, frames, localizers and documents."""

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
    assert (f"modality {modality}" if modality else "an unknown modality") in reason


@pytest.mark.parametrize("element", ["Modality", "SOPClassUID"])
@pytest.mark.parametrize("text", ["GEHEIM", "GEHEIM^NAMENS", "1.2.826.0.1.999.4711"])
@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_what_is_no_defined_term_is_not_repeated(radiograph: Factory, element: str, text: str) -> None:
    """It may be a name that somebody typed into the wrong field; and reasons go into files without names."""
    reason = not_a_radiograph(radiograph(PIXELS, **{element: text}))
    assert reason is not None
    assert text not in reason
    assert "unknown" in reason


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


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ConversionType": "SD"}, "scanned documents"),
        ({"ConversionType": "DRW"}, "drawings"),
        ({"ConversionType": "SYN"}, "synthetic images"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "screen"),
        ({"ImageType": ["DERIVED", "SECONDARY", "", "SCREENSHOT"], "ConversionType": "WSD"}, "screen"),
    ],
)
@pytest.mark.parametrize("modality", ["OT", "DX"])
def test_captures_of_paper_and_screens_are_not(
    radiograph: Factory, modality: str, change: dict[str, object], reason: str
) -> None:
    """A referral letter that came with the films is a grey secondary capture of one frame as well."""
    ds = radiograph(PIXELS, SOPClassUID=SecondaryCaptureImageStorage, Modality=modality, **change)
    assert reason in (not_a_radiograph(ds) or "")


@pytest.mark.parametrize(
    "value",
    ["SCREEN SAVE", "SCREENSAVE", "SCREENSHOT", "SCREEN SHOT", "CT_SCREEN_CAPTURE", "SCREEN", "screen save"],
)
def test_each_word_for_a_screen_capture_is_known(radiograph: Factory, value: str) -> None:
    image_type = ["DERIVED", "SECONDARY", value]
    ds = radiograph(PIXELS, SOPClassUID=SecondaryCaptureImageStorage, Modality="OT", ImageType=image_type)
    assert "screen" in (not_a_radiograph(ds) or "")


@pytest.mark.parametrize("value", ["FILM SCREEN", "FILM/SCREEN", "SCREEN FILM", "SCREEN_FILM", "SCREENFILM"])
def test_a_digitized_film_of_a_cassette_with_screens_is_taken(radiograph: Factory, value: str) -> None:
    """Film-screen radiography is what films come from; its screens intensify light."""
    image_type = ["DERIVED", "PRIMARY", value]
    ds = radiograph(PIXELS, SOPClassUID=SecondaryCaptureImageStorage, Modality="OT", ImageType=image_type)
    assert not_a_radiograph(ds) is None


@pytest.mark.parametrize("conversion", ["DF", "DI", "WSD", "DV", "", None])
@pytest.mark.parametrize("burned_in", ["YES", "NO"])
def test_digitized_films_and_workstations_images_are_taken(
    radiograph: Factory, conversion: str | None, burned_in: str
) -> None:
    """Letters burned in are on most films, and say nothing of what else is."""
    more = {"ConversionType": conversion, "BurnedInAnnotation": burned_in}
    ds = radiograph(PIXELS, SOPClassUID=SecondaryCaptureImageStorage, Modality="OT", **more)
    assert not_a_radiograph(ds) is None


def test_what_marks_a_capture_says_nothing_of_a_radiograph(radiograph: Factory) -> None:
    """Conversion Type belongs to secondary captures, and the screen of a film cassette is no monitor."""
    ds = radiograph(PIXELS, ConversionType="SD", ImageType=["ORIGINAL", "PRIMARY", "FILM SCREEN"])
    assert not_a_radiograph(ds) is None


@pytest.mark.parametrize(
    "sop_class",
    [ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation, SecondaryCaptureImageStorage],
)
def test_stitched_images_are_not(radiograph: Factory, sop_class: str) -> None:
    """A whole leg made of three exposures shows several regions."""
    ds = radiograph(PIXELS, SOPClassUID=sop_class, ImageType=["DERIVED", "PRIMARY", "", "STITCHED"])
    assert "stitched" in (not_a_radiograph(ds) or "")


def test_an_empty_data_set_has_a_reason() -> None:
    """Nothing at all is no radiograph, and no exception."""
    assert not_a_radiograph(Dataset()) is not None
