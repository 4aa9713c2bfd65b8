"""What a header says about the body part: legal terms, free text, and the regions that they are consistent with.

Real headers hold "C-SPINE", "XR WRIST RT" and "HANDGELENK" where the standard has CSPINE and WRIST.
So the text is normalised to a term of PS3.16 Annex L first, and only then compared with what the pixels show.
"""

import csv
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from itertools import combinations

from dicom_node.regions import Region


@dataclass(frozen=True, kw_only=True)
class BodyPart:
    """One defined term of BodyPartExamined with its SNOMED CT code (PS3.16 Table L-1, CID 4031)."""

    term: str
    code: str
    meaning: str
    paired: bool


class HeaderKind(StrEnum):
    """What sort of statement a header makes about the region."""

    EMPTY = "empty"  # nothing is said
    NAMES = "names"  # one or several of the 14 regions
    OUTSIDE = "outside"  # a legal body part that is none of the 14
    UNKNOWN = "unknown"  # text that no table of ours explains


class HeaderSource(StrEnum):
    """The attribute that a statement was read from."""

    NONE = "none"
    BODY_PART_EXAMINED = "BodyPartExamined"
    ANATOMIC_REGION_SEQUENCE = "AnatomicRegionSequence"


@dataclass(frozen=True, kw_only=True)
class HeaderRegion:
    """A header's statement, normalised.

    `regions`: the regions that the term names; `outside`: whether a term or a code names a part that is none of the
    14; `borders`: regions that images of such a part show as well; `coded`: whether all this is what the codes say, be
    it beside a text (`value`) that means nothing; `sided`: whether the header says that it is the right or the left one
    of a pair; `whole`: that it is no single one, but both or unpaired; `torn`: that its parts name regions that have
    nothing in common; `unexplained`: that BodyPartExamined has words that no table of ours explains, and alone.
    """

    kind: HeaderKind
    source: HeaderSource
    value: str = ""
    term: str | None = None
    regions: frozenset[Region] = frozenset()
    outside: bool = False
    borders: frozenset[Region] = frozenset()
    coded: bool = False
    sided: bool = False
    whole: bool = False
    torn: bool = False
    unexplained: bool = False

    @property
    def region(self) -> Region | None:
        """The one region that the header names, None when it names none or several."""
        return next(iter(self.regions)) if len(self.regions) == 1 else None


_PADDING = " \t\r\n\0"  # senders pad with NUL where the standard has a space

EMPTY_HEADER = HeaderRegion(kind=HeaderKind.EMPTY, source=HeaderSource.NONE)


def read_header_region(
    body_part_examined: str, anatomic_region_codes: str = "", primary_structure_codes: str = ""
) -> HeaderRegion:
    """Normalise a header: BodyPartExamined speaks first, the codes of AnatomicRegionSequence where it says nothing:
    where it is empty, or a word like DEFAULT that vendors put there. Where those say nothing either, the codes of
    PrimaryAnatomicStructureSequence do.

    Codes: CodeValues, SNOMED CT or the older SRT form, with backslashes between them. One of them that is not known
    makes the whole statement unknown. A code that is not of the 14 regions is never forgotten beside a
    BodyPartExamined: it makes the header `outside`.
    """
    by_region, by_structure = _coded_statement(anatomic_region_codes), _coded_statement(primary_structure_codes)
    by_text = _text_statement(body_part_examined)
    named = [each.regions for each in (by_text, by_region, by_structure) if each is not None and each.regions]
    said = _together(by_text, by_region or by_structure)
    return replace(said, torn=any(one.isdisjoint(other) for one, other in combinations(named, 2)))


def _text_statement(body_part_examined: str) -> HeaderRegion | None:
    if not body_part_examined.strip(_PADDING):
        return None
    said = _statement(body_part_examined, normalised_terms(body_part_examined), HeaderSource.BODY_PART_EXAMINED)
    return replace(said, unexplained=said.kind is HeaderKind.UNKNOWN and not is_filler(body_part_examined))


def _together(by_text: HeaderRegion | None, by_code: HeaderRegion | None) -> HeaderRegion:
    if by_text is None or by_code is None:
        return by_text or by_code or EMPTY_HEADER
    if by_text.kind is HeaderKind.UNKNOWN:
        return replace(by_code, source=by_text.source, value=by_text.value, unexplained=by_text.unexplained)
    return replace(by_text, outside=by_text.outside or by_code.outside or by_code.kind is HeaderKind.UNKNOWN)


def _coded_statement(anatomic_region_codes: str) -> HeaderRegion | None:
    codes = [code for each in anatomic_region_codes.split("\\") if (code := each.strip(_PADDING))]
    if not codes:
        return None
    known = [_terms_by_code()[code] for code in codes if code in _terms_by_code()]
    terms = frozenset(known) if len(known) == len(codes) else frozenset()
    return replace(_statement(anatomic_region_codes, terms, HeaderSource.ANATOMIC_REGION_SEQUENCE), coded=True)


def _statement(value: str, terms: frozenset[str], source: HeaderSource) -> HeaderRegion:
    if not terms:
        return HeaderRegion(kind=HeaderKind.UNKNOWN, source=source, value=value)
    table = _regions_of_terms()
    named = frozenset(region for term in terms for region in table.get(term, _NOTHING)[0])
    bordering = frozenset(region for term in terms for region in table.get(term, _NOTHING)[1])
    outside = any(not table.get(term, _NOTHING)[0] for term in terms)
    return HeaderRegion(
        kind=HeaderKind.NAMES if named else HeaderKind.OUTSIDE,
        source=source,
        value=value,
        term=next(iter(terms)) if len(terms) == 1 else None,
        regions=named,
        outside=outside,
        borders=bordering,
    )


