"""Retries back off, spread out, and end only where somebody said when."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.retry import Retry

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def pause(retry, attempts, chance=0.0):
    """Seconds until the next attempt."""
    at = retry.next_attempt(attempts=attempts, planned_at=NOW, now=NOW, chance=chance)
    return (at - NOW).total_seconds()


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 5), (2, 10), (3, 20), (7, 320), (8, 640), (9, 900), (10, 900), (100_000, 900)]
)
def test_each_pause_is_twice_the_last_until_the_longest(attempts, seconds):
    """5 s, doubled, 15 minutes at most, also after weeks of failing."""
    assert pause(Retry(), attempts) == seconds


@given(attempts=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True), jitter=st.floats(0, 1))
def test_jitter_shortens_a_pause_by_its_share_at_most(attempts, chance, jitter):
    """The pause lies in [(1 - jitter) p, p]; microseconds are rounded."""
    whole = min(900.0, 5.0 * 2.0 ** min(attempts - 1, 10))
    got = pause(Retry(jitter=jitter), attempts, chance)
    assert (1 - jitter) * whole - 1e-5 <= got <= whole + 1e-5


def test_chance_decides_within_the_jitter():
    """Half way is half the share."""
    assert pause(Retry(jitter=0.3), 1, chance=0.5) == pytest.approx(5 * 0.85)


@pytest.mark.parametrize(("age", "given_up"), [(-3600, False), (59, False), (60, True), (61, True)])
def test_it_gives_up_once_the_delivery_is_old_enough(age, given_up):
    """Age counts from planning, not from the last attempt; a clock that was ahead then only makes it more patient."""
    retry = Retry(give_up_after=timedelta(seconds=60))
    planned = NOW - timedelta(seconds=age)
    assert (retry.next_attempt(attempts=3, planned_at=planned, now=NOW, chance=0.0) is None) is given_up


def test_by_default_it_never_gives_up():
    """An image is ours until it is delivered."""
    planned = NOW - timedelta(days=3650)
    assert Retry().next_attempt(attempts=9, planned_at=planned, now=NOW, chance=0.0) is not None


@pytest.mark.parametrize("factor", [1.0, 1e6])
def test_no_factor_makes_the_pause_overflow(factor):
    """Configurations hold strange numbers."""
    assert pause(Retry(factor=factor), 100) in {5.0, 900.0}
