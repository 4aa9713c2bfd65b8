"""What people type for a body part: the defined terms that it means, and what of it nobody understands.

Real headers hold "C-SPINE", "XR WRIST RT" and "HANDGELENK" where the standard has CSPINE and WRIST.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from dicom_node.terms import body_parts, filler, noise, qualifiers, sides, synonyms


@dataclass(frozen=True, kw_only=True)
class Wording:
    """A text, understood as far as it goes.

    `terms`: the defined terms that it means; `rest`: its words that are no part of those; `strange`: whether it has
    letters of another alphabet, which are words too, though no table of ours has them.
    """

    terms: frozenset[str]
    rest: tuple[str, ...]
    strange: bool

    @property
    def unexplained(self) -> bool:
        """Whether some of its words may name a part that no table of ours has."""
        if not self.terms:
            return self.strange or not _is_nothing(self.rest)
        unknown = [word for word in self.rest if not _is_known(word)]
        return self.strange or bool(unknown and "".join(unknown) not in noise())  # A/P is AP

    @property
    def side(self) -> str:
        """R or L where its words name that side alone, "" otherwise, and where something else of it is not understood.

        L beside a spine, or alone, may be lumbar.
        """
        pairs = bool(self.terms) and all(body_parts()[term].paired for term in self.terms)
        named = {sides()[word] for word in self.rest if word in sides() and (word != "L" or pairs)}
        return next(iter(named)) if named in ({"R"}, {"L"}) and not self.unexplained else ""


def understood(text: str) -> Wording:
    """Find the defined terms of a free text: an exact term or phrase first, else every phrase found inside.

    "HAND WRIST" means two, "foo" none. Sides and projections are passed over, but only where they are not part of a
    phrase: the L of "XR L SPINE" is lumbar, the L of "L HAND" is left.
    """
    words = _words(text)
    strange = any(letter.isalnum() and not _plain(letter) for letter in text.upper())
    exact = _lookup(words)
    if exact is not None:
        return Wording(terms=frozenset({exact}), rest=(), strange=strange)
    passed_over = tuple(word for word in words if _is_noise(word))
    remaining = tuple(word for word in words if not _is_noise(word))
    for tried, beside in ((words, ()), (remaining, passed_over)):
        found = tuple(_phrases_inside(tried))
        if found:
            rest = _without_phrases(tried, found)
            return Wording(terms=_together(found), rest=rest + beside, strange=strange)
    return Wording(terms=frozenset(), rest=words, strange=strange)


def normalised_terms(text: str) -> frozenset[str]:
    """The defined terms that a free text means."""
    return understood(text).terms


def _is_nothing(words: tuple[str, ...]) -> bool:
    """Whether words say nothing of a body part: none at all, or such as devices put where nobody has chosen one
    (DEFAULT, N/A), and such as say how or of which side.

    Digits may be a code, unless they only count such words (DEFAULT 1).
    """
    # NO may be "number": what it counts is not said.
    counted = any(word in filler() and word != "NO" for word in words)
    nothing = (word in filler() or word in noise() or (counted and word.isdigit()) for word in words)
    return "".join(words) in filler() or all(nothing)


def _is_noise(word: str) -> bool:
    return word in noise() or word[0].isdigit()


def _is_known(word: str) -> bool:
    """Whether a word beside a body part names no other: 2, or 3V, too."""
    unit = word.lstrip("0123456789")
    return not unit or unit in _known()


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return noise() | filler() | qualifiers()


def _lookup(words: tuple[str, ...]) -> str | None:
    joined = "".join(words)
    # "L LUMBAR" is a side and a spine, not LLUMBAR, the left lumbar region of the abdomen.
    starts_with_side = len(words) > 1 and words[0] in {"L", "R"}
    if joined in body_parts() and not starts_with_side:
        return joined
    return synonyms().get(" ".join(words)) or synonyms().get(joined)


# Words that are a part of their own only where no other is named: the DIGITS of a FOOT are toes, the neck of a femur
# (COLLO, HALS) is no NECK, and a panorama (PANORAMICA) of legs shows no teeth.
_LAST_RESORTS = (
    *("JOINT", "DIGIT", "DIGITS", "PHALANX", "PHALANGES", "DOIGT", "DEDO", "DITO", "DORSAL", "DORSALE"),
    *("HALS", "COU", "COLLO", "CUELLO", "NEK", "BRUST", "BORST"),
    *("PANORAMIC", "PANORAMICA", "PANORAMIQUE"),
    "ANCHE",  # hips, and "also"
)
_OF_THE_SPINE = ("DORSAL", "DORSALE")  # beside another part of the spine it is one, too
_THORACIC = "THORACIC"  # of the spine beside another part of it, else of the chest, its ribs or its inlet

Phrase = tuple[int, int, str, str]  # from and to which word, the words, and the term that they mean


def _together(phrases: tuple[Phrase, ...]) -> frozenset[str]:
    found = {words: term for _, _, words, term in phrases}
    for word in _LAST_RESORTS:
        others = {term for phrase, term in found.items() if phrase != word}
        if others and not (word in _OF_THE_SPINE and _has_a_spine(others)):
            found.pop(word, None)
    if _THORACIC in found and _has_a_spine({term for phrase, term in found.items() if phrase != _THORACIC}):
        found[_THORACIC] = "TSPINE"
    return frozenset(found.values())


def _has_a_spine(terms: set[str]) -> bool:
    return any(term.endswith(("SPINE", "LUMBAR")) for term in terms)


def _phrases_inside(words: tuple[str, ...]) -> Iterator[Phrase]:
    start = 0
    while start < len(words):
        for end in range(min(len(words), start + 3), start, -1):
            term = _lookup(words[start:end])
            if term is not None:
                yield start, end, " ".join(words[start:end]), term
                start = end - 1
                break
        start += 1


def _without_phrases(words: tuple[str, ...], phrases: tuple[Phrase, ...]) -> tuple[str, ...]:
    covered = {index for start, end, _, _ in phrases for index in range(start, end)}
    return tuple(word for index, word in enumerate(words) if index not in covered)


def _words(text: str) -> tuple[str, ...]:
    plain = text.upper()
    for umlaut, spelled in (("Ä", "AE"), ("Ö", "OE"), ("Ü", "UE"), ("ẞ", "SS")):
        plain = plain.replace(umlaut, spelled)
    return tuple(re.findall(r"[A-Z]+|\d+[A-Z]*", _plain(plain)))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
