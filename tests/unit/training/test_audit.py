"""The audit finds planted errors, by probabilities in which the row itself and its patient had no part."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.small import small_set
from training.audit import CLASSES, audit, classes_of, fitted_head, out_of_fold
from training.confident import class_thresholds, confident_classes, confident_joint, estimated_joint, suspects
from training.errors import TrainingError
from training.manifest import Row
from training.planting import CONFUSIONS, found, plant, planted_at_random, planted_confusions
from training.recipe import AuditRecipe

RECIPE = AuditRecipe(folds=3, strength=1.0)


def noisy(n=400, k=4, seed=0):
    """Probabilities that mostly know the truth, and labels of which a tenth is wrong."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, k, n)
    logits = random.normal(0, 1.2, (n, k))
    logits[np.arange(n), truth] += 2.5
    given = np.where(random.random(n) < 0.1, random.integers(0, k, n), truth)
    shifted = np.exp(logits)
    return shifted / shifted.sum(axis=1, keepdims=True), given


def slow_joint(p, given, k):
    """Equations 1 and 2 of Northcutt et al. 2021, set by set as they stand there."""
    t = {}
    for j in range(k):
        of_j = [x for x in range(len(given)) if given[x] == j]
        t[j] = sum(p[x][j] for x in of_j) / len(of_j) if of_j else float("inf")
    joint = [[0] * k for _ in range(k)]
    for i in range(k):
        for j in range(k):
            for x in range(len(given)):
                reached = [m for m in range(k) if p[x][m] >= t[m]]
                if given[x] == i and p[x][j] >= t[j] and j == max(reached, key=lambda m, x=x: p[x][m]):
                    joint[i][j] += 1
    return joint


def slow_estimate(joint, given, k):
    """Equation 3."""
    count = [list(given).count(i) for i in range(k)]
    top = [[joint[i][j] / sum(joint[i]) * count[i] for j in range(k)] for i in range(k)]
    whole = sum(map(sum, top))
    return [[value / whole for value in line] for line in top]


def slow_suspects(p, given, k):
    """Prune by noise rate, pair by pair."""
    q = slow_estimate(slow_joint(p, given, k), given, k)
    best = {}
    for i in range(k):
        for j in range(k):
            rows = sorted((x for x in range(len(given)) if given[x] == i), key=lambda x: p[x][i] - p[x][j])
            for x in rows[: round(q[i][j] * len(given))] if i != j else []:
                margin = p[x][j] - p[x][i]
                if margin > best.get(x, (0,))[0]:
                    best[x] = (margin, j)
    return {x: j for x, (_, j) in best.items()}


@pytest.mark.parametrize("seed", range(5))
def test_the_joint_and_the_suspects_are_those_of_the_paper_s_formulas(seed):
    p, given = noisy(seed=seed, k=3 + seed)
    k = 3 + seed
    joint = confident_joint(given, confident_classes(p, class_thresholds(p, given)), k)
    assert joint.tolist() == slow_joint(p, given, k)
    assert estimated_joint(joint, given) == pytest.approx(np.array(slow_estimate(joint, given, k)))
    got = suspects(p, given)
    assert dict(zip(got.rows.tolist(), got.proposed.tolist(), strict=True)) == slow_suspects(p, given, k)
    assert (np.diff(got.score) <= 0).all()
    assert (got.score > 0).all()


def test_a_class_without_rows_is_never_found():
    """Nobody's label can be corrected to a class for which there is no threshold."""
    p, given = noisy(k=4)
    given[given == 3] = 0
    assert 3 not in suspects(p, given).proposed


def test_a_class_of_one_patient_makes_no_other_label_doubtful():
    """No head that judged it had seen it: its threshold was 0, and half of all labels were estimated wrong."""
    embeddings, rows, given = embedded(classes=(0, 1, 6, 7), per_class=100)
    strange = np.random.default_rng(3).normal(0, 1, (3, 512))
    alone = [replace(rows[0], group="alone") for _ in strange]
    made = audit(np.concatenate([embeddings, strange]), [*rows, *alone], np.append(given, [12] * 3), RECIPE, seed=0)
    lines = {line["name"]: line for line in made.per_class()}
    assert [lines[CLASSES[index]]["estimated"] for index in (0, 1, 6, 7)] == [0.0] * 4
    assert lines[CLASSES[12]]["estimated"] is None
    assert made.found.unjudged.tolist() == [12]
    assert len(made.found.rows) == 0


def test_a_class_that_is_known_no_better_than_by_chance_is_never_found():
    """Two patients: each is judged by a head that knows the other alone, and a threshold of next to nothing is none."""
    p, given = noisy(k=3)
    p = np.concatenate([np.column_stack([0.99 * p, np.full(len(p), 0.01)]), np.full((2, 4), [0.4, 0.3, 0.2, 0.1])])
    given = np.append(given, [3, 3])
    assert class_thresholds(p, given)[3] == np.inf
    found = suspects(p, given)
    assert 3 not in found.proposed
    assert found.joint[:, 3].sum() == 0
    assert found.unjudged.tolist() == []


def test_labels_that_the_model_agrees_with_have_no_suspects():
    given = np.arange(60) % 3
    assert len(suspects(np.eye(3)[given] * 0.8 + 0.2 / 3, given).rows) == 0


