"""The hospital's policy: what the node may do about a header, decided from facts alone."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from dicom_node.bodypart import (
    HeaderKind,
    HeaderRegion,
    HeaderSource,
    body_parts,
    read_header_region,
)
from dicom_node.regions import Region
from dicom_node.verdict import Agreement, Decision, Outcome, Verdict, agreement_of
from dicom_node.wording import normalised_terms

# What is written for the merged class where the sender states a side, which a whole pelvis cannot have.
ONE_HIP = "HIP"
_JOINTS_OF_A_BONE = 2


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
    to review below it, and so does a hip of which the sender says one side and none. A legal body part outside the 14
    regions is never overwritten, since no pixel can refute it to a model that was never taught it.
    """
    if outcome is not Outcome.TAGGED or region is None:
        return _left_alone(outcome)
    ruling = _on_tagged(policy, header, region, confidence)
    if ruling.body_part == ONE_HIP and header.whole:
        return _reviewed(ruling, "HIP is one of a pair, and ImageLaterality says that this is not one side", None)
    return ruling


def _on_tagged(policy: Policy, header: HeaderRegion, region: Region, confidence: float) -> Ruling:
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
        body_part=term_for(region, header),
    )


def term_for(region: Region, header: HeaderRegion) -> str:
    """The term that is written for a region: HIP for the merged class where the sender states a side, else PELVIS."""
    return ONE_HIP if takes_the_side(region.body_part_examined, header) else region.body_part_examined


def takes_the_side(value: str, header: HeaderRegion) -> bool:
    """Whether writing this value would take away the side that the sender states of a hip: PELVIS has none, and an
    object that has one beside it is not conformant (PS3.3 C.7.3.1.1.2).
    """
    if not header.sided or Region.PELVIS_HIP not in read_header_region(value).regions:
        return False
    return _is_unpaired(value)


def _on_agreement(policy: Policy, header: HeaderRegion, region: Region, agreement: Agreement) -> Ruling:
    if header.source is HeaderSource.ANATOMIC_REGION_SEQUENCE and policy.fill:
        return Ruling(
            decision=Decision.FILLS,
            reason="BodyPartExamined is empty; AnatomicRegionSequence and the pixels agree",
            agreement=agreement,
            # The code may be finer than the region (HIP, FINGER): the term must not say less, nor something else.
            body_part=header.term if _says_enough(header, region) else term_for(region, header),
        )
    return Ruling(decision=Decision.AGREES, reason="header and pixels agree", agreement=agreement)


def _says_enough(header: HeaderRegion, region: Region) -> bool:
    """Whether the sender's own term stays: a bone between two joints does, a limb or the whole spine is too coarse."""
    if header.term is None or takes_the_side(header.term, header):
        return False
    return region in header.regions and len(header.regions) <= _JOINTS_OF_A_BONE


def _on_outside(header: HeaderRegion, region: Region, agreement: Agreement) -> Ruling:
    said = f"{header.term or 'several parts'}, none of the 14 regions"
    if header.regions:
        said = "several parts, not all of them of the 14 regions"
    if region in header.borders:
        reason = f"the header says {said}, and its images show {region} as well"
        return Ruling(decision=Decision.AGREES, reason=reason, agreement=agreement)
    return Ruling(
        decision=Decision.REVIEW, reason=f"the header says {said}; the pixels show {region}", agreement=agreement
    )


def _on_contradiction(
    policy: Policy, header: HeaderRegion, region: Region, confidence: float, agreement: Agreement
) -> Ruling:
    if header.kind is HeaderKind.UNKNOWN and header.coded:
        # A code is no slip of the pen: it names a part exactly, be it one that no table of ours has.
        reason = f"the header's codes name what is not known here; the pixels show {region}"
        return Ruling(decision=Decision.REVIEW, reason=reason, agreement=agreement)
    if header.unexplained:
        # It may be a part that the model was never taught, in words that no table of ours has.
        reason = f"BodyPartExamined says what is not known here; the pixels show {region}"
        return Ruling(decision=Decision.REVIEW, reason=reason, agreement=agreement)
    if header.torn and region in header.regions:
        beside = header.term or "the body part"
        reason = f"the header's codes name another part than {beside}; the pixels show {region}"
        return Ruling(decision=Decision.REVIEW, reason=reason, agreement=agreement)
    said = header.term or "something that is not a known body part"
    reason = f"the header says {said}; the pixels show {region} ({confidence:.2f})"
    if policy.correct_above is None or confidence < policy.correct_above:
        return Ruling(decision=Decision.REVIEW, reason=reason, agreement=agreement)
    return Ruling(decision=Decision.CORRECTS, reason=reason, agreement=agreement, body_part=term_for(region, header))


def series_proposal(ruling: Ruling, header: HeaderRegion) -> str | None:
    """The value of BodyPartExamined that this image decides for its series; None when it decides nothing, as a header
    does that is right by its code alone: the word beside that goes as received. So does a chest whose images show ribs
    as well: that it is not wrong makes no other image of the series a chest. So does one with words that are unknown.
    """
    if ruling.body_part is not None:
        return ruling.body_part
    confirmed = ruling.agreement is Agreement.AGREES and ruling.decision is Decision.AGREES
    return header.term if confirmed and not header.coded and not header.unexplained else None


