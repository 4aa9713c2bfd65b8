"""Reviewed labels in the node's ledger name clusters."""

import re
from collections import Counter

import numpy as np
import pytest
import typer

from dicom_node.classify import settle
from dicom_node.label import Label
from dicom_node.ledger import open_ledger
from dicom_node.regions import Region
from tests.radiographs import as_file
from tests.stories import NOON, received, seen
from tests.unit.training.test_archive import PLAN, SMALL, radiograph
from tests.unit.training.test_cli import training
from training.cli import app
from training.cluster import Clusters
from training.cluster_files import write_clusters, write_names
from training.cluster_names import AGREE, REVIEWED, agreed, counted
from training.images import load

UID = "1.2.826.0.1.999."
CLUSTERS = Clusters(cluster=np.repeat([0, 1, 2, 3], 4), distance=np.zeros(16))
REVIEW = {0: "hand hand hand", 1: "knee foot knee", 2: "wrist wrist", 3: "elbow elbow elbow ood:chest elbow"}


@pytest.fixture
def node(tmp_path):
    """A node that has settled 16 images, prepared with a key and sorted into four clusters of four."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "node.toml").write_text(f'[node]\ndata_dir = "{tmp_path}"\n')
    (tmp_path / "recipe.toml").write_text(SMALL)
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    for number in range(16):
        path = as_file(radiograph(number, part=""), tmp_path / "spool")
        instance = received(ledger, number, path=path.name, sop_instance_uid=f"{UID}{number}")
        settle(instance, seen(Region.KNEE), plan=PLAN, work=ledger.work, now=NOON)
    ledger.close()
    arguments = ["--recipe", tmp_path / "recipe.toml", "--key", tmp_path / "key", "--tune", 0, "--evaluate", 0]
    assert training("prepare", "--ledger", tmp_path / "node.toml", *arguments, "--out", tmp_path / "data") == 0
    (tmp_path / "out").mkdir()
    write_clusters(CLUSTERS, load(tmp_path / "data").rows, tmp_path / "out")
    write_names(CLUSTERS, {}, tmp_path / "out")
    return tmp_path


def review(node, *, forget=()):
    """People label the first images of each cluster, in the node's ledger; some files are gone afterwards."""
    ledger = open_ledger(f"sqlite:///{node / 'ledger.sqlite'}")
    for number, regions in REVIEW.items():
        for place, region in enumerate(regions.split()):
            # A fifth answer is a second one for the last image: the latest counts.
            uid = f"{UID}{4 * number + min(place, 3)}"
            assert ledger.labels.add({uid: Label(region=region, by="Dr. GEHEIM", at=NOON)}) == []
    for instance_id in forget:
        ledger.repairs.lose(instance_id, now=NOON)
    ledger.close()


def name(node, *more, ledger=None, key="key"):
    """The exit status of the command that names the clusters."""
    common = ["--data", node / "data", "--recipe", node / "recipe.toml", "--out", node / "out"]
    return training("cluster", *common, "--ledger", ledger or node / "node.toml", "--key", node / key, *more)


def labelled(node):
    return Counter(row.region for row in load(node / "out" / "labelled").rows)


def test_clusters_have_the_name_on_which_their_reviewed_images_agree(node, capsys):
    """Also when retention has removed the reviewed files. What disagrees, or is hardly reviewed, is said."""
    review(node, forget=(1, 2))
    assert name(node) == 0
    assert labelled(node) == {"hand": 4, "elbow": 4}
    told = capsys.readouterr().out
    assert "cluster 1 is not named, its reviewed images disagree: knee 2, foot 1" in told
    assert "clusters not named for having fewer than 3 reviewed images: 1" in told
    assert "clusters named by the ledger's reviewed images: 2" in told


def test_a_name_in_the_table_goes_before_the_ledgers(node, capsys):
    """A discarded cluster stays discarded, and one that a person named needs no agreement."""
    review(node)
    names = node / "out" / "names.csv"
    names.write_text(names.read_text().replace("1,4,", "1,4,foot").replace("3,4,", "3,4,discard"))
    assert name(node, "--names", names) == 0
    assert labelled(node) == {"hand": 4, "foot": 4}
    assert "disagree" not in capsys.readouterr().out


def test_a_name_of_a_cluster_that_there_is_not_is_said(node, capsys):
    """The table is of an earlier clustering, or somebody mistyped a number."""
    names = node / "out" / "names.csv"
    names.write_text(names.read_text().replace("1,4,", "1,4,foot") + "17,4,hand\n18,4,\n")
    common = ["--data", node / "data", "--recipe", node / "recipe.toml", "--out", node / "out"]
    assert training("cluster", *common, "--names", names) == 0
    told = capsys.readouterr()
    assert "not among these images, left out: 17;" in told.err
    assert "of 4 clusters discarded, 3 not named" in " ".join(told.out.split())
    assert labelled(node) == {"foot": 4}


