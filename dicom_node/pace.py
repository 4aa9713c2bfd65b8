"""How often somebody may do something: so many times in a span, counted by whatever key tells one from another."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from time import monotonic

# Keys that are remembered; the longest unused goes first, so that a flood of addresses fills no memory.
MOST_KEYS = 10_000


class Pace:
    """A token bucket per key: `times` at once, and then one more each `seconds / times`."""

    def __init__(self, times: int, seconds: float, *, clock: Callable[[], float] = monotonic) -> None:
        self._times = float(times)
        self._per_second = times / seconds
        self._clock = clock
        self._lock = Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> bool:
        """Whether one more is within the pace; if so, it is counted."""
        with self._lock:
            left = self._level(key)
            allowed = left >= 1.0
            self._left[key] = (left - 1.0 if allowed else left, self._clock())
            self._left.move_to_end(key)
            while len(self._left) > MOST_KEYS:
                self._left.popitem(last=False)
            return allowed

    def give_back(self, key: str) -> None:
        """The last one that was taken does not count after all."""
        with self._lock:
            self._left[key] = (min(self._times, self._level(key) + 1.0), self._clock())

    def _level(self, key: str) -> float:
        left, at = self._left.get(key, (self._times, self._clock()))
        return min(self._times, left + (self._clock() - at) * self._per_second)
