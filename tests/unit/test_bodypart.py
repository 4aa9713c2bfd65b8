"""Headers are read as people write them, and compared only after that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.bodypart import (
    EMPTY_HEADER,
    HeaderKind,
    HeaderSource,
    body_part_of,
    body_parts,
    read_header_region,
)
from dicom_node.regions import REGIONS, Region
from dicom_node.terms import filler, noise, qualifiers, synonyms
from dicom_node.wording import normalised_terms

# Term, SNOMED CT code, older SRT code, paired; from PS3.16 Table L-1 and CID 4031.
TABLE = {
    Region.CLAVICLE: ("CLAVICLE", "51299004", "T-12310", True),
    Region.SHOULDER: ("SHOULDER", "16982005", "T-D2220", True),
    Region.SKULL: ("SKULL", "89546000", "T-11100", False),
    Region.RIB: ("RIB", "113197003", "T-11300", True),
    Region.ELBOW: ("ELBOW", "16953009", "T-15430", True),
    Region.KNEE: ("KNEE", "72696002", "T-D9200", True),
    Region.WRIST: ("WRIST", "74670003", "T-15460", True),
    Region.HAND: ("HAND", "85562004", "T-D8700", True),
    Region.FOOT: ("FOOT", "56459004", "T-D9700", True),
    Region.ANKLE: ("ANKLE", "70258002", "T-15750", True),
    Region.PELVIS_HIP: ("PELVIS", "816092008", "T-D6000", False),
    Region.CERVICAL_SPINE: ("CSPINE", "122494005", "T-11501", False),
    Region.THORACIC_SPINE: ("TSPINE", "122495006", "T-11502", False),
    Region.LUMBAR_SPINE: ("LSPINE", "122496007", "T-11503", False),
}


@pytest.mark.parametrize("region", REGIONS)
def test_what_the_node_writes_is_the_standard_s_row(region):
    """Term, code and pairedness as in Table L-1, and the term is a legal CS value."""
    part = body_part_of(region)
    term, code, _, paired = TABLE[region]
    assert (part.term, part.code, part.paired) == (term, code, paired)
    assert len(part.term) <= 16


@pytest.mark.parametrize("region", REGIONS)
def test_what_the_node_writes_it_reads_again(region):
    """A corrected copy that comes back agrees with itself, by term, by code and by the older code."""
    term, code, older, _ = TABLE[region]
    assert read_header_region(term).region is region
    assert read_header_region("", code).region is region
    assert read_header_region("", older).region is region


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("C-SPINE", "CSPINE"),
        ("XR WRIST RT", "WRIST"),
        ("HANDGELENK", "WRIST"),
        ("Hand rechts 2 Eb.", "HAND"),
        ("Schädel", "SKULL"),
        ("SCHÄDEL SEITL.", "SKULL"),
        ("Füße bds.", "FOOT"),
        ("Épaule", "SHOULDER"),
        ("SHOULDER_R", "SHOULDER"),
        ("KNEE2", "KNEE"),
        ("C SPINE 3V", "CSPINE"),
        ("SPINE, THORACIC", "TSPINE"),
        ("UPPER ARM", "UPPERARM"),
        ("UPPER LEG", "THIGH"),
        ("FEMORAL NECK", "HIP"),
        ("Neck of femur", "HIP"),
        ("L-S SPINE", "LSSPINE"),
        ("3RDVENTRICLE", "3RDVENTRICLE"),
    ],
)
def test_free_text_is_read_as_its_defined_term(text, term):
    """Languages, umlauts, sides, projections and punctuation that real headers hold."""
    assert normalised_terms(text) == {term}


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("L SPINE", "LSPINE"),
        ("XR L SPINE", "LSPINE"),
        ("L HAND", "HAND"),
        ("L LUMBAR SPINE", "LSPINE"),
        ("R RIB", "RIB"),
        ("LT LUMBAR SPINE", "LSPINE"),
    ],
)
def test_the_letter_l_is_lumbar_before_spine_and_left_elsewhere(text, term):
    """Sides are passed over only where they are not part of a phrase."""
    assert normalised_terms(text) == {term}


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("DORSAL HAND", {"HAND"}),
        ("FOOT DIGITS", {"FOOT"}),
        ("DEDO PIE", {"FOOT"}),
        ("HIP JOINT", {"HIP"}),
        ("KNEE JOINT LT", {"KNEE"}),
        ("DIGIT", {"FINGER"}),
        ("DIGIT JOINT", {"FINGER"}),
        ("DORSAL", {"TSPINE"}),
        ("DORSAL SPINE", {"TSPINE"}),
        ("DORSAL AND LUMBAR SPINE", {"TSPINE", "LSPINE"}),
        ("AC JOINT", {"ACJOINT"}),
        ("JOINT", {"JOINT"}),
    ],
)
def test_words_that_only_go_with_another_part_are_none_beside_it(text, terms):
    """What is dorsal, a digit or a joint is told by the other word."""
    assert normalised_terms(text) == terms


@pytest.mark.parametrize(
    ("text", "term", "regions"),
    [
        ("BRUST WS", "TSPINE", {Region.THORACIC_SPINE}),
        ("HALS WS", "CSPINE", {Region.CERVICAL_SPINE}),
        ("HALS-Wirbelsäule", "CSPINE", {Region.CERVICAL_SPINE}),
        ("CUELLO FEMORAL", "HIP", {Region.PELVIS_HIP}),
        ("COLLO FEMORALE", "HIP", {Region.PELVIS_HIP}),
        ("PANORAMICA MIEMBROS INFERIORES", "LOWERLIMB", {Region.KNEE, Region.FOOT, Region.ANKLE, Region.PELVIS_HIP}),
        ("PANORAMIQUE MEMBRES INFERIEURS", "LOWERLIMB", {Region.KNEE, Region.FOOT, Region.ANKLE, Region.PELVIS_HIP}),
        ("PELVIS PANORAMICA", "PELVIS", {Region.PELVIS_HIP}),
        ("COLUMNA PANORAMICA", "SPINE", {Region.CERVICAL_SPINE, Region.THORACIC_SPINE, Region.LUMBAR_SPINE}),
        ("BACINO PANORAMICA", "PELVIS", {Region.PELVIS_HIP}),
        ("KNEE PANORAMIC", "KNEE", {Region.KNEE}),
        ("COLLO PIEDE", "FOOT", {Region.FOOT}),
        ("COU DU PIED", "FOOT", {Region.FOOT}),
        ("CUELLO DE PIE", "FOOT", {Region.FOOT}),
        ("COLLO OMERO", "HUMERUS", {Region.SHOULDER, Region.ELBOW}),
        ("CUELLO HUMERO", "HUMERUS", {Region.SHOULDER, Region.ELBOW}),
        ("RADIUS HALS", "RADIUS", {Region.ELBOW, Region.WRIST}),
    ],
)
def test_the_neck_of_a_bone_and_a_panorama_of_legs_are_none_of_the_patient_s_neck_or_teeth(text, term, regions):
    """Nothing outside the 14 regions is said by the word that goes with another part."""
    header = read_header_region(text)
    assert (header.term, header.regions, header.outside) == (term, regions, False)


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("HALS", "NECK"),
        ("Cou", "NECK"),
        ("COLLO AP", "NECK"),
        ("BRUST pa", "CHEST"),
        ("PANORAMICA", "MOUTH"),
        ("PANORAMIC DENTAL", "MOUTH"),
    ],
)
def test_a_neck_a_breast_or_a_panorama_that_goes_with_no_other_part_is_its_own(text, term):
    """And stays protected."""
    header = read_header_region(text)
    assert (header.term, header.outside) == (term, True)


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("halswervelkolom", "CSPINE"),
        ("nekwervels", "CSPINE"),
        ("borstwervelkolom", "TSPINE"),
        ("lendenwervelkolom", "LSPINE"),
        ("vingers", "FINGER"),
        ("Zeigefinger", "FINGER"),
        ("Kleinfinger", "FINGER"),
        ("PHALANGES", "FINGER"),
        ("bovenarm", "HUMERUS"),
        ("braccio", "HUMERUS"),
        ("brazo", "HUMERUS"),
        ("hiel", "CALCANEUS"),
        ("calcagno", "CALCANEUS"),
        ("heiligbeen", "SSPINE"),
        ("stuitje", "COCCYX"),
        ("Ganzbein", "LOWERLIMB"),
        ("Ganzbeinaufnahme li", "LOWERLIMB"),
        ("Beinachse", "LOWERLIMB"),
        ("Bein", "LOWERLIMB"),
        ("Wirbelsäulenganzaufnahme", "SPINE"),
        ("Ellbogengelenk", "ELBOW"),
        ("Radiuskopf", "ELBOW"),
        ("Kiefer", "JAW"),
        ("Jochbein", "ZYGOMA"),
        ("clavicola", "CLAVICLE"),
        ("avampiede", "FOOT"),
        ("antepie", "FOOT"),
        ("anche", "HIP"),
        ("emitorace", "RIB"),
        ("emicostato", "RIB"),
        ("RACHIDE LOMBOSACRALE", "LSSPINE"),
        ("RACHIDE L/S", "LSSPINE"),
        ("senos paranasales", "MAXILLA"),
        ("mandibule", "MANDIBLE"),
        ("os propres du nez", "NOSE"),
        ("os propres du nez profil", "NOSE"),
        ("UPPERLEG", "THIGH"),
        ("FOOT PHALANGES", "FOOT"),
        ("GINOCCHIO ANCHE", "KNEE"),
    ],
)
def test_everyday_words_of_other_languages_are_read_as_their_defined_term(text, term):
    """They need nobody's review."""
    assert normalised_terms(text) == {term}


