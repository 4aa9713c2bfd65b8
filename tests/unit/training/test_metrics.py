"""Metrics against numbers worked out by hand."""

import numpy as np
import pytest

from training.metrics import calibration_error, interval, summary


def probabilities(*rows):
    """Rows given as {region index: probability}; the rest is shared by the others."""
    table = []
    for row in rows:
        rest = (1 - sum(row.values())) / (14 - len(row))
        table.append([row.get(k, rest) for k in range(14)])
    return np.array(table)


def test_the_summary_counts_as_a_person_would():
    """Two of region 0 (one right, one right as second), one of region 5 (right), one out of domain (not counted)."""
    p = probabilities({0: 0.9}, {1: 0.6, 0: 0.3}, {5: 0.5}, {7: 0.99})
    got = summary(p, np.array([0, 0, 5, -1]))
    assert got["n"] == 3
    assert got["top1"] == pytest.approx(2 / 3)
    assert got["top2"] == 1.0
    assert got["balanced"] == pytest.approx((0.5 + 1.0) / 2)
    assert got["per_region"] == {"clavicle": {"n": 2, "top1": 0.5}, "knee": {"n": 1, "top1": 1.0}}


def test_the_calibration_error_is_the_papers_formula():
    """Guo et al. 2017, equation 3, bin by bin."""
    random = np.random.default_rng(0)
    confidence, right = random.uniform(0, 1, 500), random.uniform(0, 1, 500) < 0.7
    slow = 0.0
    for b in range(15):
        inside = [i for i in range(500) if b / 15 <= confidence[i] < (b + 1) / 15]
        if inside:
            accuracy, mean = np.mean([right[i] for i in inside]), np.mean([confidence[i] for i in inside])
            slow += len(inside) / 500 * abs(accuracy - mean)
    assert calibration_error(confidence, right) == pytest.approx(slow)
    assert calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0.0


def test_an_interval_draws_whole_groups():
    """Ten patients with ten equal images each are ten observations, not a hundred: the interval is that of ten."""
    values = np.repeat([1.0] * 7 + [0.0] * 3, 10)
    grouped = interval(values, np.repeat([f"p{n}" for n in range(10)], 10))
    single = interval(values, np.array([f"i{n}" for n in range(100)]))
    assert grouped == pytest.approx((0.4, 1.0), abs=0.051)
    assert single == pytest.approx((0.61, 0.79), abs=0.03)


def test_nothing_in_the_domain_gives_no_numbers():
    """Rather than a division by zero."""
    assert summary(probabilities({0: 0.9}), np.array([-1]))["top1"] is None
