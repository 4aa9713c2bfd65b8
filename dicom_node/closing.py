"""The ledger as the study closer sees it; a room as those in `ports`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from dicom_node.instance import Instance
from dicom_node.verdict import Verdict


class Studies(Protocol):
    """Studies that are open until nothing more comes."""

    def put_right(self, *, now: datetime) -> None:
        """What came later than `now`, by a clock that was ahead, counts as having come `now`: it shall go quiet."""

    def quiet(self, *, since: datetime) -> Sequence[str]:
        """UIDs of open studies whose newest instance is older than `since` and whose instances are all SETTLED."""

    def settled(self, study_uid: str) -> Sequence[tuple[Instance, Verdict]]:
        """The settled instances of a study, oldest first."""

    def decided(self, study_uid: str) -> Mapping[str, str | None]:
        """The values that an earlier closing has kept for series of this study, by UID (None: as received)."""

    def close(
        self,
        study_uid: str,
        *,
        since: datetime,
        values: Mapping[str, str | None],
        now: datetime,
        reviews: Mapping[int, str] | None = None,
    ) -> int | None:
        """Close a study: keep each series' value for STUDY_CLOSED (one that is there already stands), make the
        deliveries that waited for it due now, and say how many those were. None, and nothing written, when it is no
        longer quiet: an instance came at or after `since`, or one has no verdict yet, or the study is not open.

        `reviews`: reasons by instance id. Those of which a delivery waited get the decision REVIEW, and an event of
        kind "review".
        """
