"""What the node does not change leaves as the bytes that it came in, in every syntax and character set."""

from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.datadict import tag_for_keyword

from dicom_node.bodypart import body_parts
from dicom_node.correct import corrected, with_new_uids, write_part10
from dicom_node.errors import CorrectionError
from dicom_node.part10 import IMPLEMENTATION_CLASS_UID
from dicom_node.regions import REGIONS
from tests.corrected_objects import anatomy, as_read, correction, cr, dx, undecoded

pytestmark = pytest.mark.filterwarnings("ignore")

CHANGED = {
    tag_for_keyword(keyword)
    for keyword in (
        "BodyPartExamined",
        "Laterality",
        "ImageLaterality",
        "AnatomicRegionSequence",
        "OriginalAttributesSequence",
        "ContributingEquipmentSequence",
        "InstanceCoercionDateTime",
    )
}
RENAMED = {tag_for_keyword(keyword) for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "SourceImageSequence")}


def bundled():
    """Every file that pydicom brings along and can read as a DICOM object with a SOP class."""
    folder = Path(pydicom.__file__).parent / "data"
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in {".dcm", ""} and "DICOMDIR" not in path.name:
            try:
                if "SOPClassUID" in pydicom.dcmread(path):
                    yield path
            except Exception:  # noqa: BLE001  # some are broken on purpose
                continue


def kept(ds, apart_from):
    """The encoded elements that a copy must hold unchanged; a VR of UN may become the dictionary's."""
    return {tag: value for tag, (_, value) in undecoded(ds).items() if tag not in apart_from}


# These cannot be written as what they say they are: they are refused, and their originals go.
REFUSED = {"SC_rgb_jpeg.dcm", "meta_missing_tsyntax.dcm"}


def test_every_bundled_object_keeps_the_bytes_of_every_other_element(tmp_path):
    """All syntaxes, private elements, odd sequences and character sets that pydicom is tested with."""
    refused, compared = set(), 0
    for path in bundled():
        original = undecoded_file(path)
        try:
            copy = corrected(pydicom.dcmread(path), correction("HAND"))
            copy = with_new_uids(copy, "PACS") if copy.get("SeriesInstanceUID") else copy
            write_part10(copy, tmp_path / "copy.dcm")
        except CorrectionError:
            refused.add(path.name)
            continue
        written = kept(pydicom.dcmread(tmp_path / "copy.dcm"), CHANGED | RENAMED)
        assert written == {tag: value for tag, value in original.items() if tag not in CHANGED | RENAMED}, path.name
        compared += 1
    assert refused <= REFUSED
    assert compared > 100


def undecoded_file(path):
    """The encoded elements of a file."""
    return kept(pydicom.dcmread(path), set())


@pytest.mark.parametrize("name", ["chrX1.dcm", "chrH32.dcm", "chrKoreanMulti.dcm", "chrGerm.dcm", "chrX2.dcm"])
def test_patient_names_of_every_script_are_untouched(name, tmp_path):
    """UTF-8, ISO 2022 Japanese and Korean, Latin-1 and GB18030: not one byte differs, nor does (0008,0005)."""
    path = Path(get_testdata_file(name) or Path(pydicom.__file__).parent / "data" / "charset_files" / name)
    write_part10(corrected(pydicom.dcmread(path), correction("SKULL")), tmp_path / "copy.dcm")
    before, after = path.read_bytes(), (tmp_path / "copy.dcm").read_bytes()
    name_bytes = pydicom.dcmread(path).get_item("PatientName").value
    assert name_bytes in before
    assert name_bytes in after
    assert pydicom.dcmread(tmp_path / "copy.dcm").get("SpecificCharacterSet") == pydicom.dcmread(path).get(
        "SpecificCharacterSet"
    )


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
    ],
    ids=lambda syntax: syntax.name,
)
def test_a_copy_is_written_in_the_syntax_of_its_original(syntax, tmp_path):
    """The file meta says so, names this node's implementation, and the pixels come back."""
    source = cr()
    if syntax == uid.ExplicitVRBigEndian:
        pixels = source.pixel_array
        source.PixelData = pixels.astype(">u2").tobytes()
        source.file_meta.TransferSyntaxUID = syntax
        source.set_original_encoding(None, None)
        source._is_implicit_VR, source._is_little_endian = None, None
    original = as_read(source, syntax)
    write_part10(corrected(original, correction("HAND")), tmp_path / "copy.dcm")
    copy = pydicom.dcmread(tmp_path / "copy.dcm")
    assert copy.file_meta.TransferSyntaxUID == syntax
    assert copy.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert copy.file_meta.MediaStorageSOPInstanceUID == copy.SOPInstanceUID
    assert copy.BodyPartExamined == "HAND"
    assert (copy.pixel_array == cr().pixel_array).all()


