"""When to try again: a pure decision, so that it can be tested without waiting."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Exponential back-off with jitter. `give_up_after` None: try until it is delivered.

    `jitter` is the share of each pause that chance decides, so that a thousand images that failed together do not come
    back together.
    """

    first: timedelta = timedelta(seconds=5)
    factor: float = 2.0
    longest: timedelta = timedelta(minutes=15)
    jitter: float = 0.3
    give_up_after: timedelta | None = None

    def next_attempt(self, *, attempts: int, planned_at: datetime, now: datetime, chance: float) -> datetime | None:
        """The time of the next attempt after `attempts` (1 or more) have failed, or None to give up, for which time
        counts from `planned_at`.

        `chance` is uniform in [0, 1). The pause lies in [(1 - jitter) * p, p],
        p = min(longest, first * factor ** (attempts - 1)).
        """
        over = self.over(now)
        return None if over is not None and planned_at <= over else now + self.pause(attempts=attempts, chance=chance)

    def over(self, now: datetime) -> datetime | None:
        """What was planned at this time or before is given up; None: nothing is."""
        return None if self.give_up_after is None else now - self.give_up_after

    def pause(self, *, attempts: int, chance: float) -> timedelta:
        """How long to wait after so many attempts, as for `next_attempt`."""
        try:
            growth = self.factor ** (attempts - 1)
        except OverflowError:  # a destination can be down for weeks, and floats end at 1e308
            growth = math.inf
        pause = min(self.longest.total_seconds(), self.first.total_seconds() * growth)
        return timedelta(seconds=pause * (1 - self.jitter * chance))
