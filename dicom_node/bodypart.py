"""What a header says about the body part: legal terms, free text, and the regions that they are consistent with.

A text is normalised to terms of PS3.16 Annex L first (`wording`), and only then compared with what the pixels show.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from itertools import combinations

from dicom_node.regions import Region
from dicom_node.terms import BodyPart, body_parts, table
from dicom_node.wording import understood

__all__ = [
    "EMPTY_HEADER",
    "BodyPart",
    "HeaderKind",
    "HeaderRegion",
    "HeaderSource",
    "body_part_of",
    "body_parts",
    "read_header_region",
]


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
    nothing in common; `unexplained`: that BodyPartExamined has words that no table of ours explains, be it beside
    others.
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
    words = understood(body_part_examined)
    said = _statement(body_part_examined, words.terms, HeaderSource.BODY_PART_EXAMINED)
    return replace(said, unexplained=words.unexplained)


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
    known = _regions_of_terms()
    named = frozenset(region for term in terms for region in known.get(term, _NOTHING)[0])
    bordering = frozenset(region for term in terms for region in known.get(term, _NOTHING)[1])
    outside = any(not known.get(term, _NOTHING)[0] for term in terms)
    return HeaderRegion(
        kind=HeaderKind.NAMES if named else HeaderKind.OUTSIDE,
        source=source,
        value=value,
        term=next(iter(terms)) if len(terms) == 1 else None,
        regions=named,
        outside=outside,
        borders=bordering,
    )


@lru_cache(maxsize=1)
def _terms_by_code() -> Mapping[str, str]:
    older = {row["code"]: row["term"] for row in table("older_codes.csv")}
    return {part.code: part.term for part in body_parts().values()} | older


_NOTHING: tuple[frozenset[Region], frozenset[Region]] = (frozenset(), frozenset())


@lru_cache(maxsize=1)
def _regions_of_terms() -> Mapping[str, tuple[frozenset[Region], frozenset[Region]]]:
    nothing, _ = _NOTHING
    relations = {}
    for row in table("region_terms.csv"):
        regions = frozenset(Region(name) for name in row["regions"].split())
        relations[row["term"]] = (regions, nothing) if row["relation"] == "names" else (nothing, regions)
    return relations


def body_part_of(region: Region) -> BodyPart:
    """The body part that the node writes for a region."""
    return body_parts()[region.body_part_examined]