def test_an_encapsulated_copy_keeps_its_fragments(tmp_path):
    """JPEG 2000 pixel data is the same value, item by item."""
    path = get_testdata_file("JPEG2000.dcm")
    write_part10(corrected(pydicom.dcmread(path), correction("HAND")), tmp_path / "copy.dcm")
    assert pydicom.dcmread(tmp_path / "copy.dcm").PixelData == pydicom.dcmread(path).PixelData


def test_a_copy_has_no_group_lengths(tmp_path):
    """They are retired, and would be those of the original."""
    original = cr()
    original.add_new(0x00100000, "UL", 32)
    write_part10(corrected(original, correction("HAND")), tmp_path / "copy.dcm")
    assert 0x00100000 in original
    assert 0x00100000 not in pydicom.dcmread(tmp_path / "copy.dcm")


def test_an_object_of_unknown_syntax_is_not_written(tmp_path):
    """Guessing would spoil it."""
    ds = cr()
    del ds.file_meta.TransferSyntaxUID
    with pytest.raises(CorrectionError, match="transfer syntax"):
        write_part10(ds, tmp_path / "copy.dcm")


def test_a_file_that_cannot_be_written_is_trouble_of_the_machine_and_no_correction_error(tmp_path):
    """On a CorrectionError the original goes uncorrected, which a full disk is no reason for."""
    with pytest.raises(FileNotFoundError):
        write_part10(cr(), tmp_path / "missing" / "copy.dcm")


def restored(ds):
    """The header as it was, from nothing but the corrected object: the items of the trace, newest first."""
    old = as_read(ds)
    for item in reversed(old.OriginalAttributesSequence):
        for element in item.ModifiedAttributesSequence[0]:
            old[element.tag] = element
        for stray in item.get("NonconformingModifiedAttributesSequence", []):
            old[stray.SelectorAttribute].value = stray.NonconformingDataElementValue.decode("latin-1").strip()
    del old.OriginalAttributesSequence
    return old


def header(ds):
    """What a correction may touch; an empty attribute says no more than an absent one."""
    text = {word: str(ds.get(word) or "").strip() for word in ("BodyPartExamined", "Laterality", "ImageLaterality")}
    codes = [item.CodeValue for item in ds.get("AnatomicRegionSequence") or []]
    return text | {"codes": codes}


TERMS = sorted(region.body_part_examined for region in REGIONS)
VALUES = st.one_of(st.sampled_from(sorted(body_parts())), st.text("ABcé -9", max_size=20).map(str.strip), st.just(""))
SIDES = st.sampled_from(["L", "R", "B", "U", "left", "", None])


@settings(max_examples=60, deadline=None)
@given(
    make=st.sampled_from([cr, dx]),
    value=VALUES,
    code_of=st.sampled_from([*sorted(body_parts()), None]),
    laterality=SIDES,
    image_laterality=SIDES,
    terms=st.lists(st.sampled_from(TERMS), min_size=1, max_size=3),
)
def test_the_old_header_can_be_had_back_from_the_object(make, value, code_of, laterality, image_laterality, terms):
    """Whatever was there, however often it is corrected: undoing the trace gives the header that came."""
    elements = {"BodyPartExamined": value, "AnatomicRegionSequence": anatomy(code_of) if code_of else []}
    elements |= {"Laterality": laterality} if laterality is not None else {}
    elements |= {"ImageLaterality": image_laterality} if image_laterality is not None else {}
    original = make(**elements)
    copy = original
    for term in terms:
        copy = as_read(corrected(copy, correction(term)))
    if "OriginalAttributesSequence" in copy:
        assert header(restored(copy)) == header(original)
    else:
        assert header(copy) == header(original)
