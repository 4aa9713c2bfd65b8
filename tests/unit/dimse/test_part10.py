"""Data sets are looked at as bytes: every encoding, no further than needed, and nothing is changed."""

import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_node.errors import NotUnderstoodError
from dicom_node.part10 import DEFLATED, file_header, identity_of, incoming_from_file, is_dicom, read_identity
from tests.dimse_objects import bundled_objects, cr, encoded, incoming, incoming_bytes, written

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


def region(code: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "SCT", "Hand"
    return item


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_identity_is_read_in_every_encoding(syntax: str) -> None:
    identity = read_identity(incoming(syntax=syntax, AnatomicRegionSequence=[region("85562004")]))
    assert identity.sop_instance_uid == "1.2.3.4"
    assert (identity.study_uid, identity.series_uid) == ("1.2.3.1", "1.2.3.2")
    assert (identity.modality, identity.body_part) == ("CR", "HAND")
    assert identity.anatomic_region_code == "85562004"


def test_what_comes_after_the_identity_may_be_broken() -> None:
    whole = encoded(cr())
    cut = whole.index(b"\x28\x00\x02\x00")  # (0028,0002), the first element after it
    assert read_identity(incoming_bytes(whole[:cut] + b"\x28\x00\x02\x00??broken")).series_uid == "1.2.3.2"


def test_a_character_set_that_does_not_exist_does_no_harm() -> None:
    assert read_identity(incoming(SpecificCharacterSet="ISO IR NONSENSE")).body_part == "HAND"


def test_text_with_nul_and_foreign_bytes_comes_out_without_nul_and_short() -> None:
    dataset = encoded(cr(BodyPartExamined="HA" + "X" * 100)).replace(b"HAXX", b"HA\x00\xff")
    body_part = read_identity(incoming_bytes(dataset)).body_part
    assert "\0" not in body_part
    assert len(body_part) <= 64


def test_a_deflate_bomb_is_not_blown_up() -> None:
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = deflate.compress(encoded(cr())) + b"".join(deflate.compress(bytes(1 << 24)) for _ in range(32))
    tracemalloc.start()
    identity = read_identity(incoming_bytes(bomb + deflate.flush(), syntax=DeflatedExplicitVRLittleEndian))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert identity.sop_instance_uid == "1.2.3.4"
    assert peak < 100 << 20


def test_a_file_gives_back_the_very_bytes_that_were_written(tmp_path: Path) -> None:
    item = incoming()
    path = written(tmp_path, item)
    again = incoming_from_file(path, calling_ae="MODALITY", called_ae="REGION", peer="192.0.2.1")
    assert again == item
    assert is_dicom(path)


@pytest.mark.parametrize("syntax", SYNTAXES[:3])
def test_a_file_without_preamble_and_meta_is_taken_for_what_its_first_element_says(tmp_path: Path, syntax: str) -> None:
    path = tmp_path / "bare"
    path.write_bytes(incoming(syntax=syntax).dataset)
    assert incoming_from_file(path, calling_ae="", called_ae="", peer="").transfer_syntax_uid == syntax
    assert is_dicom(path)


@pytest.mark.parametrize("content", [b"", b"just text, and no DICOM at all", bytes(132), bytes(128) + b"DICM"])
def test_other_files_are_not_understood(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(NotUnderstoodError):
        incoming_from_file(path, calling_ae="", called_ae="", peer="")
    assert is_dicom(path) == content.endswith(b"DICM")


def test_a_data_set_of_no_object_is_no_dicom_file(tmp_path: Path) -> None:
    """Without a prefix it takes UIDs that look like some to tell a data set from a file that only begins like one."""
    path = tmp_path / "other"
    path.write_bytes(encoded(cr()).replace(b"1.2.3.4", b"a-b-c-d"))
    assert not is_dicom(path)


def test_a_transfer_syntax_that_is_not_ascii_is_not_understood(tmp_path: Path) -> None:
    path = written(tmp_path, incoming())
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.\xff\0"))
    item = incoming_from_file(path, calling_ae="", called_ae="", peer="")
    with pytest.raises(NotUnderstoodError, match="cannot be written"):
        file_header(item)


def test_a_file_that_is_not_there_is_not_understood(tmp_path: Path) -> None:
    with pytest.raises(NotUnderstoodError):
        incoming_from_file(tmp_path / "nowhere", calling_ae="", called_ae="", peer="")
    with pytest.raises(NotUnderstoodError, match="No such file"):
        is_dicom(tmp_path / "nowhere")


def test_the_group_length_leads_from_the_header_to_the_data_set() -> None:
    header = file_header(incoming())
    group_length = int.from_bytes(header[140:144], "little")
    assert header[128:132] == b"DICM"
    assert len(header) == 144 + group_length


def test_all_of_pydicoms_test_objects_are_understood() -> None:
    assert sum(1 for _ in bundled_objects()) > 150


def test_an_element_of_the_identity_with_a_damaged_vr_says_nothing() -> None:
    """As one that is missing: the command has told what it is."""
    dataset = encoded(cr())
    at = dataset.index(b"\x08\x00\x18\x00UI")
    damaged = dataset[: at + 4] + b"U\xff" + dataset[at + 6 :]
    assert identity_of(damaged, ExplicitVRLittleEndian).sop_instance_uid in ("", "1.2.3.4")


def test_a_head_of_very_many_elements_is_not_read_to_its_end() -> None:
    empty = b"\x08\x00\x70\x00LO\x00\x00"
    with pytest.raises(NotUnderstoodError):
        identity_of(empty * 1_000_000, ExplicitVRLittleEndian)


@given(st.binary(max_size=400), st.sampled_from(sorted(DEFLATED | {ExplicitVRLittleEndian, ImplicitVRLittleEndian})))
def test_whatever_comes_is_read_or_not_understood(tail: bytes, syntax: str) -> None:
    for dataset in (tail, encoded(cr())[:60] + tail):
        try:
            identity_of(dataset, syntax)
        except NotUnderstoodError:
            continue
