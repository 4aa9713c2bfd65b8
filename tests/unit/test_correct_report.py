"""The structured report says what the image shows, how surely, and who says so."""

import time

import pydicom
import pytest
from pydicom.data import get_charset_files

from dicom_node.correct import Finding, report_of, write_part10
from dicom_node.errors import CorrectionError
from dicom_node.regions import Region
from tests.corrected_objects import AT, cr, dx, with_bytes

pytestmark = pytest.mark.filterwarnings("ignore")


def finding(**over):
    """A finding; the test names what it cares about."""
    values = {
        "region": Region.WRIST,
        "confidence": 0.98765,
        "model_id": "starter-7f3a",
        "ae_title": "REGION",
        "software_version": "0.1.0",
        "at": AT,
    }
    return Finding(**(values | over))


def content(ds, meaning):
    """The content items of a report, at any depth, with this concept name."""
    for item in ds.get("ContentSequence", []):
        if item.ConceptNameCodeSequence[0].CodeMeaning == meaning:
            yield item
        yield from content(item, meaning)


def test_it_is_a_measurement_report_as_comprehensive_3d_sr():
    """TID 1500, in the study of its image, in a series of its own."""
    image = dx()
    report = report_of(image, finding(), "PACS")
    assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34"
    assert report.Modality == "SR"
    assert report.ConceptNameCodeSequence[0].CodeValue == "126000"
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert report.StudyInstanceUID == image.StudyInstanceUID
    assert report.SeriesInstanceUID != image.SeriesInstanceUID


@pytest.mark.parametrize(
    ("region", "code"),
    [(Region.WRIST, "74670003"), (Region.PELVIS_HIP, "816092008"), (Region.CERVICAL_SPINE, "122494005")],
)
def test_region_site_and_certainty_are_coded(region, code):
    """The region as evaluation and as finding site, the probability in percent, the model as algorithm version."""
    report = report_of(cr(), finding(region=region, confidence=0.987), "PACS")
    (evaluation,) = content(report, "Target Region")
    (site,) = content(report, "Finding Site")
    assert evaluation.ConceptCodeSequence[0].CodeValue == site.ConceptCodeSequence[0].CodeValue == code
    (certainty,) = content(report, "Certainty of Finding")
    assert float(certainty.MeasuredValueSequence[0].NumericValue) == 98.7
    assert certainty.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "%"
    (version,) = content(report, "Algorithm Version")
    assert version.TextValue == "starter-7f3a"


def test_it_refers_to_the_image_in_content_and_evidence():
    """A viewer can open the image from the report."""
    image = dx()
    report = report_of(image, finding(), "PACS")
    (reference,) = content(report, "Source of Measurement")
    assert reference.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == image.SOPInstanceUID
    series = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == image.SeriesInstanceUID
    assert series.ReferencedSOPSequence[0].ReferencedSOPClassUID == image.SOPClassUID


def test_a_retry_makes_the_same_report(tmp_path):
    """Same image, destination and finding: the same file, byte for byte."""
    for name in ("a", "b"):
        write_part10(report_of(dx(), finding(), "PACS"), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_content_time_is_told_in_the_image_s_zone():
    """One offset holds for every time in an object, the study's too."""
    report = report_of(cr(TimezoneOffsetFromUTC="+0530"), finding(), "PACS")
    assert (report.TimezoneOffsetFromUTC, str(report["ContentTime"].value)) == ("+0530", "083405.000678")


def test_without_a_zone_in_the_image_content_time_is_told_in_this_machine_s(monkeypatch):
    """Beside a study time of the hospital's clock, UTC would tell of a report from before its study."""
    monkeypatch.setenv("TZ", "XYZ-05:30")  # POSIX: east of Greenwich is negative
    time.tzset()
    try:
        report = report_of(cr(), finding(), "PACS")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert "TimezoneOffsetFromUTC" not in report
    assert str(report["ContentTime"].value) == "083405.000678"


def test_each_destination_gets_a_report_of_its_own():
    """As with copies."""
    reports = [report_of(cr(), finding(), name) for name in ("PACS", "ARCHIVE")]
    assert len({report.SOPInstanceUID for report in reports}) == 2


def test_the_patient_is_the_image_s():
    """So that the archive files it with the image."""
    report = report_of(cr(), finding(), "PACS")
    assert (report.PatientName, report.PatientID, report.PatientSex) == ("Größe^Ännchen", "P1", "F")
    assert (report.StudyDate, report.AccessionNumber) == ("20260101", "A1")


@pytest.mark.parametrize("path", get_charset_files("chr[A-Z][0-9a-z]*.dcm"), ids=lambda path: path.split("/")[-1])
def test_names_in_every_script_are_the_image_s_bytes(path, tmp_path):
    """No text is decoded on the way, so none can be lost."""
    image = pydicom.dcmread(path)
    if "StudyInstanceUID" not in image:
        pytest.skip("names no study")
    name = image.get_item("PatientName").value
    write_part10(report_of(image, finding(), "PACS"), tmp_path / "sr.dcm")
    report = pydicom.dcmread(tmp_path / "sr.dcm")
    assert report.get_item("PatientName").value == name
    assert report.PatientName == pydicom.dcmread(path).PatientName


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("StudyDate", b"yesterday "),
        ("StudyTime", b"25:00 "),
        ("PatientBirthDate", b"1970.01.01"),
        ("PatientSex", b"UNKNOWN "),
        ("InstanceNumber", b"-3"),
        ("PatientID", b"\xff\xfe\x80x"),
        ("SpecificCharacterSet", b"KLINGON "),
    ],
)
def test_faulty_values_do_not_stop_it(keyword, value):
    """Real headers hold anything."""
    assert report_of(with_bytes(cr(), keyword, value), finding(), "PACS").PatientName


def test_an_image_without_patient_and_dates_gets_a_report_with_empty_ones():
    """Type 2 attributes are there, and empty."""
    image = cr()
    absent = ["PatientName", "PatientID", "PatientSex", "PatientBirthDate", "StudyDate", "StudyTime", "AccessionNumber"]
    for keyword in absent:
        delattr(image, keyword)
    report = report_of(image, finding(), "PACS")
    for keyword in absent:
        assert report[keyword].is_empty


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_an_image_without_uids_gets_no_report(keyword):
    """There is nothing to refer to."""
    image = cr()
    delattr(image, keyword)
    with pytest.raises(CorrectionError, match=keyword):
        report_of(image, finding(), "PACS")


def test_an_image_of_a_class_that_nobody_knows_is_a_correction_error():
    """Whatever is raised inside comes out as the one error that the forwarder answers to."""
    with pytest.raises(CorrectionError):
        report_of(cr(StudyInstanceUID="not a uid" * 20), finding(confidence=float("nan")), "PACS")