def test_clustering_again_keeps_the_names_that_a_person_gave(node, capsys):
    """It ends before the model is read, let alone anything embedded."""
    names = node / "out" / "names.csv"
    names.write_text(names.read_text().replace("1,4,", "1,4,foot"))
    filled = names.read_text()
    assert training("cluster", "--data", node / "data", "--from", node / "nowhere", "--out", node / "out") == 2
    assert "has names, which would be lost" in " ".join(capsys.readouterr().err.split())
    assert names.read_text() == filled


def test_corrections_among_the_weak_labels_are_not_written_over(node, capsys):
    """Naming more clusters must not undo what somebody wrote into the set of the first ones."""
    names, common = node / "out" / "names.csv", ("cluster", "--data", node / "data", "--recipe", node / "recipe.toml")
    names.write_text(names.read_text().replace("1,4,", "1,4,foot"))
    assert training(*common, "--out", node / "out", "--names", names) == 0
    manifest = node / "out" / "labelled" / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",foot,", ",hand,", 1))
    names.write_text(names.read_text().replace("2,4,", "2,4,knee"))
    assert training(*common, "--out", node / "out", "--names", names) == 2
    assert "what somebody corrected there would be lost" in " ".join(capsys.readouterr().err.split())
    assert labelled(node) == {"foot": 3, "hand": 1}


def test_a_data_set_with_names_from_the_ledger_says_nobodys_name(node):
    """Neither a patient's, nor an object's, nor that of whoever reviewed it."""
    review(node)
    assert name(node) == 0
    for file in (each for folder in ("data", "out") for each in (node / folder).rglob("*") if each.is_file()):
        assert not any(secret in file.read_bytes() for secret in (b"GEHEIM", b"PAT-4711", UID.encode())), file


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"key": "other"}, "other holds no key"),
        ({"ledger": "sqlite:////nowhere/ledger.sqlite"}, "The ledger is sqlite:////nowhere/ledger.sqlite."),
        ({"ledger": "postgresql://node:GEHEIM@127.0.0.1:1/node"}, "database name in [ledger] url"),
        ({"ledger": "nowhere.toml"}, "nowhere.toml"),
        ({}, "The ledger has no label of these images"),
    ],
)
def test_a_ledger_or_a_key_that_does_not_help_is_said(node, capsys, options, sentence):
    assert name(node, **options) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "GEHEIM" not in said
    assert not (node / "other").exists()


def test_a_ledger_that_knows_none_of_the_images_is_said(node, capsys):
    """Neither an empty ledger nor another archive's key names anything."""
    review(node)
    other = f"sqlite:///{node / 'other.sqlite'}"
    open_ledger(other).close()
    assert name(node, ledger=other) == 2
    assert "The ledger knows none of these images" in capsys.readouterr().err
    (node / "other").mkdir()
    (node / "other" / "salt").write_text("00" * 32)
    assert name(node, key="other") == 2
    assert "The ledger knows none of these images" in capsys.readouterr().err


def test_without_a_key_nothing_leads_from_the_ledger_to_the_images(node, capsys):
    common = ["--data", node / "data", "--recipe", node / "recipe.toml", "--out", node / "out"]
    assert training("cluster", *common, "--ledger", node / "node.toml") == 2
    assert "--ledger needs --key" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("regions", "expected"),
    [
        ({"hand": 3}, "hand"),
        ({"hand": 2}, ""),
        ({"hand": 4, "wrist": 1}, "hand"),
        ({"hand": 3, "wrist": 1}, ""),
        ({"ood:chest": 8, "rib": 2}, "ood:chest"),
        ({"hand": 5, "wrist": 5}, ""),
    ],
)
def test_agreement_is_three_reviewed_images_and_four_of_five_alike(regions, expected):
    assert agreed(Counter(regions)) == expected


def test_images_that_nobody_reviewed_or_that_are_in_no_cluster_do_not_count():
    assert counted(np.array([0, 0, 1, -1, 0]), ["hand", "", "", "knee", "foot"]) == {0: {"hand": 1, "foot": 1}}


def test_the_page_on_training_says_when_a_cluster_is_named_and_which_options_there_are(root):
    text = (root / "docs" / "TRAINING.md").read_text()
    section = text[text.index("## Clusters") : text.index("## Explaining")]
    assert f"at least {REVIEWED} of its" in section
    assert f"at least {AGREE:.0%}".replace("%", " %") in section
    command = typer.main.get_command(app).commands["cluster"]
    options = {name for parameter in command.params for name in parameter.opts}
    for line in re.findall(r"python -m training cluster (.*)", section):
        assert set(re.findall(r"--[a-z-]+", line)) <= options, line
