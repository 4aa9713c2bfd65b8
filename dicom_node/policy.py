"""The hospital's policy: what the node may do about a header, decided from facts alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dicom_node.bodypart import (
    HeaderKind,
    HeaderRegion,
    HeaderSource,
    body_parts,
    normalised_terms,
    read_header_region,
)
from dicom_node.regions import Region
from dicom_node.verdict import Agreement, Decision, Outcome, agreement_of

# What is written for the merged class where the sender states a side, which a whole pelvis cannot have.
ONE_HIP = "HIP"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """`fill`: write the region where the header is empty. `correct_above`: overwrite a wrong header when the model's
    confidence is at least this; None leaves every wrong header to review.
    """

    fill: bool = True
    correct_above: float | None = None


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What the policy says about one image. `body_part`: the value to write, None for "as received"."""

    decision: Decision
    reason: str
    agreement: Agreement | None = None
    body_part: str | None = None


def rule_on(
    *, policy: Policy, header: HeaderRegion, outcome: Outcome, region: Region | None, confidence: float
) -> Ruling:
    """Decide what happens to the header of one image.

    Outcomes: an image that is not tagged is left alone; a header that agrees is left alone; an empty header is filled
    where the policy allows it; a header that the pixels contradict is corrected above the policy's confidence and goes
    to review below it. A legal body part outside the 14 regions is never overwritten, since no pixel can refute it to a
    model that was never taught it.
    """
    if outcome is not Outcome.TAGGED or region is None:
        return _left_alone(outcome)
    agreement = agreement_of(region, header)
    if agreement is Agreement.HEADER_EMPTY:
        return _on_empty(policy, header, region, agreement)
    if agreement is Agreement.AGREES:
        return _on_agreement(policy, header, region, agreement)
    if header.outside:
        return _on_outside(header, region, agreement)
    return _on_contradiction(policy, header, region, confidence, agreement)


def _left_alone(outcome: Outcome) -> Ruling:
    decision, reason = {
        Outcome.NOT_A_RADIOGRAPH: (Decision.NOT_A_RADIOGRAPH, "not a plain radiograph"),
        Outcome.UNREADABLE: (Decision.UNREADABLE, "the pixels could not be decoded"),
    }.get(outcome, (Decision.ABSTAINS, "the model is not sure enough to name a region"))
    return Ruling(decision=decision, reason=reason)


def _on_empty(policy: Policy, header: HeaderRegion, region: Region, agreement: Agreement) -> Ruling:
    if not policy.fill:
        return Ruling(
            decision=Decision.REVIEW, reason="the header is empty, and policy.fill is off", agreement=agreement
        )
    return Ruling(
        decision=Decision.FILLS,
        reason=f"the header is empty; the pixels show {region}",
        agreement=agreement,
        body_part=_term_for(region, header),
    )


def _term_for(region: Region, header: HeaderRegion) -> str:
    return ONE_HIP if takes_the_side(region.body_part_examined, header) else region.body_part_examined


def takes_the_side(value: str, header: HeaderRegion) -> bool:
    """Whether writing this value would take away the side that the sender states of a hip: PELVIS has none, and an
    object that has one beside it is not conformant (PS3.3 C.7.3.1.1.2).
    """
    if not header.sided or Region.PELVIS_HIP not in read_header_region(value).regions:
        return False
    return value in body_parts() and not body_parts()[value].paired


def _on_agreement(policy: Policy, header: HeaderRegion, region: Region, agreement: Agreement) -> Ruling:
    if header.source is HeaderSource.ANATOMIC_REGION_SEQUENCE and policy.fill:
        return Ruling(
            decision=Decision.FILLS,
            reason="BodyPartExamined is empty; AnatomicRegionSequence and the pixels agree",
            agreement=agreement,
            # The code may be finer than the region (HIP, FINGER): the term must not say less, nor something else.
            body_part=header.term if _says_enough(header, region) else _term_for(region, header),
        )
    return Ruling(decision=Decision.AGREES, reason="header and pixels agree", agreement=agreement)


def _says_enough(header: HeaderRegion, region: Region) -> bool:
    return header.term is not None and header.region is region and not takes_the_side(header.term, header)


def _on_outside(header: HeaderRegion, region: Region, agreement: Agreement) -> Ruling:
    said = header.term or "several parts, one of them"
    if region in header.borders:
        return Ruling(
            decision=Decision.AGREES,
            reason=f"the header says {said}, none of the 14 regions, and its images show {region} as well",
            agreement=agreement,
        )
    return Ruling(
        decision=Decision.REVIEW,
        reason=f"the header says {said}, none of the 14 regions; the pixels show {region}",
        agreement=agreement,
    )