@pytest.mark.parametrize("text", ["D2", "DIG 2", "Digitus II", "USG"])
def test_words_that_may_mean_several_parts_stay_unexplained(text):
    """A finger or a toe, a vertebra or a tooth, a joint or a sonography."""
    assert read_header_region(text).unexplained


@pytest.mark.parametrize(
    "text",
    [
        *("ABDO PELVIS", "PELVIS/ABDO", "KNEE-HUEFT", "RIBS/STERN", "HIP TIB", "CSP TSP LSPINE", "THORAKAL LUMBAR"),
        *("SKULL SHUNT SERIES", "ELBOW TO WRIST", "XR C/T/L SPINE", "LSPINE T12", "RIB XYZZY 2"),
        *("FOOT 胸部", "胸部 RIB", "RIB/ГРУДЬ"),
    ],
)
def test_a_known_word_does_not_explain_those_beside_it(text):
    """They may name a part that no table of ours has."""
    header = read_header_region(text)
    assert (header.kind, header.unexplained) == (HeaderKind.NAMES, True)


@pytest.mark.parametrize(
    "text",
    [
        *("HAND LT", "Hand rechts 2 Eb.", "KNEE 3V", "KNEE2", "FINGER II", "XR FOOT WEIGHT BEARING", "KNEE POST-OP"),
        *("WRIST CAST", "CHEST PORTABLE", "CHEST_PA", "Knie re. a.p.", "SHOULDER AXILLARY", "PELVIS INLET", "HIP FROG"),
        *("KNEE UNSPECIFIED", "os propres du nez profil", "HANDS AND WRISTS", "DISTAL FEMUR", "BOTH KNEES STANDING"),
        *("DORSAL HAND", "Füße bds.", "HIP RT WITH PELVIS", "WHOLE BODY", "CSPINE OPEN MOUTH", "ANKLE A/P"),
    ],
)
def test_projections_and_circumstances_need_no_explanation(text):
    """How a film was taken, of which side and why, says nothing of another part."""
    header = read_header_region(text)
    assert (bool(header.term or header.regions), header.unexplained) == (True, False)


