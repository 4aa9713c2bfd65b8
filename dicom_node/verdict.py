"""What the pixels say, how that compares with the header, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from dicom_node.bodypart import EMPTY_HEADER, HeaderKind, HeaderRegion
from dicom_node.regions import Region


class Outcome(StrEnum):
    """What looking at the pixels came to."""

    TAGGED = "tagged"  # the model is sure enough to name a region
    ABSTAINED = "abstained"  # it is a radiograph, but the model would be guessing
    NOT_A_RADIOGRAPH = "not_a_radiograph"  # never shown to the model
    UNREADABLE = "unreadable"  # the pixels could not be decoded


class Agreement(StrEnum):
    """How a tagged region compares with the header."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    HEADER_EMPTY = "header_empty"
    HEADER_UNKNOWN = "header_unknown"  # the header's text, or its body part, is none that the model could know


class Decision(StrEnum):
    """What the node does about the header in the copies that it forwards."""

    AGREES = "agrees"  # the header is right: the object goes as it came
    FILLS = "fills"  # the header was empty: the copy says what the pixels show
    CORRECTS = "corrects"  # the header was wrong: the copy is corrected, the old value kept in it
    # The next two go as they came, except that they may take over what the first image decided for their series.
    REVIEW = "review"  # a person must settle it
    ABSTAINS = "abstains"  # nothing is known
    NOT_A_RADIOGRAPH = "not_a_radiograph"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, kw_only=True)
class Recognition:
    """What the model said of one image.

    `probabilities`: calibrated, per region, summing to 1. `embedding`: 512 float32, little endian, as bytes.
    `reject_score`: how strange the image is to the model; higher is stranger.
    """

    model_id: str
    probabilities: Mapping[Region, float]
    region: Region
    confidence: float
    reject_score: float
    embedding: bytes


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The settled answer for one instance.

    `region` and `confidence` are the model's best answer, also where it abstained; `body_part` is the value of
    BodyPartExamined that copies get, None for "as received"; `proposal`: the value that this image alone decides for
    its series; `reason` is one sentence for people.
    """

    outcome: Outcome
    decision: Decision
    reason: str
    decided_at: datetime
    region: Region | None = None
    confidence: float = 0.0
    header_region: Region | None = None
    agreement: Agreement | None = None
    body_part: str | None = None
    proposal: str | None = None


def agreement_of(region: Region, header: HeaderRegion) -> Agreement:
    """Compare a tagged region with what the header says."""
    if header.kind is HeaderKind.EMPTY:
        return Agreement.HEADER_EMPTY
    if header.kind is not HeaderKind.NAMES:
        return Agreement.HEADER_UNKNOWN
    return Agreement.AGREES if region in header.regions and not header.torn else Agreement.DISAGREES


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """What looking at one object came to, before any policy. `values`: its header by keyword, for the rules."""

    outcome: Outcome
    header: HeaderRegion
    values: Mapping[str, tuple[str, ...]]
    recognition: Recognition | None = None
    reason: str = ""

    @property
    def region(self) -> Region | None:
        """The region that the node stands for: the model's answer where it is sure, else None."""
        return self.recognition.region if self.recognition and self.outcome is Outcome.TAGGED else None

    @property
    def confidence(self) -> float:
        return self.recognition.confidence if self.recognition else 0.0

    @property
    def agreement(self) -> Agreement | None:
        """How the region that the node stands for compares with the header; None where it stands for none."""
        return agreement_of(self.region, self.header) if self.region else None

    @classmethod
    def unreadable(cls, reason: str) -> Self:
        """A sighting of something that nothing could be made of."""
        return cls(outcome=Outcome.UNREADABLE, header=EMPTY_HEADER, values={}, reason=reason)
