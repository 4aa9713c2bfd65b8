"""Durations and sizes as people write them: "30s", "15min", "2h", "7d"; "500MB", "2GiB"."""

import math
import re
from datetime import timedelta
from typing import Annotated, TypeGuard

from pydantic import AfterValidator, BeforeValidator

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_WRITTEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


# Times are added to dates, and these end with the year 9999.
LONGEST = timedelta(days=36_500)
# The system's calls take a number of milliseconds that ends after 24 days.
LONGEST_TIMEOUT = timedelta(days=1)


def parse_duration(value: object) -> timedelta:
    """A duration of 0 to LONGEST from "90s", or 0; ValueError for anything else, other numbers without a unit too."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else _seconds(value)
    if not 0 <= seconds <= LONGEST.total_seconds():  # not a number is not within either
        raise ValueError(f"{value!r} is not within 0s and {LONGEST.days}d")
    return timedelta(seconds=seconds)


def _seconds(value: object) -> float:
    if _is_number(value) and not 0 < value < math.inf:
        return value  # nothing at all; or what is not within any limits
    number, unit = _split(value, example="30s, 15min, 2h or 7d")
    if not unit and number:
        # Whoever writes `keep = 30` may well mean days, and would lose the images after half a minute.
        text = str(value).strip()
        raise ValueError(f"{text} of what? write {text}s, {text}min, {text}h or {text}d")
    if unit and unit not in _SECONDS:
        raise ValueError(f"{value!r} is no duration; write it like 30s, 15min, 2h or 7d")
    return number * _SECONDS[unit or "s"]


def parse_size(value: object) -> int:
    """A number of bytes, 0 or more, from "2GiB" or a plain number; ValueError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        size: float = value
    else:
        number, unit = _split(value, example="500MB or 2GiB")
        if unit and unit not in _BYTES:
            raise ValueError(f"{value!r} is no size; write it like 500MB or 2GiB")
        size = number * _BYTES[unit or "b"]
    if not 0 <= size < math.inf:
        raise ValueError(f"{value!r} is no size: it is less than nothing, or endless")
    return int(size)


def shown(duration: timedelta) -> str:
    """A duration as people write it, in the largest unit of which it is a whole number: "30d", "90min"."""
    units = {"d": 86_400_000, "h": 3_600_000, "min": 60_000, "s": 1000, "ms": 1}
    milliseconds = round(duration.total_seconds() * 1000)
    whole = ((unit, size) for unit, size in units.items() if milliseconds and milliseconds % size == 0)
    unit, size = next(whole, ("s", 1000))
    return f"{milliseconds // size}{unit}"


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _split(value: object, *, example: str) -> tuple[float, str]:
    """The number, and the unit in small letters: empty where there is none."""
    match = _WRITTEN.fullmatch(str(value))
    if match is None:
        raise ValueError(f"{value!r} cannot be read; write it like {example}")
    return float(match[1]), match[2].lower()


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("this must be more than nothing; write it like 5s")
    return value


def _within_a_day(value: timedelta) -> timedelta:
    if value > LONGEST_TIMEOUT:
        raise ValueError("this must be a day at most; write it like 30s")
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Interval = Annotated[Duration, AfterValidator(_positive)]
Timeout = Annotated[Interval, AfterValidator(_within_a_day)]
Size = Annotated[int, BeforeValidator(parse_size)]
