"""Data sets are looked at as bytes: every encoding, no further than needed, and nothing is changed."""

import tracemalloc
import zlib
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_node.errors import NotUnderstoodError
from dicom_node.part10 import file_header, incoming_from_file, is_part10, read_identity
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
    assert is_part10(path)


@pytest.mark.parametrize("syntax", SYNTAXES[:3])
def test_a_file_without_preamble_and_meta_is_taken_for_what_its_first_element_says(tmp_path: Path, syntax: str) -> None:
    path = tmp_path / "bare"
    path.write_bytes(incoming(syntax=syntax).dataset)
    assert incoming_from_file(path, calling_ae="", called_ae="", peer="").transfer_syntax_uid == syntax
    assert not is_part10(path)


@pytest.mark.parametrize("content", [b"", b"just text, and no DICOM at all", bytes(132), bytes(128) + b"DICM"])
def test_other_files_are_not_understood(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(NotUnderstoodError):
        incoming_from_file(path, calling_ae="", called_ae="", peer="")


def test_a_file_that_is_not_there_is_not_understood(tmp_path: Path) -> None:
    with pytest.raises(NotUnderstoodError):
        incoming_from_file(tmp_path / "nowhere", calling_ae="", called_ae="", peer="")


def test_the_group_length_leads_from_the_header_to_the_data_set() -> None:
    header = file_header(incoming())
    group_length = int.from_bytes(header[140:144], "little")
    assert header[128:132] == b"DICM"
    assert len(header) == 144 + group_length


def test_all_of_pydicoms_test_objects_are_understood() -> None:
    assert sum(1 for _ in bundled_objects()) > 150
