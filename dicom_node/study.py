"""The story of a study that has gone quiet: find each series' body part, close it, let its deliveries go."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from dicom_node.bodypart import HeaderRegion
from dicom_node.closing import Studies
from dicom_node.instance import Instance
from dicom_node.policy import Policy, agreed_value, review_at_closing
from dicom_node.verdict import Decision, Verdict

Settled = Sequence[tuple[Instance, Verdict]]


def close_quiet_studies(
    *,
    studies: Studies,
    policy: Policy,
    header_of: Callable[[Instance], HeaderRegion],
    quiet: timedelta,
    awaited: bool,
    now: datetime,
) -> list[str]:
    """Close every study to which nothing has come for `quiet`; returns the UIDs of those that were closed.

    What waited for the closing, and does not get the answer that its own pixels gave, goes to review: only now it is
    known what its series says. `header_of` is asked for few images: those whose own answer is not their series' one,
    and for none where no destination waits for closings (`awaited`).

    A late image re-opens its study; what went out before keeps the value that it went out with. To one that came while
    the clock was ahead, `quiet` begins now.
    """
    studies.put_right(now=now)
    since = now - quiet
    closed = []
    for study_uid in studies.quiet(since=since):
        settled = studies.settled(study_uid)
        values = {**_agreed_values(settled), **studies.decided(study_uid)}
        reviews = _reviews(settled, values, policy=policy, header_of=header_of) if awaited else {}
        if studies.close(study_uid, since=since, values=values, reviews=reviews, now=now) is not None:
            closed.append(study_uid)
    return closed


def _agreed_values(settled: Settled) -> dict[str, str | None]:
    series: dict[str, list[Verdict]] = defaultdict(list)
    for instance, verdict in settled:
        series[instance.series_uid].append(verdict)
    # Images without a Series Instance UID share nothing, and no value is kept for them.
    return {uid: agreed_value(verdicts) if uid else None for uid, verdicts in series.items()}


def _reviews(
    settled: Settled,
    values: Mapping[str, str | None],
    *,
    policy: Policy,
    header_of: Callable[[Instance], HeaderRegion],
) -> dict[int, str]:
    """Why which instances must be looked at, by id."""
    found = {}
    for instance, verdict in settled:
        value = values[instance.series_uid]
        if verdict.proposal in (None, value) or verdict.decision is Decision.REVIEW:
            continue
        why = review_at_closing(policy, header_of(instance), value, verdict)
        if why is not None:
            found[instance.id] = f"{verdict.reason}; {why}"
    return found