def within_series(policy: Policy, ruling: Ruling, header: HeaderRegion, series_value: str | None) -> Ruling:
    """Fit the ruling on a later image to the value that its series already has.

    BodyPartExamined belongs to the series (PS3.3 C.7.3.1), so that what went out with the first image stands. Outcomes:

    - what is not a readable radiograph is left alone;
    - an image whose own answer is another goes to review, and one whose header is, where wrong headers are corrected;
    - the series' value is written where the header says nothing and the policy lets it be filled, and over a header
      that says something else only where this image's own ruling says the same: no other image's confidence can speak
      against a header that it has not seen.
    """
    if ruling.decision in (Decision.NOT_A_RADIOGRAPH, Decision.UNREADABLE):
        return ruling
    if series_value is None:
        return ruling if ruling.body_part is None else _reviewed(ruling, "the series went out as received before", None)
    own = series_proposal(ruling, header)
    written = value_to_write(series_value, header, shown=own is not None and same_body_part(own, series_value))
    if own is not None and not same_body_part(own, series_value):
        fills = header.kind is HeaderKind.EMPTY and policy.fill
        return _reviewed(ruling, f"the series already has {series_value}", written if fills else None)
    if _may_write(policy, header, series_value, own):
        return replace(ruling, body_part=written)
    if written is not None and policy.correct_above is not None and header.kind is HeaderKind.NAMES:
        return _reviewed(ruling, f"the series already has {series_value}, the header says {header.value.strip()}", None)
    return replace(ruling, body_part=None)


def _reviewed(ruling: Ruling, why: str, body_part: str | None) -> Ruling:
    return replace(ruling, decision=Decision.REVIEW, reason=f"{ruling.reason}; {why}", body_part=body_part)


def _may_write(policy: Policy, header: HeaderRegion, value: str, own: str | None) -> bool:
    """Whether a series' value may be written into an image with this header, whose own ruling proposes `own`."""
    if header.kind is HeaderKind.EMPTY:
        return policy.fill
    consistent = header.regions & read_header_region(value).regions
    if header.source is HeaderSource.ANATOMIC_REGION_SEQUENCE and consistent and not header.outside:
        return policy.fill
    return own is not None and same_body_part(own, value)


def closed_series_value(
    policy: Policy,
    header: HeaderRegion,
    series_value: str | None,
    *,
    own: str | None = None,
    region: Region | None = None,
) -> str | None:
    """What a closed series' value comes to for one of its images, which itself proposed `own` and whose pixels show
    `region`, None where the node stands for none; None for "leave as received".

    Never a value that the image's own pixels contradict. Where they speak against the header, the value may be another
    word for what they show: FINGER or HIP for an image that proposed HAND or PELVIS.
    """
    if series_value is None or (region is not None and _contradicts(series_value, region)):
        return None
    corrects = own is not None and region in read_header_region(series_value).regions - header.regions
    if not corrects and not _may_write(policy, header, series_value, own):
        return None
    return value_to_write(series_value, header, shown=region is not None)


def review_at_closing(policy: Policy, header: HeaderRegion, series_value: str | None, verdict: Verdict) -> str | None:
    """Why a person must look at an image whose series is closed with this value; None where nobody must.

    At once, the series' value is known when the image is ruled on; here it is known only afterwards. An image goes to
    review whose pixels say something else than its series, and one whose own answer is therefore not written.
    """
    if verdict.outcome is not Outcome.TAGGED or verdict.region is None or verdict.proposal is None:
        return None
    if series_value is not None and _contradicts(series_value, verdict.region):
        return f"the study was closed with {series_value} for its series"
    if verdict.decision not in (Decision.FILLS, Decision.CORRECTS):
        return None
    if closed_series_value(policy, header, series_value, own=verdict.proposal, region=verdict.region) is not None:
        return None
    # A destination that did not wait for the closing gets this image's own answer.
    closed = f"the study was closed with {series_value or 'nothing'} for its series"
    return f"{closed}; where this image waited for its study, it goes as received"


def _contradicts(value: str, region: Region) -> bool:
    """Whether a value, were it written, would say something else than pixels that show this region.

    CHEST would, beside ribs: where a sender writes it nothing refutes it, but the pixels do not say it.
    """
    return region not in read_header_region(value).regions


def value_to_write(series_value: str, header: HeaderRegion, *, shown: bool) -> str | None:
    """The series' value where the header does not say it already and no side is lost, None for "leave as received".

    `shown`: whether the image's own pixels say this value; where they do not, no unpaired part goes beside a side.
    """
    unwanted = same_body_part(_said(header), series_value) or takes_the_side(series_value, header)
    unwanted = unwanted or (header.sided and not shown and _is_unpaired(series_value))
    # What its sender calls unpaired, or both sides, is not one hip.
    return None if unwanted or (series_value == ONE_HIP and header.whole) else series_value


def _is_unpaired(value: str) -> bool:
    return value in body_parts() and not body_parts()[value].paired


def _said(header: HeaderRegion) -> str:
    return header.value if header.source is HeaderSource.BODY_PART_EXAMINED else ""


def same_body_part(one: str, other: str) -> bool:
    """Whether two values of BodyPartExamined say the same: the same text, or the same defined terms."""
    if one.strip() == other.strip():
        return True
    terms = normalised_terms(one)
    return bool(terms) and terms == normalised_terms(other)


def agreed_value(verdicts: Iterable[Verdict]) -> str | None:
    """The value on which all tagged images of a closed series agree.

    One hip with a side among pelves makes them all hips: that takes nobody's side away. Where one image is of a part
    outside the 14 regions, as a chest, there is none: RIB for its siblings would be as much a guess as CHEST.
    """
    tagged = [verdict for verdict in verdicts if verdict.outcome is Outcome.TAGGED]
    beside = any(each.decision is Decision.AGREES and each.agreement is not Agreement.AGREES for each in tagged)
    if beside or len({verdict.region for verdict in tagged}) != 1:
        return None
    proposals = [verdict.proposal for verdict in tagged if verdict.proposal is not None]
    sided = [value for value in proposals if value == ONE_HIP]
    return next(iter(sided or proposals), None)
