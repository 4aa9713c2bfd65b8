"""The tables beside this file, as values; README.md says where each is from."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files


@dataclass(frozen=True, kw_only=True)
class BodyPart:
    """One defined term of BodyPartExamined with its SNOMED CT code (PS3.16 Table L-1, CID 4031)."""

    term: str
    code: str
    meaning: str
    paired: bool


@lru_cache(maxsize=1)
def body_parts() -> Mapping[str, BodyPart]:
    """Every defined term of PS3.16 Annex L, by term."""
    return {
        row["term"]: BodyPart(term=row["term"], code=row["code"], meaning=row["meaning"], paired=row["paired"] == "yes")
        for row in table("body_parts.csv")
    }


@lru_cache(maxsize=1)
def synonyms() -> Mapping[str, str]:
    """What hospitals type, in upper-case words, and the defined term that it means."""
    return {row["phrase"]: row["term"] for row in table("synonyms.csv")}


@lru_cache(maxsize=1)
def noise() -> frozenset[str]:
    """Words that say how or of which side a radiograph was taken, never of what."""
    return _words_of("noise.csv")


@lru_cache(maxsize=1)
def filler() -> frozenset[str]:
    """Words that stand where nobody has named a body part."""
    return _words_of("filler.csv")


@lru_cache(maxsize=1)
def qualifiers() -> frozenset[str]:
    """Words that, beside a body part, name no other."""
    return _words_of("qualifiers.csv")


@lru_cache(maxsize=1)
def sides() -> Mapping[str, str]:
    """Words of a side, and which: R, L or B (both)."""
    return {row["word"]: row["side"] for row in table("sides.csv")}


def _words_of(name: str) -> frozenset[str]:
    return frozenset(row["word"] for row in table(name))


def table(name: str) -> Iterator[dict[str, str]]:
    """The rows of a table, by the names in its first line."""
    text = files("dicom_node.terms").joinpath(name).read_text(encoding="utf-8")
    return iter(list(csv.DictReader(text.splitlines())))
