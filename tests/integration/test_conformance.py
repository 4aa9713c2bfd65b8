"""An object that leaves has no fault that it did not come with: dicom3tools' dciodvfy, before and after."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pydicom
import pytest

from dicom_node.correct import Finding, corrected, report_of, with_new_uids, write_part10
from dicom_node.errors import CorrectionError
from dicom_node.regions import REGIONS, Region
from tests.corrected_objects import AT, anatomy, as_read, code, correction, cr, dx

DCIODVFY = shutil.which("dciodvfy")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "dicom"

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(DCIODVFY is None, reason="dciodvfy (dicom3tools) is not installed"),
    pytest.mark.filterwarnings("ignore"),
]

FINDING = Finding(
    region=Region.HAND, confidence=0.97, model_id="starter-7f3a", ae_title="REGION", software_version="0.1.0", at=AT
)


def errors(path):
    """The error lines of dciodvfy, counted: the same fault twice is two faults."""
    done = subprocess.run([DCIODVFY, str(path)], capture_output=True, check=False, timeout=60)
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    return Counter(line for line in text.splitlines() if line.startswith("Error"))


def errors_of(ds, folder):
    """The error lines for a data set as the node would send it."""
    write_part10(ds, folder / "object.dcm")
    return errors(folder / "object.dcm")


def new_faults(original, term, folder, before=None):
    """The faults, per mode, of the copies that the original does not have."""
    before = errors_of(original, folder) if before is None else before
    inline = corrected(original, correction(term))
    copies = {"inline": inline, "copy": with_new_uids(inline, "PACS")}
    found = {mode: errors_of(copy, folder) - before for mode, copy in copies.items()}
    found["annotate"] = errors_of(report_of(original, FINDING, "PACS"), folder)
    return {mode: dict(faults) for mode, faults in found.items() if faults}


def knee():
    """AnatomicRegionSequence of a left knee."""
    region = anatomy("KNEE")
    region[0].AnatomicRegionModifierSequence = [code("7771000", "Left")]
    return region


ORIGINALS = {
    "CR, empty": cr,
    "CR, empty, with a side": lambda: cr(Laterality="L"),
    "CR, paired": lambda: cr(BodyPartExamined="KNEE", Laterality="L", AnatomicRegionSequence=knee()),
    "CR, paired, side empty": lambda: cr(BodyPartExamined="KNEE", Laterality=""),
    "CR, paired, side missing": lambda: cr(BodyPartExamined="KNEE"),
    "CR, unpaired": lambda: cr(BodyPartExamined="TSPINE", AnatomicRegionSequence=anatomy("TSPINE")),
    "CR, unpaired, with a side": lambda: cr(BodyPartExamined="SKULL", Laterality="R"),
    "CR, free text": lambda: cr(BodyPartExamined="handgelenk", Laterality="left"),
    "CR, too long": lambda: cr(BodyPartExamined="XR WRIST RIGHT AP AND LATERAL"),
    "DX, empty": dx,
    "DX, paired": lambda: dx(BodyPartExamined="KNEE", ImageLaterality="L", AnatomicRegionSequence=knee()),
    "DX, paired, both sides": lambda: dx(BodyPartExamined="HAND", ImageLaterality="B"),
    "DX, both lateralities": lambda: dx(BodyPartExamined="KNEE", ImageLaterality="L", Laterality="L"),
    "DX, unpaired": lambda: dx(BodyPartExamined="PELVIS", AnatomicRegionSequence=anatomy("PELVIS")),
}


def test_the_dx_object_of_these_tests_is_without_fault(tmp_path):
    """Otherwise a fault of ours could hide behind one of its own."""
    assert not errors_of(dx(), tmp_path)
    assert not errors_of(cr(BodyPartExamined="SKULL"), tmp_path)


@pytest.mark.parametrize("name", ORIGINALS)
def test_no_correction_adds_a_fault(name, tmp_path):
    """Every direction between paired, unpaired, empty and free text, in every mode, for each of the 14 regions."""
    for region in REGIONS:
        assert new_faults(ORIGINALS[name](), region.body_part_examined, tmp_path) == {}, region


def test_a_hip_with_a_side_is_a_sound_copy(tmp_path):
    """In series and image alike: HIP may have the side that PELVIS may not."""
    for original in (cr(Laterality="R"), dx(ImageLaterality="L")):
        assert not errors_of(corrected(original, correction("HIP")), tmp_path)


@pytest.mark.parametrize("name", ["CR, paired", "CR, unpaired", "CR, empty", "DX, empty", "DX, paired", "DX, unpaired"])
@pytest.mark.parametrize("term", ["HAND", "SKULL"])
def test_a_corrected_copy_of_a_sound_object_is_sound(name, term, tmp_path):
    """Laterality included, which a correction can make necessary or forbidden."""
    assert not errors_of(corrected(ORIGINALS[name](), correction(term)), tmp_path)


def test_correcting_twice_adds_no_fault(tmp_path):
    """Two items in each of the sequences, there and back again."""
    once = as_read(corrected(dx(BodyPartExamined="KNEE", ImageLaterality="L"), correction("SKULL")))
    assert not errors_of(corrected(once, correction("HAND")), tmp_path)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data/dicom is not here")
def test_real_objects_get_no_new_fault(tmp_path):
    """CR, DX, mammography, NM, US, XA, CT and MR in many syntaxes: each in all three modes."""
    faults = {}
    for path in sorted(SHARED.glob("*.dcm")):
        for term in ("HAND", "SKULL"):
            found = new_faults(pydicom.dcmread(path), term, tmp_path, errors(path))
            if found:
                faults[path.name, term] = found
    assert faults == {}


# Its pixels end early: dciodvfy tells the same fault in other words once the length is that of what is there.
TRUNCATED = {"MR_truncated.dcm"}


def test_pydicom_s_bundled_objects_get_no_new_fault(tmp_path):
    """Objects of all kinds and degrees of brokenness; what cannot be copied is refused as one error."""
    faults, checked = {}, 0
    for path in sorted((Path(pydicom.__file__).parent / "data").rglob("*.dcm")):
        try:
            original = pydicom.dcmread(path)
            copy = corrected(original, correction("HAND"))
            found = errors_of(copy, tmp_path) - errors(path)
        except (pydicom.errors.InvalidDicomError, CorrectionError):
            continue
        checked += 1
        if found and path.name not in TRUNCATED:
            faults[path.name] = dict(found)
    assert faults == {}
    assert checked > 80


def test_reports_on_pydicom_s_bundled_objects_have_no_fault(tmp_path):
    """Poor headers included: a report on a faulty image is a sound report."""
    faults, checked = {}, 0
    for path in sorted((Path(pydicom.__file__).parent / "data").rglob("*.dcm")):
        try:
            report = report_of(pydicom.dcmread(path), FINDING, "PACS")
        except (pydicom.errors.InvalidDicomError, CorrectionError):
            continue
        checked += 1
        found = errors_of(report, tmp_path)
        if found:
            faults[path.name] = dict(found)
    assert faults == {}
    assert checked > 50