def test_no_qualifier_is_a_part_of_its_own():
    """Each word stands in one table."""
    assert qualifiers().isdisjoint({*body_parts(), *synonyms(), *noise(), *filler()})


@pytest.mark.parametrize(
    ("text", "nothing"),
    [
        *[(word, True) for word in ("OTHER", "OTHERS", "MISC", "VARIOUS", "GENERAL", "TEST", "BODY", "USER DEFINED")],
        *[(word, True) for word in ("Sonstige", "SONSTIGES", "andere", "AUTRE", "OTRO", "ALTRO", "OVERIG")],
        *[(word, True) for word in ("DEFAULT 1", "OTHER_2", "OTHER BODY PART", "DEFAULT1")],
        *[(word, False) for word in ("0", "1", "12", "L 2", "DIG 2", "DIG NO 2", "OTHER XYZZY", "UPPER BODY")],
    ],
)
def test_words_of_forms_name_no_body_part_and_digits_only_count_them(text, nothing):
    """A digit alone, or beside a side, may be a code, a vertebra or a finger."""
    assert read_header_region(text).unexplained is not nothing


def test_a_text_with_two_parts_names_both():
    """FOOT/ANKLE agrees with either."""
    header = read_header_region("FOOT/ANKLE")
    assert header.regions == {Region.FOOT, Region.ANKLE}
    assert header.region is None
    assert header.term is None


