"""The story of a study that has gone quiet: find each series' body part, close it, let its deliveries go."""

from collections import defaultdict
from datetime import datetime, timedelta

from dicom_node.policy import agreed_value
from dicom_node.ports import Studies
from dicom_node.verdict import Verdict


def close_quiet_studies(*, studies: Studies, quiet: timedelta, now: datetime) -> list[str]:
    """Close every study to which nothing has come for `quiet`; returns the UIDs of those that were closed.

    A late image re-opens its study; what went out before keeps the value that it went out with. To one that came while
    the clock was ahead, `quiet` begins now.
    """
    studies.put_right(now=now)
    since = now - quiet
    return [
        study_uid
        for study_uid in studies.quiet(since=since)
        if studies.close(study_uid, since=since, values=_values(studies, study_uid), now=now) is not None
    ]


def _values(studies: Studies, study_uid: str) -> dict[str, str | None]:
    series: dict[str, list[Verdict]] = defaultdict(list)
    for instance, verdict in studies.settled(study_uid):
        series[instance.series_uid].append(verdict)
    return {uid: agreed_value(verdicts) for uid, verdicts in series.items()}
