"""`dicom-node label`, on a ledger with three images."""

import json

import pytest

from dicom_node.ledger import open_ledger
from tests.servers.node import NodeProcess
from tests.stories import arrival

NAME = "Namens^GEHEIM"


@pytest.fixture
def node(tmp_path) -> NodeProcess:
    """A node that is not running, and whose ledger holds 1.2.3.1 to 1.2.3.3."""
    node = NodeProcess(tmp_path / "node")
    node.run("migrate")
    ledger = open_ledger(f"sqlite:///{node.folder / 'data' / 'ledger.sqlite'}", create=False)
    for number in (1, 2, 3):
        ledger.intake.add(arrival(number))
    ledger.close()
    return node


@pytest.fixture
def table(tmp_path):
    """Write a CSV of UIDs and regions."""

    def write(*rows: str, header: str = "sop_instance_uid,region"):
        file = tmp_path / "reviewed.csv"
        file.write_text("\n".join([header, *rows]) + "\n")
        return file

    return write


def kept(node: NodeProcess) -> list[list[tuple[str, str]]]:
    """Of each image: region and who said so, the latest last."""
    views = json.loads(node.run("show", "1.2.1", "--json").stdout)
    return [[(label["region"], label["by"]) for label in view["labels"]] for view in views]


def refused(node: NodeProcess, *arguments: object, status: int) -> str:
    """The sentence with which a label is refused; nothing is kept, and nobody's name is told."""
    done = node.run("label", *arguments, "--by", "Dr. Ada", check=False)
    assert done.returncode == status, done.stderr
    [sentence] = done.stderr.splitlines()
    assert NAME not in sentence
    assert kept(node) == [[], [], []]
    return sentence


def test_a_label_is_shown_and_the_next_one_supersedes_it(node) -> None:
    assert node.run("label", "1.2.3.1", "hand", "--by", "Dr. Ada").stdout == "1 label kept\n"
    node.run("label", "1.2.3.1", "wrist", "--by", "Dr. [Bo]")
    assert kept(node) == [[("hand", "Dr. Ada"), ("wrist", "Dr. [Bo]")], [], []]
    shown = node.run("show", "1.2.3.1").stdout
    assert "wrist, by Dr. [Bo], 20" in shown
    assert "Dr. Ada" not in shown
    assert "label" not in node.run("show", "1.2.3.2").stdout


def test_a_table_of_labels_is_kept_as_a_whole(node, table) -> None:
    """As spreadsheets write it: with a byte order mark, other columns, and a line twice."""
    rows = ["1.2.3.1,x,ood:chest", "1.2.3.3,y, knee ", "1.2.3.1,x,ood:chest"]
    file = table(*rows, header="\ufeffsop_instance_uid,note,region")
    assert node.run("label", "--csv", file, "--by", "Dr. Ada").stdout == "2 labels kept\n"
    assert kept(node) == [[("ood:chest", "Dr. Ada")], [], [("knee", "Dr. Ada")]]


def test_an_unknown_object_or_region_is_one_clear_sentence(node) -> None:
    assert "no object with the SOP Instance UID 1.404" in refused(node, "1.404", "hand", status=1)
    assert "no object with the SOP Instance UID 1.2.1" in refused(node, "1.2.1", "hand", status=1)
    assert "a region is one of clavicle, shoulder" in refused(node, "1.2.3.1", NAME, status=2)
    assert "either a SOP Instance UID and what it shows, or a table" in refused(node, "1.2.3.1", status=2)


def test_a_table_with_one_wrong_line_changes_nothing(node, table) -> None:
    good = "1.2.3.1,hand"
    assert "UID of line 3, 4; nothing was kept" in refused(
        node, "--csv", table(good, f"{NAME},hand", "1.405,hand"), status=1
    )
    assert "line 3: this is no region" in refused(node, "--csv", table(good, f"1.2.3.2,{NAME}"), status=2)
    assert "line 3: the same object has another region" in refused(node, "--csv", table(good, "1.2.3.1,foot"), status=2)
    assert "line 3: the SOP Instance UID is missing" in refused(node, "--csv", table(good, ",foot"), status=2)
    assert "the columns sop_instance_uid and region" in refused(node, "--csv", table(good, header="a,b"), status=2)
    assert "is empty" in refused(node, "--csv", table(), status=2)
    assert "none.csv cannot be read: No such file" in refused(node, "--csv", node.folder / "none.csv", status=2)
    assert "either" in refused(node, "1.2.3.1", "hand", "--csv", table(good), status=2)


def test_a_label_needs_a_name(node) -> None:
    assert node.run("label", "1.2.3.1", "hand", check=False).returncode == 2
    done = node.run("label", "1.2.3.1", "hand", "--by", " ", check=False)
    assert (done.returncode, kept(node)) == (2, [[], [], []])
    assert "--by" in done.stderr
