"""Writing a copy as a DICOM file (PS3.10 section 7.1)."""

from copy import copy
from pathlib import Path

from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID

from dicom_node.correct.elements import keep_bytes, needed_uid, translating
from dicom_node.errors import CorrectionError
from dicom_node.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME


def write_part10(ds: Dataset, path: Path) -> None:
    """Write `ds` in the transfer syntax of its file meta, with this node's implementation in the meta.

    Elements that were not decoded since reading are written as the bytes that they were; group lengths (gggg,0000),
    which are retired and would be wrong now, are left out. Raises CorrectionError where the transfer syntax is not
    known, or the file cannot be written.
    """
    with translating("writing the copy"):
        out = copy(ds)
        out.file_meta = _file_meta(ds)
        out.preamble = bytes(128)
        keep_bytes(out)
        dcmwrite(path, out, enforce_file_format=True)


def _file_meta(ds: Dataset) -> FileMetaDataset:
    source = getattr(ds, "file_meta", None) or FileMetaDataset()
    if not source.get("TransferSyntaxUID"):
        raise CorrectionError("the transfer syntax of the object is not known")
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(needed_uid(ds, "SOPClassUID"))
    meta.MediaStorageSOPInstanceUID = UID(needed_uid(ds, "SOPInstanceUID"))
    meta.TransferSyntaxUID = source.TransferSyntaxUID
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return meta
