"""The learning rate depends on the step alone."""

import pytest

from training.schedules import cosine


def test_it_rises_over_the_warm_up_and_falls_to_zero_along_a_cosine():
    """Full at the end of the warm-up, half way down in the middle, nothing at the end."""
    rates = [cosine(step, total=110, base=2.0, warmup=1 / 11) for step in range(110)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[9] == rates[10] == 2.0
    assert rates[60] == pytest.approx(1.0)
    assert 0.0 < rates[-1] < 0.001
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_it_begins_at_once_without_warm_up():
    """And a run of a single step has a rate."""
    assert cosine(0, total=10, base=1.0) == 1.0
    assert cosine(0, total=1, base=1.0) == 1.0
