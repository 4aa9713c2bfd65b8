"""DICOM files and data sets at the level of bytes (PS3.10 section 7, PS3.5 sections 7 and 10).

Nothing here changes a data set: its bytes are found, looked at, digested and handed on as they are.
"""

import hashlib
import re
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from struct import unpack_from
from typing import BinaryIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import BaseTag
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.valuerep import STANDARD_VR

from dicom_node import __version__
from dicom_node.bounded_reading import Limits, StopWhen, Walk, read_bounded
from dicom_node.content import PIECE, Content, as_file, in_pieces
from dicom_node.element_text import body_part_of, person_text_of, region_codes_of, text_of
from dicom_node.errors import NotUnderstoodError
from dicom_node.instance import Incoming

# uuid5(NAMESPACE_DNS, "dicom-node.implementation") under 2.25: ours, and the same in every release.
IMPLEMENTATION_CLASS_UID = UID("2.25.309477082441411176053179536836556028423")
# SH, 16 characters at most: major and minor version.
IMPLEMENTATION_VERSION_NAME = f"REGION_NODE_{'.'.join(__version__.split('.')[:2])}"[:16]

# The data set as a whole is deflated (PS3.5 A.5, A.7.2); pydicom knows only the first of them as such.
DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})

PREAMBLE = bytes(128) + b"DICM"
# The identity stands at the head of a data set; a deflate bomb is not blown up any further than this.
INFLATED_HEAD = 16 << 20
# Real data sets have some dozens of elements before their Series Instance UID, with private ones some hundreds. Of what
# is nested there nothing but a region's code is asked for, so that long sequences are passed over.
HEAD_LIMITS = Limits(elements=20_000, nested=20_000, passes_over=True)
# Longer values are not read: what is asked for is short.
HEAD_BULK = 64 << 10
# As much of a file is read to see whether it is DICOM at all; installers and videos lie on media, too.
FILE_HEAD = 1 << 20

_SHORTEST_ELEMENT = 8
_GROUP_OF_ITEMS = 0xFFFE
_UNDEFINED_LENGTH = 0xFFFFFFFF
_UID = re.compile(r"[0-2](\.[0-9]+)+")
_VRS = frozenset(str(vr).encode("ascii") for vr in STANDARD_VR)

_SOP_CLASS_UID = 0x00080016
_SOP_INSTANCE_UID = 0x00080018
_MODALITY = 0x00080060
_PATIENT_ID = 0x00100020
_STUDY_INSTANCE_UID = 0x0020000D
_SERIES_INSTANCE_UID = 0x0020000E


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who an object says that it is; a value that is missing or cannot be read is the empty string."""

    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    modality: str
    body_part: str
    anatomic_region_code: str


def digest_of(incoming: Incoming) -> str:
    """SHA-256 in hex over transfer syntax UID, SOP Instance UID and data set, with NUL between them.

    Another syntax is another content. The UID is in it because a data set may lack its own, and two such objects may
    not share a file.
    """
    announced = f"{incoming.transfer_syntax_uid}\0{incoming.sop_instance_uid}\0"
    digest = hashlib.sha256(announced.encode("ascii", "replace"))
    for piece in in_pieces(incoming.dataset):
        digest.update(piece)
    return digest.hexdigest()


def file_header(incoming: Incoming) -> bytes:
    """Preamble, prefix and our own File Meta Information for an object (PS3.10 section 7.1).

    Raises NotUnderstoodError when a UID cannot be written, since it is not even ASCII.
    """
    try:
        return PREAMBLE + _encoded_meta(incoming)
    except Exception as error:
        raise NotUnderstoodError("the object's UIDs or transfer syntax cannot be written into a file") from error


def _encoded_meta(incoming: Incoming) -> bytes:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(incoming.sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(incoming.sop_instance_uid)
    meta.TransferSyntaxUID = UID(incoming.transfer_syntax_uid)
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    if incoming.calling_ae.strip():
        meta.SourceApplicationEntityTitle = incoming.calling_ae.strip()[:16]
    if incoming.called_ae.strip():
        meta.ReceivingApplicationEntityTitle = incoming.called_ae.strip()[:16]
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=True)
    return bytes(buffer.getvalue())


def is_dicom(path: Path) -> bool:
    """Whether a file bears the prefix of a DICOM file or, where that is missing, begins with a data set that says
    which object it is. Raises NotUnderstoodError when the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(FILE_HEAD)
    except OSError as error:
        raise NotUnderstoodError(f"the file cannot be read: {error.strerror}") from error
    if head[: len(PREAMBLE)][128:] == b"DICM":
        return True
    try:
        bare = _taken_apart(BytesIO(head))
    except NotUnderstoodError:
        return False
    return bool(_UID.fullmatch(bare.sop_class_uid) and _UID.fullmatch(bare.sop_instance_uid))


def incoming_from_file(path: Path, *, calling_ae: str, called_ae: str, peer: str) -> Incoming:
    """The object in a DICOM file, its data set's bytes as they lie there.

    Preamble and file meta may be missing: then the syntax is told from the first element, and the UIDs from the data
    set. Raises NotUnderstoodError when the file cannot be read or is no DICOM object.
    """
    try:
        with path.open("rb") as file:
            return _taken_apart(file, calling_ae=calling_ae, called_ae=called_ae, peer=peer)
    except OSError as error:
        raise NotUnderstoodError(f"the file cannot be read: {error.strerror}") from error


