"""Durations and sizes as people write them: "30s", "15m", "2h", "7d"; "500MB", "2GiB"."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_WRITTEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")


def parse_duration(value: object) -> timedelta:
    """A duration from "90s" or a number of seconds; ValueError for anything else."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(seconds=value)
    number, unit = _split(value, example="30s, 15m, 2h or 7d")
    if unit not in _SECONDS:
        raise ValueError(f"{value!r} is no duration; write it like 30s, 15m, 2h or 7d")
    return timedelta(seconds=number * _SECONDS[unit])


def parse_size(value: object) -> int:
    """A number of bytes from "2GiB" or a plain number; ValueError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number, unit = _split(value, example="500MB or 2GiB")
    if unit not in _BYTES:
        raise ValueError(f"{value!r} is no size; write it like 500MB or 2GiB")
    return int(number * _BYTES[unit])


def _split(value: object, *, example: str) -> tuple[float, str]:
    text = str(value)
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", text):
        # An environment variable brings plain numbers as text: seconds, or bytes.
        return float(text), "s" if "s," in example else "b"
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise ValueError(f"{value!r} cannot be read; write it like {example}")
    return float(match[1]), match[2].lower()


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("this must be more than nothing; write it like 5s")
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Interval = Annotated[Duration, AfterValidator(_positive)]
Size = Annotated[int, BeforeValidator(parse_size)]
