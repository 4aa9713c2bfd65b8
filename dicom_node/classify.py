"""The story of one image between its arrival and its deliveries: look, decide, route, settle."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dicom_node.instance import Instance, PlannedDelivery
from dicom_node.policy import Policy, Ruling, rule_on, series_proposal, within_series
from dicom_node.ports import When, Work
from dicom_node.rules import Facts, Routing, Rule, route
from dicom_node.verdict import Agreement, Decision, Sighting, Verdict


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A destination as the planning of deliveries needs to know it."""

    name: str
    when: When
    hold_for_review: timedelta | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the hospital has configured about decisions and ways."""

    policy: Policy
    rules: Sequence[Rule]
    stops: Sequence[Stop]


def settle(instance: Instance, sighting: Sighting, *, plan: Plan, work: Work, now: datetime) -> Verdict:
    """Turn a sighting into a verdict with its deliveries, and write both in one transaction.

    Doing it again, after a crash between any two steps, gives the same: the series' value is kept by the first that
    asked for it, and a settled instance stays as it is. Raises LedgerError.
    """
    own = ruling_for(sighting, plan.policy)
    proposal = series_proposal(own, sighting.header)
    ruling = own
    if any(stop.when is When.AT_ONCE for stop in plan.stops):  # else no value has gone out with the first image
        value = work.series_value(
            study_uid=instance.study_uid, series_uid=instance.series_uid, when=When.AT_ONCE, proposed=proposal
        )
        ruling = within_series(plan.policy, own, sighting.header, value)
    verdict = _verdict(sighting, ruling, proposal, now)
    routing = routing_for(instance, sighting, verdict, plan)
    work.settle(
        instance.id,
        verdict,
        recognition=sighting.recognition,
        deliveries=planned(routing.destinations, verdict.decision, plan.stops, now),
    )
    return verdict


def ruling_for(sighting: Sighting, policy: Policy) -> Ruling:
    """The policy's ruling on what was seen; the sighting's own reason where it has one."""
    ruling = rule_on(
        policy=policy,
        header=sighting.header,
        outcome=sighting.outcome,
        region=sighting.region,
        confidence=sighting.confidence,
    )
    return replace(ruling, reason=sighting.reason) if sighting.reason else ruling


def routing_for(instance: Instance, sighting: Sighting, verdict: Verdict, plan: Plan) -> Routing:
    """Which destinations get this image, by the rules, and why."""
    facts = facts_about(
        sighting, agreement=verdict.agreement, calling_ae=instance.calling_ae, called_ae=instance.called_ae
    )
    return route(plan.rules, [stop.name for stop in plan.stops], facts)


def facts_about(sighting: Sighting, *, agreement: Agreement | None, calling_ae: str, called_ae: str) -> Facts:
    """What the rules may ask about something that was seen."""
    return Facts(
        outcome=sighting.outcome,
        region=sighting.region,
        confidence=sighting.confidence,
        agreement=agreement,
        calling_ae=calling_ae,
        called_ae=called_ae,
        header=sighting.values,
    )


def planned(
    destinations: Sequence[str], decision: Decision, stops: Sequence[Stop], now: datetime
) -> list[PlannedDelivery]:
    """When each delivery is due: at once, after the hold of an image in review, or (None) when its study closes."""
    chosen = (stop for stop in stops if stop.name in destinations)
    return [PlannedDelivery(destination=stop.name, due_at=_due(stop, decision, now)) for stop in chosen]


def _due(stop: Stop, decision: Decision, now: datetime) -> datetime | None:
    if stop.when is When.STUDY_CLOSED:
        return None
    if decision is Decision.REVIEW and stop.hold_for_review is not None:
        return now + stop.hold_for_review
    return now


def _verdict(sighting: Sighting, ruling: Ruling, proposal: str | None, now: datetime) -> Verdict:
    recognition = sighting.recognition
    return Verdict(
        outcome=sighting.outcome,
        decision=ruling.decision,
        reason=ruling.reason,
        decided_at=now,
        region=recognition.region if recognition else None,
        confidence=sighting.confidence,
        header_region=sighting.header.region,
        agreement=ruling.agreement,
        body_part=ruling.body_part,
        proposal=proposal,
    )
