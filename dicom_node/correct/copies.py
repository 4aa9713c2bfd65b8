"""A second copy beside an original that the archive keeps: new UIDs, the same for every retry."""

from uuid import NAMESPACE_OID, uuid5

from pydicom import Dataset
from pydicom.uid import UID

from dicom_node.correct.elements import append_item, copy_of, needed_uid, text_value, translating


def derived_uid(uid: str, namespace: str) -> UID:
    """A UID under 2.25 (PS3.5 Annex B.2) that depends on nothing but `uid` and `namespace`."""
    return UID(f"2.25.{uuid5(NAMESPACE_OID, f'{uid}|{namespace}').int}")


def with_new_uids(ds: Dataset, namespace: str) -> Dataset:
    """A copy of `ds` as a new instance in a new series of the same study; `namespace` is the destination's name.

    Images of one series stay together, references inside the object stay, and an image names its original as source.
    Raises CorrectionError where the object has no UIDs to derive from, or is digitally signed.
    """
    with translating("the copy under new UIDs"):
        instance, series = (needed_uid(ds, keyword) for keyword in ("SOPInstanceUID", "SeriesInstanceUID"))
        copy = copy_of(ds)
        if _may_name_a_source(copy):
            append_item(copy, "SourceImageSequence", _reference(text_value(ds, "SOPClassUID"), instance))
        copy.SOPInstanceUID = derived_uid(instance, namespace)
        copy.SeriesInstanceUID = derived_uid(series, namespace)
        if getattr(copy, "file_meta", None) is not None:
            copy.file_meta.MediaStorageSOPInstanceUID = copy.SOPInstanceUID
        return copy


def _may_name_a_source(ds: Dataset) -> bool:
    """Source Image Sequence belongs to General Reference, which enhanced multi-frame objects replace by macros."""
    return "PixelData" in ds and "SOPClassUID" in ds and "SharedFunctionalGroupsSequence" not in ds


def _reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    return item
