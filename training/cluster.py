"""Clusters of unlabelled images, and weak labels from their names (SAM-X: Hinterwimmer et al. 2022).

The paper alternates clustering and training (DeepCluster); here the backbone is trained first, self-supervised, and
k-means on its embeddings comes once. A person then names clusters instead of images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics import normalized_mutual_info_score
from threadpoolctl import threadpool_limits

from training.errors import TrainingError
from training.manifest import is_region
from training.metrics import Floats, Ints
from training.pool import Pool
from training.recipe import ClusterRecipe

DISCARD = "discard"
MANY = 20_000
"""From here on mini-batches: the full algorithm would take many minutes with 1000 clusters."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Clusters:
    """`cluster` (N,), 0 to K - 1, neighbours in number lying near each other; `distance` (N,) to the centre, between
    0 and 2, of embeddings of unit length.
    """

    cluster: Ints
    distance: Floats

    @property
    def count(self) -> int:
        """K."""
        return int(self.cluster.max()) + 1

    def nearest_first(self, number: int) -> Ints:
        """The rows of one cluster, the most typical first."""
        rows = (self.cluster == number).nonzero()[0]
        return np.asarray(rows[np.argsort(self.distance[rows], kind="stable")])


def clustered(embeddings: Floats, recipe: ClusterRecipe, *, seed: int) -> Clusters:
    """k-means on the directions of the embeddings (N, 512); none of the clusters is empty.

    Numbered along a tree of the centres (average linkage), so that clusters of one region mostly follow each other and
    a person can name them in runs.
    """
    k = max(1, min(recipe.clusters, len(embeddings) // recipe.least))
    unit = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True).clip(1e-12)).astype(np.float32)
    kind = MiniBatchKMeans if len(unit) > MANY else KMeans
    with threadpool_limits(limits=1):  # waiting threads cost more than they bring on a shared machine
        model = kind(n_clusters=k, n_init=1, random_state=seed).fit(unit)
        distance = np.linalg.norm(unit - model.cluster_centers_[model.labels_], axis=1)
    used = np.unique(model.labels_)
    order = used[leaves_list(linkage(model.cluster_centers_[used], "average"))] if len(used) > 1 else used
    number = np.zeros(k, np.int64)
    number[order] = np.arange(len(order))
    return Clusters(cluster=number[model.labels_], distance=distance.astype(np.float64))


def quality(cluster: Ints, truth: Sequence[str]) -> dict[str, float]:
    """How well clusters and labels (N,) agree: `nmi` (normalised by the mean of both entropies) and `purity`, the share
    of images that have their cluster's commonest label.

    Purity grows with the number of clusters alone, and NMI falls: `nmi_at_most` is what clusters of these sizes could
    reach at best, since the mutual information is at most the smaller entropy.
    """
    _, labels = np.unique(np.array(truth), return_inverse=True)
    table = np.zeros((cluster.max() + 1, labels.max() + 1), np.int64)
    np.add.at(table, (cluster, labels), 1)
    nmi = float(normalized_mutual_info_score(labels, cluster))
    of_labels, of_clusters = (_entropy(table.sum(axis=axis)) for axis in (0, 1))
    both = of_labels + of_clusters
    most = 2 * min(of_labels, of_clusters) / both if both > 0 else 1.0
    return {"nmi": nmi, "nmi_at_most": most, "purity": float(table.max(axis=1).sum() / len(cluster))}


def _entropy(counts: Ints) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def majority_names(clusters: Clusters, truth: Sequence[str], *, shown: int, least: float = 0.5) -> dict[int, str]:
    """What a person who knows every image's truth would call the clusters, from the `shown` most typical images alone:
    the label of at least the share `least`; otherwise, and for what is out of domain, "discard".

    For measuring the way without a person, on data that has labels.
    """
    names = {}
    for number in range(clusters.count):
        seen = [truth[row] for row in clusters.nearest_first(number)[:shown]]
        commonest = max(sorted(set(seen)), key=seen.count)
        keep = seen.count(commonest) >= least * len(seen) and not commonest.startswith("ood:")
        names[number] = commonest if keep else DISCARD
    return names


def weakly_labelled(data: Pool, cluster: Ints, names: Mapping[int, str]) -> Pool:
    """The images of the named clusters, each with its cluster's name for a region; same names merge.

    Raises:
        TrainingError: a name is neither a region, `ood:<kind>`, "discard" nor empty, or nothing is named.
    """
    for number, name in names.items():
        if name not in ("", DISCARD) and not is_region(name):
            raise TrainingError(
                f"Cluster {number} is named '{name}', which is neither one of the 14 regions, 'ood:<kind>', "
                f"'{DISCARD}' nor empty."
            )
    chosen = [row for row, number in enumerate(cluster) if names.get(int(number), "") not in ("", DISCARD)]
    if not chosen:
        raise TrainingError("Not one cluster has a name: fill in the column 'name' of names.csv, or label more images.")
    rows = tuple(replace(data.rows[row], region=names[int(cluster[row])]) for row in chosen)
    return replace(data, place=data.place[chosen], rows=rows)