def normalised_terms(text: str) -> frozenset[str]:
    """The defined terms that a free text means: an exact term or phrase first, else every phrase found inside.

    "HAND WRIST" means two, "foo" none. Sides and projections are passed over, but only where they are not part of a
    phrase: the L of "XR L SPINE" is lumbar, the L of "L HAND" is left.
    """
    words = _words(text)
    exact = _lookup(words)
    if exact is not None:
        return frozenset({exact})
    return _terms_inside(words) or _terms_inside(_without_noise(words))


def is_filler(text: str) -> bool:
    """Whether a text says nothing of a body part: signs alone, or words that devices put where nobody has chosen one
    (DEFAULT, N/A), and such as say how or of which side.

    Letters of another alphabet are words too, though no table of ours has them; so are digits, which may be a code,
    unless they only count such words (DEFAULT 1).
    """
    if any(letter.isalnum() and not _plain(letter) for letter in text):
        return False
    words = _words(text)
    # NO may be "number": what it counts is not said.
    counted = any(word in _filler() and word != "NO" for word in words)
    nothing = (word in _filler() or word in _noise() or (counted and word.isdigit()) for word in words)
    return "".join(words) in _filler() or all(nothing)


def _lookup(words: tuple[str, ...]) -> str | None:
    joined = "".join(words)
    # "L LUMBAR" is a side and a spine, not LLUMBAR, the left lumbar region of the abdomen.
    starts_with_side = len(words) > 1 and words[0] in {"L", "R"}
    if joined in body_parts() and not starts_with_side:
        return joined
    return _synonyms().get(" ".join(words)) or _synonyms().get(joined)


# Words that are a part of their own only where no other is named: the DIGITS of a FOOT are toes, the neck of a femur
# (COLLO, HALS) is no NECK, and a panorama (PANORAMICA) of legs shows no teeth.
_LAST_RESORTS = (
    *("JOINT", "DIGIT", "DIGITS", "PHALANX", "PHALANGES", "DOIGT", "DEDO", "DITO", "DORSAL", "DORSALE"),
    *("HALS", "COU", "COLLO", "CUELLO", "NEK", "BRUST", "BORST"),
    *("PANORAMIC", "PANORAMICA", "PANORAMIQUE"),
    "ANCHE",  # hips, and "also"
)
_OF_THE_SPINE = ("DORSAL", "DORSALE")  # beside another part of the spine it is one, too


def _terms_inside(words: tuple[str, ...]) -> frozenset[str]:
    found = dict(_phrases_inside(words))
    for word in _LAST_RESORTS:
        others = {term for phrase, term in found.items() if phrase != word}
        spine = word in _OF_THE_SPINE and any(term.endswith(("SPINE", "LUMBAR")) for term in others)
        if others and not spine:
            found.pop(word, None)
    return frozenset(found.values())


def _phrases_inside(words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The phrases that mean something, with their terms."""
    start = 0
    while start < len(words):
        for end in range(min(len(words), start + 3), start, -1):
            term = _lookup(words[start:end])
            if term is not None:
                yield " ".join(words[start:end]), term
                start = end - 1
                break
        start += 1


def _words(text: str) -> tuple[str, ...]:
    plain = text.upper()
    for umlaut, spelled in (("Ä", "AE"), ("Ö", "OE"), ("Ü", "UE"), ("ẞ", "SS")):
        plain = plain.replace(umlaut, spelled)
    return tuple(re.findall(r"[A-Z]+|\d+[A-Z]*", _plain(plain)))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


def _without_noise(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in _noise() and not word[0].isdigit())


@lru_cache(maxsize=1)
def _noise() -> frozenset[str]:
    """Words that say how or of which side a radiograph was taken, never of what."""
    return frozenset(row["word"] for row in _table("noise.csv"))


@lru_cache(maxsize=1)
def _filler() -> frozenset[str]:
    """Words that stand where nobody has named a body part."""
    return frozenset(row["word"] for row in _table("filler.csv"))


@lru_cache(maxsize=1)
def body_parts() -> Mapping[str, BodyPart]:
    """Every defined term of PS3.16 Annex L, by term."""
    return {
        row["term"]: BodyPart(term=row["term"], code=row["code"], meaning=row["meaning"], paired=row["paired"] == "yes")
        for row in _table("body_parts.csv")
    }


@lru_cache(maxsize=1)
def _terms_by_code() -> Mapping[str, str]:
    older = {row["code"]: row["term"] for row in _table("older_codes.csv")}
    return {part.code: part.term for part in body_parts().values()} | older


_NOTHING: tuple[frozenset[Region], frozenset[Region]] = (frozenset(), frozenset())


@lru_cache(maxsize=1)
def _regions_of_terms() -> Mapping[str, tuple[frozenset[Region], frozenset[Region]]]:
    nothing, _ = _NOTHING
    table = {}
    for row in _table("region_terms.csv"):
        regions = frozenset(Region(name) for name in row["regions"].split())
        table[row["term"]] = (regions, nothing) if row["relation"] == "names" else (nothing, regions)
    return table


@lru_cache(maxsize=1)
def _synonyms() -> Mapping[str, str]:
    return {row["phrase"]: row["term"] for row in _table("synonyms.csv")}


def _table(name: str) -> Iterator[dict[str, str]]:
    text = files("dicom_node.terms").joinpath(name).read_text(encoding="utf-8")
    return iter(list(csv.DictReader(text.splitlines())))


def body_part_of(region: Region) -> BodyPart:
    """The body part that the node writes for a region."""
    return body_parts()[region.body_part_examined]
