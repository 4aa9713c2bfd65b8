"""A head pulled towards its parent moves as far as its images justify, and no further."""

import numpy as np
import pytest

from dicom_node.model.card import Thresholds
from training.adapt import (
    Seen,
    Strangers,
    adapt,
    cautious_confidence,
    cautious_temperature,
    energy_limit,
    logits_of,
    out_of_fold,
    refit,
    split_strangers,
)
from training.errors import TrainingError
from training.graph import Head
from training.metrics import softmax
from training.rejection import energy

D = 12
NO_STRANGERS = np.zeros((0, D))
THRESHOLDS = Thresholds(min_confidence=0.8, reject_statistic="mahalanobis", reject_above=3.0)


def parent(seed=0):
    random = np.random.default_rng(seed)
    return Head(
        weight=random.normal(0, 0.3, (14, D)).astype(np.float32), bias=random.normal(0, 1, 14).astype(np.float32)
    )


def images(per_region, regions=(0, 3, 7), seed=1, noise=0.5):
    """Embeddings around one centre per region, and patients with one image each."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(0, 2, (14, D))
    y = np.repeat(regions, per_region)
    return centres[y] + random.normal(0, noise, (len(y), D)), y, np.array([f"p{n}" for n in range(len(y))])


def nobodys(embeddings):
    """Strangers that the file carries."""
    return Strangers(embeddings=embeddings, patients=[None] * len(embeddings))


def slow_loss(head, start, x, y, strangers, strength):
    """The docstring's formula, image by image."""
    scale = np.sqrt(x.var(axis=0).mean())
    total = 0.0
    regions = sorted(set(y.tolist()))
    for region in regions:
        mine = [i for i in range(len(y)) if y[i] == region]
        for i in mine:
            total -= np.log(softmax(logits_of(head, x[i : i + 1]))[0, region]) / len(mine) / len(regions)
        weight, bias = head.weight[region] - start.weight[region], head.bias[region] - start.bias[region]
        change = ((weight.astype(float) * scale) ** 2).sum() + float(bias) ** 2
        total += 0.5 * strength / len(mine) * change
    for stranger in strangers:
        total -= np.log(softmax(logits_of(head, stranger[None]))[0]).mean() / len(strangers)
    return total


@pytest.mark.parametrize("with_strangers", [False, True])
def test_the_head_minimises_the_formula_of_its_docstring(with_strangers):
    """No step away from it in any of forty directions is lower by the slow transcription."""
    x, y, _ = images(4)
    strangers = np.random.default_rng(5).normal(0, 3, (6, D)) if with_strangers else NO_STRANGERS
    start = parent()
    found = refit(x, y, start, strangers, strength=0.3)
    best = slow_loss(found, start, x, y, strangers, 0.3)
    assert best < slow_loss(start, start, x, y, strangers, 0.3) - 0.1
    random = np.random.default_rng(2)
    for _ in range(40):
        weight, bias = found.weight.copy(), found.bias.copy()
        rows = [0, 3, 7]
        weight[rows] += 0.05 * random.normal(size=(3, D)).astype(np.float32)
        bias[rows] += 0.05 * random.normal(size=3).astype(np.float32)
        assert slow_loss(Head(weight=weight, bias=bias), start, x, y, strangers, 0.3) > best - 1e-4


def test_a_region_without_an_image_keeps_the_parents_row():
    """To the bit."""
    x, y, _ = images(3)
    start = parent()
    found = refit(x, y, start, NO_STRANGERS)
    others = [region for region in range(14) if region not in (0, 3, 7)]
    assert (found.weight[others] == start.weight[others]).all()
    assert (found.bias[others] == start.bias[others]).all()
    assert (found.weight[[0, 3, 7]] != start.weight[[0, 3, 7]]).any(axis=1).all()


def test_more_images_move_the_head_further():
    """The pull is the strength divided by their number."""
    start, moved = parent(), []
    for count in (1, 5, 40):
        x, y, _ = images(count)
        moved.append(np.abs(refit(x, y, start, NO_STRANGERS, strength=3.0).weight - start.weight).sum())
    assert moved[0] < moved[1] < moved[2]


def test_a_strong_pull_leaves_the_parent():
    """And its answers."""
    x, y, _ = images(3)
    found = refit(x, y, parent(), NO_STRANGERS, strength=1e7)
    assert np.abs(found.weight - parent().weight).max() < 1e-3


def test_out_of_fold_logits_never_saw_the_patient():
    """A patient with two images under an impossible label: in the fit it would be learned by heart."""
    x, y, groups = images(6, noise=0.1)
    x = np.concatenate([x, x[:2] + 20.0])
    y, groups = np.concatenate([y, [9, 9]]), np.concatenate([groups, ["odd", "odd"]])
    left_out = out_of_fold(x, y, groups, parent(), nobodys(NO_STRANGERS), strength=0.01).argmax(axis=1)
    fitted = logits_of(refit(x, y, parent(), NO_STRANGERS, strength=0.01), x).argmax(axis=1)
    assert (fitted[-2:] == 9).all()
    assert (left_out[-2:] != 9).all()
    assert (left_out[:-2] == y[:-2]).mean() > 0.9