def _taken_apart(file: BinaryIO, *, calling_ae: str = "", called_ae: str = "", peer: str = "") -> Incoming:
    meta, offset = split_meta(file)
    file.seek(offset)
    dataset = file.read()
    syntax = text_of(meta, 0x00020010) or _guessed_syntax(dataset)
    identity = identity_of(dataset, syntax)
    sop_class = identity.sop_class_uid or text_of(meta, 0x00020002)
    sop_instance = identity.sop_instance_uid or text_of(meta, 0x00020003)
    if not sop_class or not sop_instance:
        raise NotUnderstoodError("the file holds no DICOM object: it has no SOP Class or SOP Instance UID")
    return Incoming(
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        transfer_syntax_uid=syntax,
        dataset=dataset,
        calling_ae=calling_ae,
        called_ae=called_ae,
        peer=peer,
    )


def split_meta(file: BinaryIO) -> tuple[Dataset, int]:
    """The File Meta Information of an open file (empty where there is none), and where the data set begins.

    Raises NotUnderstoodError when the meta cannot be parsed.
    """
    start = len(PREAMBLE) if file.read(len(PREAMBLE))[128:] == b"DICM" else 0
    file.seek(start)
    try:
        meta = read_dataset(file, False, True, stop_when=_after_meta)
    except Exception as error:
        raise NotUnderstoodError(f"the file meta cannot be parsed: {type(error).__name__}") from error
    return (meta, file.tell()) if len(meta) else (meta, start)


def meta_of(path: Path) -> Dataset:
    """The File Meta Information of a file. Raises NotUnderstoodError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return split_meta(file)[0]
    except OSError as error:
        raise NotUnderstoodError(f"the file cannot be read: {error.strerror}") from error


def read_identity(incoming: Incoming) -> Identity:
    """Read who an incoming object is; its pixels and whatever follows them may be anything.

    Raises NotUnderstoodError when the head of the data set is not DICOM.
    """
    return identity_of(incoming.dataset, incoming.transfer_syntax_uid)


def identity_of(dataset: Content, transfer_syntax_uid: str) -> Identity:
    """Read the identity from encoded bytes; as `read_identity`."""
    ds = _head(dataset, transfer_syntax_uid)
    return Identity(
        sop_class_uid=text_of(ds, _SOP_CLASS_UID),
        sop_instance_uid=text_of(ds, _SOP_INSTANCE_UID),
        study_uid=text_of(ds, _STUDY_INSTANCE_UID),
        series_uid=text_of(ds, _SERIES_INSTANCE_UID),
        modality=text_of(ds, _MODALITY),
        body_part=body_part_of(ds),
        anatomic_region_code=region_codes_of(ds),
    )


def patient_id_of(dataset: Content, transfer_syntax_uid: str) -> str:
    """The PatientID in encoded bytes, of which the head is enough: for the audit trail, and for nothing else.

    Raises NotUnderstoodError as `read_identity` does.
    """
    return person_text_of(_head(dataset, transfer_syntax_uid), _PATIENT_ID)


def inflate(deflated: Content, limit: int) -> bytes:
    """Inflate raw deflate data (PS3.5 A.5, RFC 1951) up to `limit` bytes. Raises NotUnderstoodError."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    pieces: list[bytes] = []
    try:
        for start in range(0, len(deflated), PIECE):  # zlib would keep a copy of all that it is given
            pieces.append(stream.decompress(deflated[start : start + PIECE], limit))
            limit -= len(pieces[-1])
            if stream.eof or limit <= 0:
                break
    except zlib.error as error:
        raise NotUnderstoodError("the deflated data set cannot be inflated") from error
    return b"".join(pieces)


def _head(dataset: Content, transfer_syntax_uid: str) -> Dataset:
    """The elements up to SeriesInstanceUID, the last one that is asked for; what comes later is not even looked at."""
    if transfer_syntax_uid in DEFLATED:
        dataset = inflate(dataset, INFLATED_HEAD)
    if not _begins_with_element(dataset, big_endian=transfer_syntax_uid == ExplicitVRBigEndian):
        raise NotUnderstoodError("the data set does not begin with a DICOM element")
    implicit, big_endian = transfer_syntax_uid == ImplicitVRLittleEndian, transfer_syntax_uid == ExplicitVRBigEndian

    def read(source: BinaryIO, stop_when: StopWhen) -> Dataset:
        return read_dataset(source, implicit, not big_endian, stop_when=stop_when, defer_size=HEAD_BULK)

    file = as_file(dataset)
    walk = Walk(file, HEAD_LIMITS, big_endian=big_endian)
    try:
        return read_bounded(file, walk, read, stop_when=_after_identity, defer_size=HEAD_BULK)
    except Exception as error:
        raise NotUnderstoodError(f"the data set cannot be parsed: {type(error).__name__}") from error


def _begins_with_element(dataset: Content, *, big_endian: bool) -> bool:
    """Whether the first bytes are a tag and a length that fits, with a VR or without: some data sets are not encoded
    as their syntax says, and pydicom reads them all the same.
    """
    order = ">" if big_endian else "<"
    if len(dataset) < _SHORTEST_ELEMENT or not 0 < unpack_from(f"{order}H", dataset)[0] < _GROUP_OF_ITEMS:
        return False
    if dataset[4:6] in _VRS:
        return True
    length = unpack_from(f"{order}L", dataset, 4)[0]
    return bool(length == _UNDEFINED_LENGTH or length <= len(dataset) - _SHORTEST_ELEMENT)


def _after_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return bool(tag.group != 2)


def _after_identity(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return bool(tag > _SERIES_INSTANCE_UID)


def _guessed_syntax(dataset: bytes) -> str:
    """The uncompressed syntax in which the first element's tag and VR make sense (PS3.5 section 7.1)."""
    explicit = dataset[4:6].isalpha() and dataset[4:6].isupper()
    if not explicit:
        return str(ImplicitVRLittleEndian)
    # Groups are small numbers: the byte that is zero tells the order.
    return str(ExplicitVRBigEndian if dataset[:1] == b"\0" else ExplicitVRLittleEndian)
