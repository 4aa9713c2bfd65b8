"""From unlabelled images over named clusters to weak labels."""

import csv
from collections import Counter
from math import log
from pathlib import Path

import numpy as np
import pytest

from training.cluster import DISCARD, Clusters, clustered, majority_names, quality, weakly_labelled
from training.cluster_files import check_not_named, read_clusters, read_names, write_clusters, write_names, write_sheets
from training.errors import TrainingError
from training.images import ImageSet
from training.manifest import Row
from training.pool import Pool
from training.recipe import ClusterRecipe


def blobs(kinds=5, per_kind=40, seed=0):
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(kinds), per_kind)
    return random.normal(0, 1, (kinds, 512))[truth] + random.normal(0, 0.3, (len(truth), 512)), truth


def slow_quality(cluster, truth):
    """Mutual information over the mean entropy, and purity, from counts."""
    n, pairs, a, b = len(truth), Counter(zip(cluster, truth, strict=True)), Counter(cluster), Counter(truth)
    mutual = sum(m / n * log(m * n / (a[i] * b[j])) for (i, j), m in pairs.items())
    entropy = [-sum(m / n * log(m / n) for m in each.values()) for each in (a, b)]
    purity = sum(max(m for (i, _), m in pairs.items() if i == c) for c in a) / n
    return mutual / (sum(entropy) / 2), purity


def test_quality_is_mutual_information_over_mean_entropy_and_the_share_of_majorities():
    random = np.random.default_rng(1)
    cluster, truth = random.integers(0, 6, 300), random.integers(0, 4, 300)
    cluster[:150] = truth[:150]
    got = quality(cluster, [str(each) for each in truth])
    assert (got["nmi"], got["purity"]) == pytest.approx(slow_quality(cluster.tolist(), truth.tolist()))


def test_kinds_that_lie_apart_are_found_whatever_the_embeddings_length():
    """Directions count: an image that is twice as strong is the same image."""
    embeddings, truth = blobs()
    made = clustered(embeddings, ClusterRecipe(clusters=5, least=1), seed=0)
    again = clustered(embeddings * np.linspace(0.5, 5, len(truth))[:, None], ClusterRecipe(clusters=5, least=1), seed=0)
    assert quality(made.cluster, [str(each) for each in truth])["purity"] > 0.75
    assert quality(again.cluster, [str(each) for each in made.cluster])["nmi"] == pytest.approx(1.0)
    assert set(made.cluster) == set(range(made.count))


def test_there_are_never_more_clusters_than_a_person_would_name():
    embeddings, _ = blobs()
    assert clustered(embeddings, ClusterRecipe(clusters=1000, least=20), seed=0).count == 10


def test_distance_is_to_the_centre_of_the_cluster():
    embeddings, _ = blobs()
    made = clustered(embeddings, ClusterRecipe(clusters=4, least=1), seed=0)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    for number in range(4):
        inside = unit[made.cluster == number]
        expected = np.linalg.norm(inside - inside.mean(axis=0), axis=1)
        assert made.distance[made.cluster == number] == pytest.approx(expected, abs=1e-3)


def image_set(n=12, folder=Path()):
    rows = tuple(Row(file=folder / f"{i}.png", region="", group=str(i), use="train") for i in range(n))
    return Pool.of(ImageSet(images=np.arange(n * 64, dtype=np.uint8).reshape(n, 8, 8), rows=rows))


MADE = Clusters(cluster=np.repeat([0, 1, 2, 3], 3), distance=np.tile([0.3, 0.1, 0.2], 4))


def test_clusters_of_one_name_merge_and_discarded_or_unnamed_ones_are_left_out():
    named = weakly_labelled(image_set(), MADE.cluster, {0: "hand", 1: DISCARD, 2: "", 3: "hand"})
    assert [row.region for row in named.rows] == ["hand"] * 6
    assert [row.file.name for row in named.rows] == [f"{i}.png" for i in (0, 1, 2, 9, 10, 11)]
    assert (named.images[:] == image_set().images[np.array([0, 1, 2, 9, 10, 11])]).all()


@pytest.mark.parametrize(
    ("names", "sentence"), [({0: "toe"}, "named 'toe', which is neither"), ({0: DISCARD}, "Not one cluster has a name")]
)
def test_names_that_cannot_be_meant_are_refused(names, sentence):
    with pytest.raises(TrainingError, match=sentence):
        weakly_labelled(image_set(), MADE.cluster, names)