def test_out_of_fold_logits_never_saw_what_else_the_patient_has():
    """Nine patients, one left out at a time; the first has four images out of domain, the file carries five."""
    x, y, groups = images(3)
    own, carried = np.random.default_rng(6).normal(0, 2, (4, D)), np.random.default_rng(7).normal(0, 2, (5, D))
    every = Strangers(embeddings=np.concatenate([own, carried]), patients=["p0"] * 4 + [None] * 5)
    got, without = (out_of_fold(x, y, groups, parent(), each, strength=0.3) for each in (every, nobodys(carried)))
    assert (got[0] == without[0]).all()
    assert (got[1:] != without[1:]).any(axis=1).all()


def test_the_temperature_stays_near_one_with_few_images_and_is_found_with_many():
    """Labels drawn at temperature 2.5."""
    random = np.random.default_rng(0)
    logits = 4 * random.normal(size=(3000, 14))
    y = np.array([random.choice(14, p=p) for p in softmax(logits / 2.5)])
    assert cautious_temperature(logits, y) == pytest.approx(2.5, rel=0.07)
    few = cautious_temperature(logits[:3], y[:3])
    assert 0.7 < few < 1.8


def test_the_confidence_asks_for_one_more_error_than_was_seen():
    """33 images, all right, are just enough for 97 %; 31 are not, and leave the parent's threshold."""
    assert cautious_confidence(np.full(33, 0.7), np.ones(33, bool), parent=0.9) == 0.5
    assert cautious_confidence(np.full(31, 0.7), np.ones(31, bool), parent=0.9) == 0.9


def test_an_error_surer_than_the_parents_threshold_raises_it():
    """Few images, and one of them wrong at 0.95."""
    right = np.array([True] * 9 + [False])
    assert cautious_confidence(np.array([0.7] * 9 + [0.95]), right, parent=0.9) == pytest.approx(0.951)


def seen(x, y, groups, scores=None):
    return Seen(embeddings=x, reject_scores=np.zeros(len(y)) if scores is None else scores, targets=y, groups=groups)


def test_without_strangers_the_parents_rejection_stays():
    """Statistic and limit; nothing is known that could better them."""
    x, y, groups = images(10)
    got = adapt(seen(x, y, groups.tolist()), NO_STRANGERS, parent=parent(), thresholds=THRESHOLDS)
    assert not got.by_energy
    assert (got.thresholds.reject_statistic, got.thresholds.reject_above) == ("mahalanobis", 3.0)
    assert got.metrics["balanced"] > got.metrics["parent"]["balanced"]


def test_with_strangers_few_of_them_are_tagged_and_few_known_images_rejected():
    """Strangers near the origin, regions around their centres; judged on strangers that were not given."""
    random = np.random.default_rng(3)
    x, y, groups = images(20)
    strangers = random.normal(0, 0.7, (80, D))
    got = adapt(seen(x, y, groups.tolist()), strangers, parent=parent(), thresholds=THRESHOLDS)
    assert got.by_energy
    assert got.thresholds.reject_statistic == "energy"
    logits = logits_of(got.head, np.concatenate([images(50, seed=8)[0], random.normal(0, 0.7, (400, D))]))
    tagged = (softmax(logits).max(axis=1) >= got.thresholds.min_confidence) & (
        energy(logits) <= got.thresholds.reject_above
    )
    assert tagged[:150].mean() > 0.75
    assert tagged[150:].mean() < 0.1


def test_a_patients_strangers_are_not_both_fitted_and_judged_by():
    """Two images of each patient, one after the other: alternating, the limit would be set on patients seen."""
    own, groups = np.random.default_rng(0).normal(size=(30, D)), np.repeat(np.arange(15), 2).astype(str)
    sides = split_strangers(np.zeros((5, D)), own, groups)
    exposed, judges = (side.embeddings for side in sides)
    patient = {row.tobytes(): name for row, name in zip(own, groups, strict=True)}
    first, second = ({patient[row.tobytes()] for row in side if row.any()} for side in (exposed, judges))
    assert not first & second
    assert len(first | second) == 15
    assert abs(len(exposed) - len(judges)) <= 2
    for side in sides:
        assert [patient.get(row.tobytes()) for row in side.embeddings] == list(side.patients)


def test_strangers_of_one_patient_alone_leave_the_parents_rejection():
    """There are enough of them, but nobody else to judge the limit by."""
    x, y, groups = images(10)
    x, y = np.concatenate([x, np.random.default_rng(3).normal(0, 0.7, (40, D))]), np.concatenate([y, np.full(40, -1)])
    one, many = [*groups, *["s"] * 40], [*groups, *(f"s{n}" for n in range(40))]
    assert adapt(seen(x, y, many), NO_STRANGERS, parent=parent(), thresholds=THRESHOLDS).by_energy
    assert not adapt(seen(x, y, one), NO_STRANGERS, parent=parent(), thresholds=THRESHOLDS).by_energy


def test_the_energy_limit_keeps_its_promise_and_no_more():
    """Of forty strangers two may be tagged."""
    strangers = np.random.default_rng(0).normal(0, 3, (40, D))
    limit = energy_limit(parent(), strangers, 0.0)
    assert (energy(logits_of(parent(), strangers)) <= limit).sum() == 2


def test_labels_of_no_region_are_refused():
    x, _, groups = images(2)
    with pytest.raises(TrainingError, match="14 regions"):
        adapt(seen(x, np.full(6, -1), groups.tolist()), NO_STRANGERS, parent=parent(), thresholds=THRESHOLDS)
