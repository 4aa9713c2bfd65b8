"""The story of a study that has gone quiet: find each series' body part, close it, let its deliveries go."""

from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta

from dicom_node.bodypart import read_header_region
from dicom_node.instance import Instance
from dicom_node.policy import ONE_HIP, Policy, agreed_value, rule_on
from dicom_node.ports import Studies
from dicom_node.verdict import Outcome, Verdict


def close_quiet_studies(*, studies: Studies, policy: Policy, quiet: timedelta, now: datetime) -> list[str]:
    """Close every study to which nothing has come for `quiet`; returns the UIDs of those that were closed.

    A late image re-opens its study; what went out before keeps the value that it went out with.
    """
    since = now - quiet
    return [
        study_uid
        for study_uid in studies.quiet(since=since)
        if studies.close(study_uid, since=since, values=_values(studies, study_uid, policy), now=now) is not None
    ]


def _values(studies: Studies, study_uid: str, policy: Policy) -> dict[str, str | None]:
    series: dict[str, list[tuple[Instance, Verdict]]] = defaultdict(list)
    for instance, verdict in studies.settled(study_uid):
        series[instance.series_uid].append((instance, verdict))
    return {uid: _series_value(images, policy) for uid, images in series.items()}


def _series_value(images: list[tuple[Instance, Verdict]], policy: Policy) -> str | None:
    rulings = []
    for instance, verdict in images:
        said = read_header_region(instance.body_part, instance.anatomic_region_code)
        # The ledger does not keep the side; a verdict that found one chose the term that can have it.
        header = replace(said, sided=verdict.body_part == ONE_HIP)
        region = verdict.region if verdict.outcome is Outcome.TAGGED else None
        ruling = rule_on(
            policy=policy, header=header, outcome=verdict.outcome, region=region, confidence=verdict.confidence
        )
        rulings.append((ruling, header, region))
    return agreed_value(rulings)