def embedded(per_class=30, classes=(0, 1, 6, 7, 11, 12, 13, 14), spread=0.4, seed=0):
    """Embeddings around one centre per class, in pairs of one patient each."""
    random = np.random.default_rng(seed)
    centres = random.normal(0, 1, (15, 512)) * 0.3
    truth = np.repeat(classes, per_class)
    rows = [
        Row(file=Path(f"{n}.png"), region="", group=f"p{n // 2}", use="train", source="a") for n in range(len(truth))
    ]
    return centres[truth] + random.normal(0, spread, (len(truth), 512)), rows, truth


def test_no_row_is_judged_by_a_head_that_saw_it_or_its_patient():
    """One patient's two images lie where nobody else's do, labelled alike: in sample a head would believe the label."""
    embeddings, rows, given = embedded()
    strange = np.random.default_rng(5).normal(0, 2, 512)
    embeddings[:2] = strange
    groups = [row.group for row in rows]
    unseen = out_of_fold(embeddings, given, groups, RECIPE, seed=0)
    seen = fitted_head(embeddings, given, RECIPE).probabilities(embeddings[:1])[0, 0]
    assert seen > 0.9
    # Had the other image of the patient been learned from, the first would be as sure as in sample.
    assert unseen[0, given[0]] < 0.7
    assert unseen.sum(axis=1) == pytest.approx(np.ones(len(rows)))
    assert (unseen[:, 3] == 0).all(), "a class that nobody has"


def test_planted_errors_are_found_and_the_right_class_is_proposed():
    """Classes far apart: of 5 % wrong labels, at random or as in the paper, nearly all, and hardly anything else."""
    embeddings, rows, truth = embedded(per_class=60)
    for planting in (planted_at_random, planted_confusions):
        wrong = planting(truth, 0.05, np.random.default_rng(1))
        result = found(audit(embeddings, rows, wrong, RECIPE, seed=0), truth)
        assert result.planted == (wrong != truth).sum() > 0
        assert result.recall >= 0.9
        assert result.precision >= 0.9
        assert result.mended >= 0.9


def test_errors_are_planted_as_often_and_in_the_way_that_was_asked_for():
    truth = np.repeat(np.arange(15), 100)
    wrong = planted_at_random(truth, 0.05, np.random.default_rng(0))
    assert (wrong != truth).sum() == 75
    confused = planted_confusions(truth, 0.05, np.random.default_rng(0))
    for index, name in enumerate(CLASSES):
        became = {CLASSES[each] for each in confused[(truth == index) & (confused != truth)]}
        assert became <= set(CONFUSIONS.get(name, ()))
        assert ((truth == index) & (confused != truth)).sum() == (5 if name in CONFUSIONS else 0)


def test_the_proof_gives_mean_and_spread_over_the_seeds():
    embeddings, rows, truth = embedded(per_class=40, spread=1.0)
    lines = plant(embeddings, rows, truth, RECIPE, seeds=range(3))
    assert [line["planting"] for line in lines] == ["none", "random", "confusions"]
    one = [
        found(audit(embeddings, rows, planted_at_random(truth, 0.05, np.random.default_rng(s)), RECIPE, seed=s), truth)
        for s in range(3)
    ]
    assert lines[1]["recall"] == pytest.approx(np.mean([each.recall for each in one]))
    assert lines[1]["recall_spread"] == pytest.approx(np.std([each.recall for each in one], ddof=1))


def test_too_few_patients_for_the_folds_are_refused():
    embeddings, rows, given = embedded(per_class=1)
    with pytest.raises(TrainingError, match="at least two classes and 9 groups"):
        audit(embeddings, rows, given, AuditRecipe(folds=9), seed=0)


def test_classes_that_are_all_smaller_than_the_folds_are_refused():
    """Patients there are enough."""
    embeddings, rows, given = embedded(per_class=2)
    rows = [replace(row, group=str(number)) for number, row in enumerate(rows)]
    with pytest.raises(TrainingError, match=r"the largest has 2: add labelled rows, or lower audit\.folds"):
        audit(embeddings, rows, given, RECIPE, seed=0)


def test_out_of_domain_rows_are_a_class_of_their_own():
    data = small_set(per_region=1)
    assert classes_of(data.rows).tolist() == list(range(15))


def test_a_patient_imaged_by_two_sources_is_in_one_fold(monkeypatch):
    """Each patient has an image of both; a head that learned from one must not judge the other."""
    learned = []

    def told(embeddings, given, recipe):
        learned.append(np.bincount(embeddings[:, 0].astype(int), minlength=20))
        return fitted_head(embeddings, given, recipe)

    monkeypatch.setattr("training.audit.fitted_head", told)
    patients = np.repeat(np.arange(20), 2)
    embeddings = np.random.default_rng(0).normal(size=(40, 512))
    embeddings[:, 0] = patients
    rows = [
        Row(file=Path(f"{n}.png"), region="", group=f"p{patient}", use="train", source="ab"[n % 2])
        for n, patient in enumerate(patients)
    ]
    audit(embeddings, rows, patients % 2, RECIPE, seed=0)
    assert len(learned) == RECIPE.folds
    assert all(set(counts) == {0, 2} for counts in learned)