@pytest.mark.parametrize("value", ["PELVIS", "HIP", "BECKEN", "HIP RT WITH PELVIS"])
def test_pelvis_and_hip_are_one_region(value):
    """The merged class takes each of the terms as agreement."""
    assert read_header_region(value).region is Region.PELVIS_HIP


@pytest.mark.parametrize(
    ("value", "region"),
    [
        ("FEMORAL HEAD", Region.PELVIS_HIP),
        ("XR Head of femur LT", Region.PELVIS_HIP),
        ("Hüftkopf", Region.PELVIS_HIP),
        ("FEMURKOPF", Region.PELVIS_HIP),
        ("HUMERAL HEAD", Region.SHOULDER),
        ("HEAD OF HUMERUS", Region.SHOULDER),
        ("Humeruskopf", Region.SHOULDER),
        ("Oberarmkopf re", Region.SHOULDER),
        ("HEAD OF RADIUS", Region.ELBOW),
        ("FIBULAR HEAD", Region.KNEE),
        ("HEAD OF FIBULA", Region.KNEE),
        ("METATARSAL HEADS", Region.FOOT),
        ("2ND METATARSAL HEAD", Region.FOOT),
        ("METACARPAL HEAD", Region.HAND),
        ("METACARPAL HEADS", Region.HAND),
        ("HEAD", Region.SKULL),
    ],
)
def test_the_head_of_a_bone_is_not_the_head(value, region):
    """It is the joint that the bone's head is part of."""
    assert read_header_region(value).region is region


LEG = {Region.PELVIS_HIP, Region.KNEE, Region.ANKLE, Region.FOOT}
ARM = {Region.CLAVICLE, Region.SHOULDER, Region.ELBOW, Region.WRIST, Region.HAND}


@pytest.mark.parametrize(
    ("value", "term", "regions"),
    [
        ("PELVISLOWEXTREMT", "PELVISLOWEXTREMT", LEG),
        *[(value, "EXTREMITY", LEG | ARM) for value in ("EXTREMITY", "LIMB", "EXTREMITIES")],
        *[(value, "LOWERLIMB", LEG) for value in ("LOWERLIMB", "LEG", "FULL LEG", "WHOLE LEG LT", "LEG LENGTH")],
        *[(value, "LOWERLIMB", LEG) for value in ("LOWER EXTREMITIES", "Untere Extremität", "HIP TO ANKLE")],
        *[(value, "UPPERLIMB", ARM) for value in ("UPPERLIMB", "ARM", "WHOLE ARM", "ENTIRE ARM RT", "Ganzer Arm")],
        *[(value, "UPPERLIMB", ARM) for value in ("UPPER EXTREMITIES", "Obere Extremität", "SHOULDER TO WRIST")],
        *[(value, "FOREARM", {Region.ELBOW, Region.WRIST}) for value in ("LOWER ARM", "LOWERARM RT", "FORE ARM")],
        *[(value, "LOWERLEG", {Region.KNEE, Region.ANKLE}) for value in ("LOWER LEG", "TIB/FIB")],
    ],
)
def test_a_limb_is_all_of_it(value, term, regions):
    """With its girdle, as anatomists count: clavicle and hip bone are bones of the limbs."""
    header = read_header_region(value)
    assert (header.term, header.regions, header.unexplained) == (term, regions, False)


