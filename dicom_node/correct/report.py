"""The structured report: what the pixels show, beside an image that stays as it is.

TID 1500 Measurement Report (PS3.16) as Comprehensive 3D SR, the form that IHE AI Results evidence creators write.
"""

import re
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime

from highdicom import sr
from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.bodypart import body_part_of
from dicom_node.correct.copies import derived_uid
from dicom_node.correct.elements import (
    ascii_text,
    dicom_datetime,
    keep_bytes,
    needed_uid,
    raw_value,
    tag_of,
    text_value,
    translating,
)
from dicom_node.correct.original import MANUFACTURER, MODEL_NAME
from dicom_node.regions import Region

_PERCENT = Code("%", "UCUM", "percent")
_OFFSET = re.compile(r"[+-](0\d|1[0-4])[0-5]\d")
_SERIES_NUMBER = 9914  # far from the numbers that modalities count up from
_SERIES_DESCRIPTION = "Body region recognition"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a report states: `confidence` is the calibrated probability of `region`, in [0, 1]."""

    region: Region
    confidence: float
    model_id: str
    ae_title: str
    software_version: str
    at: datetime


def report_of(ds: Dataset, finding: Finding, namespace: str) -> Dataset:
    """A Comprehensive 3D SR that refers to the image `ds`; `namespace` is the destination's name.

    Its UIDs depend on the image and the namespace alone, so that a retry makes the same object. Patient and study are
    the image's, byte for byte, and empty where the image has none. Raises CorrectionError where the image has no UIDs.
    """
    with translating("the report"):
        report = _document(ds, finding, f"{namespace}/report")
        _inherit(ds, report)
        return report


def _document(ds: Dataset, finding: Finding, namespace: str) -> Dataset:
    evidence = _evidence(ds)
    at = _local(ds, finding.at)
    report: Dataset = sr.Comprehensive3DSR(
        evidence=[evidence],
        content=_content(evidence, finding, namespace),
        series_instance_uid=derived_uid(evidence.SeriesInstanceUID, namespace),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=derived_uid(evidence.SOPInstanceUID, namespace),
        instance_number=_instance_number(ds),
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL_NAME,
        software_versions=ascii_text(finding.software_version, 64),
        device_serial_number=ascii_text(finding.ae_title, 64),
        series_description=_SERIES_DESCRIPTION,
        is_complete=True,
        content_date=at.date(),
        content_time=at.time(),
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    report.InstanceCreationDate = at.strftime("%Y%m%d")
    report.InstanceCreationTime = at.strftime("%H%M%S.%f")
    for equipment in report.ContributingEquipmentSequence:  # highdicom names itself, and takes the time from the clock
        equipment.ContributionDateTime = dicom_datetime(at)
    return report


def _local(ds: Dataset, at: datetime) -> datetime:
    """`at` in the image's zone where it names one, since study and content share one offset in an object; else in this
    machine's, which is the hospital's as the modality's is.
    """
    offset = text_value(ds, "TimezoneOffsetFromUTC")
    return at.astimezone(datetime.strptime(offset, "%z").tzinfo if _OFFSET.fullmatch(offset) else None)


def _evidence(ds: Dataset) -> Dataset:
    """The image reduced to its UIDs: highdicom refuses many values that real headers hold."""
    evidence = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(evidence, keyword, needed_uid(ds, keyword))
    for keyword in (*_DATES, *_TEXTS, "PatientSex"):
        setattr(evidence, keyword, None)
    return evidence


def _content(evidence: Dataset, finding: Finding, namespace: str) -> sr.MeasurementReport:
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_observer(finding)),
        procedure_reported=codes.SCT.PlainRadiography,
        imaging_measurements=[_measurements(evidence, finding, namespace)],
    )


def _observer(finding: Finding) -> sr.ObserverContext:
    return sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=derived_uid(finding.ae_title, "device"),
            name=ascii_text(finding.ae_title, 64),
            manufacturer_name=MANUFACTURER,
            model_name=MODEL_NAME,
        ),
    )


def _measurements(evidence: Dataset, finding: Finding, namespace: str) -> sr.MeasurementsAndQualitativeEvaluations:
    part = body_part_of(finding.region)
    region = Code(part.code, "SCT", part.meaning)
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=derived_uid(evidence.SOPInstanceUID, f"{namespace}/finding"), identifier="body region"
        ),
        algorithm_id=sr.AlgorithmIdentification(
            name=_SERIES_DESCRIPTION, version=ascii_text(finding.model_id, 64), manufacturer=MANUFACTURER
        ),
        finding_sites=[sr.FindingSite(anatomic_location=region)],
        measurements=[
            sr.Measurement(name=codes.DCM.CertaintyOfFinding, value=round(100 * finding.confidence, 2), unit=_PERCENT)
        ],
        qualitative_evaluations=[sr.QualitativeEvaluation(name=codes.DCM.TargetRegion, value=region)],
        source_images=[
            sr.SourceImageForMeasurementGroup(
                referenced_sop_class_uid=evidence.SOPClassUID,
                referenced_sop_instance_uid=evidence.SOPInstanceUID,
            )
        ],
    )


def _instance_number(ds: Dataset) -> int:
    text = text_value(ds, "InstanceNumber")
    return int(text) if re.fullmatch(r"[1-9]\d{0,8}", text) else 1


# Patient and study, as the image has them.
_TEXTS = (
    "PatientName",
    "PatientID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyID",
)
_OPTIONAL_TEXTS = ("IssuerOfPatientID", "StudyDescription")
_DATES = {
    "PatientBirthDate": re.compile(r"\d{8}"),
    "StudyDate": re.compile(r"\d{8}"),
    "StudyTime": re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?"),
}


def _inherit(ds: Dataset, report: Dataset) -> None:
    """Give the report the image's patient and study: text as the bytes that it is, dates and sex where valid."""
    texts = {keyword: raw for keyword in _TEXTS if (raw := raw_value(ds, keyword))}
    texts |= {keyword: raw for keyword in _OPTIONAL_TEXTS if (raw := raw_value(ds, keyword))}
    for keyword, raw in texts.items():
        report[tag_of(keyword)] = _as_bytes(keyword, raw)
    for keyword, valid in _DATES.items():
        value = text_value(ds, keyword)
        setattr(report, keyword, value if valid.fullmatch(value) else "")
    if _OFFSET.fullmatch(text_value(ds, "TimezoneOffsetFromUTC")):
        report.TimezoneOffsetFromUTC = text_value(ds, "TimezoneOffsetFromUTC")
    sex = text_value(ds, "PatientSex")
    report.PatientSex = sex if sex in ("M", "F", "O") else ""
    _declare_character_set(ds, report, b"".join(texts.values()))
    report.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    keep_bytes(report)


def _as_bytes(keyword: str, raw: bytes) -> RawDataElement:
    value = raw + b" " * (len(raw) % 2)
    return RawDataElement(tag_of(keyword), dictionary_VR(tag_of(keyword)), len(value), value, 0, False, True)


def _declare_character_set(ds: Dataset, report: Dataset, text: bytes) -> None:
    """Declare the image's character set where its text needs one; what the node itself writes is ASCII."""
    if re.fullmatch(rb"[ -~]*", text.rstrip(b"\0")) is None and "SpecificCharacterSet" in ds:
        report.add(deepcopy(ds["SpecificCharacterSet"]))
