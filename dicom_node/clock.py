"""The clock of the node and of its receiver processes; their parts get it as an argument."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The time now, aware, in UTC."""
    return datetime.now(UTC)