def test_files_written_are_files_read(tmp_path):
    """The person's spreadsheet may change the case and the order; images that are new have no cluster."""
    data = image_set(folder=tmp_path / "pictures")
    write_clusters(MADE, data.rows, tmp_path)
    assert read_clusters(data.rows, tmp_path).tolist() == MADE.cluster.tolist()
    newer = image_set(13, folder=tmp_path / "pictures")
    assert read_clusters(newer.rows, tmp_path)[-1] == -1
    with (tmp_path / "clusters.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert list(lines[0]) == ["file", "cluster", "distance"]
    assert [line["file"] for line in lines[:3]] == ["pictures/1.png", "pictures/2.png", "pictures/0.png"]
    write_names(MADE, {1: "hand"}, tmp_path)
    text = (tmp_path / "names.csv").read_text().replace("3,3,", "3,3, Knee ")
    (tmp_path / "names.csv").write_text(text)
    assert read_names(tmp_path / "names.csv") == {0: "", 1: "hand", 2: "", 3: "knee"}


def test_names_that_a_person_gave_are_not_written_over(tmp_path):
    """Clustering again numbers anew; the work of hours would be gone. A table that nobody filled in is no loss."""
    check_not_named(tmp_path)
    write_names(MADE, {}, tmp_path)
    check_not_named(tmp_path)
    write_names(MADE, {1: "hand"}, tmp_path)
    with pytest.raises(TrainingError, match="has names, which would be lost"):
        check_not_named(tmp_path)


def test_other_data_than_was_clustered_is_refused(tmp_path):
    write_clusters(MADE, image_set(folder=tmp_path).rows, tmp_path)
    with pytest.raises(TrainingError, match="none of these images"):
        read_clusters(image_set(folder=tmp_path / "elsewhere").rows, tmp_path)


def test_a_list_of_clusters_that_somebody_spoilt_is_refused_in_one_sentence(tmp_path):
    rows = image_set(folder=tmp_path).rows
    write_clusters(MADE, rows, tmp_path)
    path = tmp_path / "clusters.csv"
    path.write_text(path.read_text().replace("png,2,", "png,two,", 1))
    with pytest.raises(TrainingError, match="has a line without a cluster's number"):
        read_clusters(rows, tmp_path)


def test_a_person_sees_the_typical_images_only_and_discards_what_is_mixed_or_out_of_domain():
    truth = ["hand", "knee", "knee", "hand", "knee", "foot", "ood:cat", "ood:cat", "ood:cat", "hand", "hand", "hand"]
    assert majority_names(MADE, truth, shown=2) == {0: "knee", 1: "foot", 2: DISCARD, 3: "hand"}
    assert majority_names(MADE, truth, shown=3, least=0.6)[1] == DISCARD


def test_every_cluster_has_a_sheet(tmp_path):
    write_sheets(MADE, image_set(), {0: "hand"}, tmp_path / "index.html", model="m")
    page = (tmp_path / "index.html").read_text()
    assert page.count("typical images of cluster") == 4
    assert "http" not in page
    assert "<script" not in page


def test_pure_clusters_reach_what_their_number_allows():
    """Each of four labels in five clusters of its own: the mutual information is the labels' entropy."""
    got = quality(np.repeat(np.arange(20), 5), [str(each) for each in np.repeat(np.arange(4), 25)])
    assert got["nmi"] == pytest.approx(got["nmi_at_most"]) == pytest.approx(2 * log(4) / (log(4) + log(20)))
    assert got["purity"] == 1.0


def test_fewer_clusters_than_labels_cannot_reach_one_either():
    """Twenty labels in four clusters, none of them split: all that four clusters can know."""
    got = quality(np.repeat(np.arange(4), 25), [str(each) for each in np.repeat(np.arange(20), 5)])
    assert got["nmi"] == pytest.approx(got["nmi_at_most"]) == pytest.approx(2 * log(4) / (log(4) + log(20)))
    one = quality(np.zeros(20, np.int64), [str(each) for each in range(20)])
    assert (one["nmi"], one["nmi_at_most"]) == (0.0, 0.0)
    same = quality(np.zeros(20, np.int64), ["hand"] * 20)
    assert (same["nmi"], same["nmi_at_most"]) == (1.0, 1.0)