@pytest.mark.parametrize("value", ["THORACIC", "THORACIC INLET", "THORACIC OUTLET RT"])
def test_what_is_only_called_thoracic_may_be_the_chest(value):
    """No rib or clavicle contradicts it, nor does a spine."""
    header = read_header_region(value)
    assert (header.term, header.outside) == ("CHEST", True)
    assert {Region.RIB, Region.CLAVICLE, Region.THORACIC_SPINE} <= header.borders


@pytest.mark.parametrize("value", ["CERVICAL THORACIC LUMBAR", "THORACIC AND LUMBAR SPINE", "THORACIC/LUMBAR"])
def test_beside_another_part_of_the_spine_thoracic_is_one_too(value):
    header = read_header_region(value)
    assert {Region.THORACIC_SPINE, Region.LUMBAR_SPINE} <= header.regions
    assert not header.outside


@pytest.mark.parametrize("value", ["", "   ", "\0", " \0"])
def test_padding_alone_is_an_empty_header(value):
    """Zero bytes are padding to many senders."""
    assert read_header_region(value) == EMPTY_HEADER


def test_body_part_examined_speaks_before_the_code():
    """AnatomicRegionSequence is asked only where BodyPartExamined is empty."""
    assert read_header_region("KNEE", "85562004").region is Region.KNEE
    by_code = read_header_region(" ", "85562004")
    assert (by_code.region, by_code.source) == (Region.HAND, HeaderSource.ANATOMIC_REGION_SEQUENCE)


@pytest.mark.parametrize("filler", ["DEFAULT", "UNKNOWN", "CHESTXYZ", "-"])
@pytest.mark.parametrize(
    ("code", "kind", "term"),
    [
        ("818981001", HeaderKind.OUTSIDE, "ABDOMEN"),
        ("85562004", HeaderKind.NAMES, "HAND"),
        ("000000", HeaderKind.UNKNOWN, None),
    ],
)
def test_beside_a_word_that_means_nothing_the_code_speaks(filler, code, kind, term):
    """Vendors put DEFAULT where they know the part only as a code; the word is kept for whoever changes it."""
    header = read_header_region(filler, code)
    assert (header.kind, header.term, header.coded) == (kind, term, True)
    assert (header.source, header.value) == (HeaderSource.BODY_PART_EXAMINED, filler)


def test_a_code_outside_the_fourteen_is_not_forgotten_beside_a_body_part():
    """The header still says ELBOW, and a chest as well."""
    header = read_header_region("ELBOW", "816094009")
    assert (header.region, header.term, header.outside) == (Region.ELBOW, "ELBOW", True)
    assert not read_header_region("ELBOW", "85562004").outside


def test_a_legal_part_that_is_none_of_the_fourteen_is_outside_with_its_borders():
    """An image of the chest shows ribs, clavicles, shoulders and the thoracic spine, and nothing contradicts that."""
    header = read_header_region("CHEST")
    assert header.kind is HeaderKind.OUTSIDE
    assert header.regions == frozenset()
    assert header.borders == {Region.RIB, Region.CLAVICLE, Region.SHOULDER, Region.THORACIC_SPINE}


@pytest.mark.parametrize(("value", "code"), [("XYZZY", ""), ("", "000000"), ("R", "")])
def test_what_no_table_explains_is_unknown(value, code):
    """Not empty, not wrong: unknown, and kept as it was written."""
    header = read_header_region(value, code)
    assert (header.kind, header.term) == (HeaderKind.UNKNOWN, None)
    assert header.value == (value or code)


def test_coarse_terms_name_every_region_that_they_cover():
    """SPINE agrees with all three parts of the spine."""
    spine = {Region.CERVICAL_SPINE, Region.THORACIC_SPINE, Region.LUMBAR_SPINE}
    assert read_header_region("SPINE").regions == spine


def test_every_defined_term_reads_as_itself():
    """All of Annex L, whatever else the text rules do."""
    for term in body_parts():
        assert read_header_region(term).term == term


@given(st.text(max_size=64), st.text(max_size=16))
def test_no_text_is_too_strange_to_be_read(value, code):
    """Headers come from anywhere: reading never raises, and names regions exactly where it says so."""
    header = read_header_region(value, code)
    assert bool(header.regions) == (header.kind is HeaderKind.NAMES)