def _on_contradiction(
    policy: Policy, header: HeaderRegion, region: Region, confidence: float, agreement: Agreement
) -> Ruling:
    said = header.term or "something that is not a known body part"
    reason = f"the header says {said}; the pixels show {region} ({confidence:.2f})"
    if policy.correct_above is None or confidence < policy.correct_above:
        return Ruling(decision=Decision.REVIEW, reason=reason, agreement=agreement)
    return Ruling(decision=Decision.CORRECTS, reason=reason, agreement=agreement, body_part=_term_for(region, header))


def series_proposal(ruling: Ruling, header: HeaderRegion) -> str | None:
    """The value of BodyPartExamined that this image decides for its series; None when it decides nothing."""
    if ruling.body_part is not None:
        return ruling.body_part
    if ruling.decision is Decision.AGREES and header.source is HeaderSource.BODY_PART_EXAMINED:
        return header.term
    return None


def within_series(
    policy: Policy, ruling: Ruling, header: HeaderRegion, region: Region | None, series_value: str | None
) -> Ruling:
    """Fit the ruling on a later image to the value that its series already has.

    BodyPartExamined belongs to the series (PS3.3 C.7.3.1), so that what went out with the first image stands. Outcomes:

    - what is not a readable radiograph is left alone;
    - an image whose own answer is another goes to review;
    - the series' value is written where the header says nothing and the policy lets it be filled, and over a header
      that says something else only where the policy lets wrong headers be corrected and the image's own pixels, if they
      were tagged with `region`, do not speak against it.
    """
    if ruling.decision in (Decision.NOT_A_RADIOGRAPH, Decision.UNREADABLE):
        return ruling
    if series_value is None:
        return ruling if ruling.body_part is None else _reviewed(ruling, "the series went out as received before", None)
    own = series_proposal(ruling, header)
    written = value_to_write(series_value, header)
    if own is not None and not same_body_part(own, series_value):
        fills = header.kind is HeaderKind.EMPTY and policy.fill
        return _reviewed(ruling, f"the series already has {series_value}", written if fills else None)
    spoken_against = header.kind is not HeaderKind.EMPTY and not _shows(region, series_value)
    allowed = _may_write(policy, header, series_value) and not spoken_against
    return replace(ruling, body_part=written if allowed else None)


def _shows(region: Region | None, value: str) -> bool:
    """Whether pixels tagged with this region may be of a series with this value; untagged ones may be of any."""
    return region is None or region in read_header_region(value).regions


def _reviewed(ruling: Ruling, why: str, body_part: str | None) -> Ruling:
    return replace(ruling, decision=Decision.REVIEW, reason=f"{ruling.reason}; {why}", body_part=body_part)


def _may_write(policy: Policy, header: HeaderRegion, value: str) -> bool:
    """Whether a series' value may be written into an image with this header."""
    if header.kind is HeaderKind.EMPTY:
        return policy.fill
    if header.source is HeaderSource.ANATOMIC_REGION_SEQUENCE:
        return policy.fill and bool(header.regions & read_header_region(value).regions)
    return policy.correct_above is not None and not header.outside


def closed_series_value(policy: Policy, header: HeaderRegion, series_value: str | None) -> str | None:
    """What a closed series' value comes to for one of its images; None for "leave as received"."""
    if series_value is None or not _may_write(policy, header, series_value):
        return None
    return value_to_write(series_value, header)


def value_to_write(series_value: str, header: HeaderRegion) -> str | None:
    """The series' value where the header does not say it already and no side is lost, None for "leave as received"."""
    said = header.value if header.source is HeaderSource.BODY_PART_EXAMINED else ""
    unwanted = same_body_part(said, series_value) or takes_the_side(series_value, header)
    return None if unwanted else series_value


def same_body_part(one: str, other: str) -> bool:
    """Whether two values of BodyPartExamined say the same: the same text, or the same defined terms."""
    if one.strip() == other.strip():
        return True
    terms = normalised_terms(one)
    return bool(terms) and terms == normalised_terms(other)


def agreed_value(rulings: Sequence[tuple[Ruling, HeaderRegion, Region | None]]) -> str | None:
    """The value on which all tagged images of a closed series agree, from ruling, header and tagged region of each.

    One hip with a side among pelves makes them all hips: that takes nobody's side away.
    """
    tagged = [(ruling, header, region) for ruling, header, region in rulings if region is not None]
    if len({region for _, _, region in tagged}) != 1:
        return None
    proposals = [value for ruling, header, _ in tagged if (value := series_proposal(ruling, header)) is not None]
    sided = [value for value in proposals if value == ONE_HIP]
    return next(iter(sided or proposals), None)
