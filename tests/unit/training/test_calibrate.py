"""Temperature and thresholds keep their promises on the rows that they were chosen on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.calibrate import choose_rejection, choose_thresholds, fit_temperature, worst_temperature
from training.manifest import OOD, Row
from training.recipe import CalibrateRecipe
from training.rejection import energy


def rows(n, region="hand", source="a"):
    return [Row(file=Path("x"), region=region, group=str(k), use="tune", source=source) for k in range(n)]


def sampled(temperature, n=4000, seed=0):
    """Logits, and targets drawn from softmax(logits / temperature): the temperature to be found."""
    random = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(n, 14, generator=random)
    return logits, torch.multinomial((logits / temperature).softmax(1), 1, generator=random)[:, 0]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(temperature):
    """Labels drawn from a distribution of known temperature."""
    assert fit_temperature(*sampled(temperature)) == pytest.approx(temperature, rel=0.07)


def test_rows_that_are_all_right_or_all_wrong_give_a_bounded_temperature():
    """Their best temperatures would be zero and infinity."""
    logits = 5 * torch.eye(14)
    assert 0.05 <= fit_temperature(logits, torch.arange(14)) < 0.6
    assert 5.0 < fit_temperature(logits, torch.arange(14).roll(1)) <= 20.0


def test_the_worst_source_decides_the_temperature():
    """A large easy source must not make a small overconfident one look calibrated; a tiny one does not decide."""
    (easy, easy_targets), (hard, hard_targets) = sampled(0.5, 2000), sampled(3.0, 300, seed=1)
    logits, targets = (
        torch.cat([easy, hard, 9 * torch.eye(14)[:5]]),
        torch.cat([easy_targets, hard_targets, torch.full((5,), 9)]),
    )
    named = rows(2000, source="easy") + rows(300, source="hard") + rows(5, source="tiny")
    assert worst_temperature(logits, targets, named) == pytest.approx(3.0, rel=0.2)


def test_energy_is_minus_the_log_of_the_summed_exponentials():
    """And does not overflow."""
    assert energy(np.zeros((1, 14)))[0] == pytest.approx(-np.log(14))
    assert energy(np.full((1, 14), 1000.0))[0] == pytest.approx(-1000 - np.log(14))


def made_logits(confidence, right, target=7):
    """Logits whose softmax has `confidence` at the target, or next to it where it is not right."""
    logits = np.zeros((len(confidence), 14))
    for k, (c, r) in enumerate(zip(confidence, right, strict=True)):
        logits[k, target if r else target - 1] = np.log(c * 13 / (1 - c))
    return logits


def test_sources_of_few_rows_are_held_to_the_promise_together():
    """Ten small sources, each wrong below 0.8: none is large enough to count alone, and all of them count."""
    confidence = np.tile(np.linspace(0.5, 0.99, 20), 10)
    named = [row for number in range(10) for row in rows(20, source=f"ae-{number}")]
    got = choose_thresholds(made_logits(confidence, confidence >= 0.795), named, CalibrateRecipe(target_accuracy=1.0))
    assert got.min_confidence >= 0.79


def test_where_nothing_keeps_the_promise_the_recipes_own_limit_still_holds():
    """However high it is set."""
    never = made_logits(np.full(50, 0.9995), np.zeros(50, bool))
    assert choose_thresholds(never, rows(50), CalibrateRecipe(min_confidence=0.9995)).min_confidence == 0.9995


def test_the_lowest_confidence_that_keeps_every_source_accurate_is_chosen():
    """Source a is always right; source b is wrong below 0.8, so 0.8 it is, for both."""
    confidence = np.tile(np.linspace(0.5, 0.99, 50), 2)
    right = np.concatenate([np.ones(50, bool), confidence[:50] >= 0.795])
    named = rows(50, source="a") + rows(50, source="b")
    got = choose_thresholds(made_logits(confidence, right), named, CalibrateRecipe(target_accuracy=1.0))
    assert got.min_confidence == pytest.approx(0.8)
    lenient = choose_thresholds(made_logits(confidence, right), named, CalibrateRecipe(target_accuracy=0.7))
    assert 0.5 <= lenient.min_confidence < 0.8


def test_the_floor_of_the_recipe_is_never_undercut():
    """However good the rows look."""
    confidence = np.linspace(0.5, 0.99, 50)
    got = choose_thresholds(made_logits(confidence, np.ones(50, bool)), rows(50), CalibrateRecipe(min_confidence=0.7))
    assert got.min_confidence >= 0.7


@pytest.mark.parametrize("second", [{"region": "ood:cat"}, {"region": "ood:chest", "source": "elsewhere"}])
def test_at_most_the_allowed_share_of_each_strange_kind_of_each_source_is_tagged(second):
    """The limit is as loose as the promise allows: one more would break it."""
    random = np.random.default_rng(0)
    good = made_logits(np.full(100, 0.9), np.ones(100, bool)) + 6.0
    strange = [made_logits(np.full(40, 0.9), np.ones(40, bool)) + random.uniform(0, 6, (40, 1)) for _ in range(2)]
    named = rows(100) + rows(40, "ood:chest") + rows(40, **second)
    logits = np.concatenate([good, *strange])
    got = choose_thresholds(logits, named, CalibrateRecipe(ood_tagged=0.05))
    below = energy(logits) <= got.reject_above
    assert below[:100].all()
    assert max(below[100:140].sum(), below[140:].sum()) == 2


def test_strange_kinds_of_a_few_rows_are_judged_together():
    """Of ten rows alone not a single one might be tagged; of five such kinds, two of their fifty rows."""
    random = np.random.default_rng(1)
    good = made_logits(np.full(100, 0.9), np.ones(100, bool)) + 6.0
    strange = made_logits(np.full(50, 0.9), np.ones(50, bool)) + random.uniform(0, 6, (50, 1))
    named = rows(100) + [row for kind in range(5) for row in rows(10, f"ood:{kind}")]
    logits = np.concatenate([good, strange])
    got = choose_thresholds(logits, named, CalibrateRecipe(ood_tagged=0.05))
    assert (energy(strange) <= got.reject_above).sum() == 2


def test_without_strange_rows_nothing_that_was_seen_is_rejected():
    """There is nothing to learn a limit from."""
    logits = made_logits(np.full(40, 0.9), np.ones(40, bool))
    got = choose_thresholds(logits, rows(40), CalibrateRecipe())
    assert (energy(logits) <= got.reject_above).all()


def test_a_kind_of_a_few_strange_rows_does_not_choose_the_rejection_alone():
    """One that is better on 100 chests loses nothing by three odd rows of another kind, as long as all of those few
    together are told apart.
    """
    kinds = ["ood:chest"] * 100 + ["ood:page"] * 3 + ["ood:dental"] * 20
    named = rows(100) + [rows(1, kind)[0] for kind in kinds]
    target = np.array([row.target for row in named])
    strange = np.where(target == OOD, 1.0, 0.0)
    good, even = strange.copy(), strange + np.random.default_rng(0).normal(0, 1.0, len(named))
    good[200:203] = -1.0
    candidates = {"energy": Scored(even), "knn": Scored(good)}
    logits = made_logits(np.full(len(named), 0.9), np.ones(len(named), bool))
    best, found = choose_rejection(candidates, logits, logits, named, CalibrateRecipe())
    assert found["knn"]["auroc_per_kind"]["ood:page"] == 0.0
    assert found["knn"]["auroc_worst"] == pytest.approx(20 / 23)
    assert best is candidates["knn"]


class Scored:
    """A statistic whose scores are given."""

    def __init__(self, scores):
        self.scores = scores

    def score(self, embeddings, logits):
        return self.scores
