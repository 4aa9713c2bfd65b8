"""Each statistic against a slow transcription of its paper, and the evidence against counting."""

import numpy as np
import pytest

from training.rejection import NEIGHBOURS, SHRINK, STATISTICS, Rejection, auroc, evidence, fit_rejection

D = 6


@pytest.fixture
def known():
    random = np.random.default_rng(0)
    y = np.repeat([0, 4, 9], 40)
    return random.normal(0, 1, (3, D))[np.searchsorted([0, 4, 9], y)] * 3 + random.normal(0, 1, (120, D)), y


def test_mahalanobis_is_the_least_distance_under_the_shared_covariance(known):
    """Lee et al. 2018, equation 2, with the inverse written out."""
    x, y = known
    means = [x[y == region].mean(axis=0) for region in (0, 4, 9)]
    covariance = sum(np.outer(row - means[i], row - means[i]) for i in range(3) for row in x[y == [0, 4, 9][i]]) / 120
    shrunk = covariance * (1 - SHRINK) + SHRINK * np.trace(covariance) / D * np.eye(D)
    asked = np.random.default_rng(1).normal(0, 4, (10, D))
    slow = [min((a - m) @ np.linalg.inv(shrunk) @ (a - m) for m in means) for a in asked]
    got = fit_rejection("mahalanobis", x, y).score(asked, np.zeros((10, 14)))
    assert got == pytest.approx(slow, rel=1e-4)


def test_knn_is_the_distance_to_the_kth_nearest_direction(known):
    """Sun et al. 2022, section 3, by sorting; the bank holds every embedding here."""
    x, y = known
    asked = np.random.default_rng(1).normal(0, 4, (10, D))
    slow = []
    for a in asked:
        cosines = sorted((a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in x), reverse=True)
        slow.append(1 - cosines[NEIGHBOURS - 1])
    assert fit_rejection("knn", x, y).score(asked, np.zeros((10, 14))) == pytest.approx(slow, abs=1e-5)


def test_strange_rows_are_never_among_the_known(known):
    """Rows with a negative target change no parameter."""
    x, y = known
    more, targets = np.concatenate([x, 50 + x[:20]]), np.concatenate([y, np.full(20, -1)])
    for statistic in STATISTICS:
        a, b = fit_rejection(statistic, x, y), fit_rejection(statistic, more, targets)
        asked = x[:5] + 1
        assert a.score(asked, asked[:, :4]) == pytest.approx(b.score(asked, asked[:, :4]))


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_rejection_survives_its_run_folder(known, statistic):
    x, y = known
    first = fit_rejection(statistic, x, y)
    again = Rejection.from_state(first.state())
    logits = np.random.default_rng(0).normal(size=(5, 14))
    assert again.score(x[:5], logits) == pytest.approx(first.score(x[:5], logits))


def test_auroc_counts_pairs():
    random = np.random.default_rng(0)
    strange, usual = random.integers(3, 9, 30).astype(float), random.integers(0, 6, 40).astype(float)
    slow = np.mean([1.0 if s > k else 0.5 if s == k else 0.0 for s in strange for k in usual])
    assert auroc(strange, usual) == pytest.approx(slow)


def test_the_evidence_is_what_counting_gives():
    """Ten known rows, the two with the highest scores wrong, and four strange ones of two kinds."""
    score = np.array([*np.arange(10.0), 3.5, 20.0, 20.0, 21.0])
    right = np.array([True] * 8 + [False] * 2 + [False] * 4)
    targets = np.array([0] * 10 + [-1] * 4)
    kinds = ["hand"] * 10 + ["ood:a"] * 2 + ["ood:b"] * 2
    got = evidence(score, np.full(14, 0.5), right, targets, kinds)
    assert got["auroc_per_kind"] == {"ood:a": pytest.approx((4 + 10) / 20), "ood:b": 1.0}
    assert got["risk_at_80"] == 0.0
    assert got["ood_kept_at_95"] == 0.25
    assert got["aurc"] == pytest.approx((1 / 9 + 2 / 10) / 10)
