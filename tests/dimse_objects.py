"""Objects for the tests of receiving and sending: small ones made here, and all that pydicom brings along."""

import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pydicom.data
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

from dicom_node.element_text import text_of
from dicom_node.errors import NotUnderstoodError
from dicom_node.instance import Incoming
from dicom_node.part10 import DEFLATED, file_header, identity_of, split_meta

CR = str(ComputedRadiographyImageStorage)


def cr(uid: str = "1.2.3.4", **elements) -> Dataset:
    """A CR image's header with four pixels; `elements` by keyword override, None removes."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CR, uid
    ds.Modality, ds.BodyPartExamined = "CR", "HAND"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.1", "1.2.3.2"
    ds.PatientName = "SECRET^PATIENT"
    ds.Rows = ds.Columns = 2
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation, ds.SamplesPerPixel = 15, 0, 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PixelData = bytes(range(8))
    ds["PixelData"].VR = "OW"
    for keyword, value in elements.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def encoded(ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """A data set's bytes in an uncompressed or deflated syntax."""
    uid = UID(syntax)
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = uid.is_implicit_VR, uid.is_little_endian
    write_dataset(buffer, ds)
    if syntax not in DEFLATED:
        return buffer.getvalue()
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(buffer.getvalue()) + deflate.flush()


def incoming(uid: str = "1.2.3.4", *, syntax: str = ExplicitVRLittleEndian, **elements) -> Incoming:
    """A CR image as a peer hands it over; the command says CR and `uid` whatever the elements say."""
    return incoming_bytes(encoded(cr(uid, **elements), syntax), uid=uid, syntax=syntax)


def incoming_bytes(dataset: bytes, *, uid: str = "1.2.3.4", syntax: str = ExplicitVRLittleEndian) -> Incoming:
    return Incoming(
        sop_class_uid=CR,
        sop_instance_uid=uid,
        transfer_syntax_uid=str(syntax),
        dataset=dataset,
        calling_ae="MODALITY",
        called_ae="REGION",
        peer="192.0.2.1",
    )


def written(folder: Path, item: Incoming) -> Path:
    """The object as a Part 10 file."""
    path = folder / f"{item.sop_instance_uid}.dcm"
    path.write_bytes(file_header(item) + item.dataset)
    return path


def bundled_objects() -> Iterator[tuple[str, Incoming]]:
    """Every data set among pydicom's test files, byte for byte; UIDs are made up where a file has none."""
    folder = Path(pydicom.data.__file__).parent / "test_files"
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in ("", ".dcm")):
        item = _object_in(path)
        if item is not None:
            yield path.name, item


def _object_in(path: Path) -> Incoming | None:
    content = path.read_bytes()
    with path.open("rb") as file:
        meta, offset = split_meta(file)
    syntax = text_of(meta, 0x00020010) or str(
        ExplicitVRLittleEndian if content[offset + 4 : offset + 6].isalpha() else ImplicitVRLittleEndian
    )
    item = incoming_bytes(content[offset:], uid=str(generate_uid(entropy_srcs=[path.name])), syntax=syntax)
    try:
        identity = identity_of(item.dataset, syntax)
    except NotUnderstoodError:
        return None
    return replace(
        item,
        sop_class_uid=identity.sop_class_uid or text_of(meta, 0x00020002) or CR,
        sop_instance_uid=identity.sop_instance_uid or text_of(meta, 0x00020003) or item.sop_instance_uid,
    )
