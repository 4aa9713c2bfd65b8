"""A second copy has UIDs of its own, and a retry makes the same ones."""

import re

import pytest

from dicom_node.correct import corrected, derived_uid, with_new_uids
from dicom_node.errors import CorrectionError
from tests.corrected_objects import as_read, correction, cr, dx


def test_a_derived_uid_is_legal():
    """2.25 with the decimal of a UUID, no leading zero, 64 characters at most (PS3.5 Annex B.2)."""
    for n in range(200):
        uid = derived_uid(f"1.2.{n}", "PACS")
        assert re.fullmatch(r"2\.25\.[1-9]\d{0,38}", uid)
        assert len(uid) <= 64


def test_a_retry_makes_the_same_object():
    """Otherwise every time-out would put another duplicate into the archive."""
    assert with_new_uids(dx(), "PACS") == with_new_uids(dx(), "PACS")


def test_each_destination_gets_uids_of_its_own():
    """Two archives that are merged later hold two different objects."""
    one, other = with_new_uids(dx(), "PACS"), with_new_uids(dx(), "ARCHIVE")
    assert one.SOPInstanceUID != other.SOPInstanceUID
    assert one.SeriesInstanceUID != other.SeriesInstanceUID


def test_images_of_one_series_stay_in_one_series_of_the_same_study():
    """The new series' UID depends on the old one alone."""
    first, second = cr(), cr(SOPInstanceUID="1.2.3")
    one, other = with_new_uids(first, "PACS"), with_new_uids(second, "PACS")
    assert one.SeriesInstanceUID == other.SeriesInstanceUID != first.SeriesInstanceUID
    assert one.SOPInstanceUID != other.SOPInstanceUID
    assert one.StudyInstanceUID == first.StudyInstanceUID


def test_the_file_meta_follows_and_the_original_is_named_as_source():
    """Whoever finds the copy finds the image that it was made from."""
    original = cr()
    copy = with_new_uids(original, "PACS")
    assert copy.file_meta.MediaStorageSOPInstanceUID == copy.SOPInstanceUID
    (source,) = copy.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == original.SOPInstanceUID
    assert source.ReferencedSOPClassUID == original.SOPClassUID
    assert original.file_meta.MediaStorageSOPInstanceUID == original.SOPInstanceUID


def test_a_correction_survives_the_new_uids():
    """Both are made for a destination in copy mode, in this order."""
    copy = as_read(with_new_uids(corrected(cr(BodyPartExamined="KNEE"), correction("FOOT")), "PACS"))
    assert copy.BodyPartExamined == "FOOT"
    assert copy.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].BodyPartExamined == "KNEE"


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID"])
def test_an_object_without_uids_gets_none(keyword):
    """There is nothing to derive them from."""
    ds = cr()
    delattr(ds, keyword)
    with pytest.raises(CorrectionError, match=keyword):
        with_new_uids(ds, "PACS")
