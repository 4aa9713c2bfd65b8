"""The ledger as those see it who mend what crashes, disks and clocks have left; a room as those in `ports`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from dicom_node.instance import Instance


@dataclass(frozen=True, kw_only=True)
class LongestWaits:
    """How far ahead anything is put off at most; what lies further was put there by a clock that was ahead, or this one
    is behind.

    `lease`: of whatever somebody has in hand; `sending`, `asking`: of deliveries and of questions about their
    commitment, by destination; `telling`: of reports to peers. Clocks of several nodes may differ by one lease.
    """

    lease: timedelta
    sending: Mapping[str, timedelta]
    asking: Mapping[str, timedelta]
    telling: timedelta


class Repairs(Protocol):
    """What dead processes had in hand, files that are gone or back, and times that cannot be."""

    def lease_holders(self) -> Sequence[str]:
        """The workers that have instances or deliveries in hand, by name; their leases may have run out."""

    def break_leases(self, holder: str) -> int:
        """Take everything out of a worker's hands at once, and say how many it was; attempts stay counted."""

    def put_right(self, *, now: datetime, waits: LongestWaits) -> int:
        """Leases that end later than any can are over, and what is due later than it can be, PENDING and SENT
        deliveries and OPEN promises, is due `now`. Returns how many of them were changed: some thousands at a time.

        `planned_at` and `asked_at` stay, even in the future: that makes the node more patient, whereas a clock that is
        behind would lower them for good, and all of it be given up as soon as the clock is right.
        """

    def kept(self, *, after_id: int, limit: int) -> Sequence[Instance]:
        """A page of the instances whose files ought to be in the spool, in order of id."""

    def lose(self, instance_id: int, *, now: datetime) -> bool:
        """Note, with an event of kind "lost", that an instance's file is gone though nobody removed it; False when that
        or its removal is noted already. One whose file comes back is not lost any more (`Intake.restore`).
        """

    def spool(self) -> str | None:
        """The id of the spool in which the files of this ledger lie; None as long as it is not kept."""

    def keep_spool(self, spool_id: str) -> str:
        """Keep that id for good, unless one is kept; returns the one that is."""
