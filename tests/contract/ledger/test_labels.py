"""What those may rely on who say what images show, and who learn from it."""

import pytest

from dicom_node.label import Label, is_label
from dicom_node.ports import Ledger
from dicom_node.regions import REGIONS
from tests.contract.ledger.racing import SECOND, race, settled
from tests.stories import NOON, arrival


def said(region: str = "hand", by: str = "Dr. Ada", **over) -> Label:
    return Label(**({"region": region, "by": by, "at": NOON} | over))


def labels(ledger: Ledger, number: int = 1) -> list[tuple[Label, ...]]:
    """Of each instance with the UID of this number."""
    return [record.labels for record in ledger.records.find(f"1.2.3.{number}")]


def test_a_label_is_kept_with_who_said_it_and_when(ledger: Ledger) -> None:
    ledger.intake.add(arrival())
    assert ledger.labels.add({"1.2.3.1": said("ood:chest")}) == []
    (record,) = ledger.records.find("1.2.3.1")
    assert record.label == Label(region="ood:chest", by="Dr. Ada", at=NOON)


def test_the_latest_answer_counts_and_the_earlier_one_stays(ledger: Ledger) -> None:
    """The latest is the one that was kept last, whatever its clock said."""
    settled(ledger, 1)
    first, second = said("hand", at=NOON + SECOND), said("wrist", by="Dr. Bo")
    for label in (first, second):
        ledger.labels.add({"1.2.3.1": label})
    assert labels(ledger) == [(first, second)]
    (record,) = ledger.records.settled(after_id=0, limit=9)
    assert record.label == second


def test_what_nobody_looked_at_has_no_label(ledger: Ledger) -> None:
    settled(ledger, 1)
    (record,) = ledger.records.find("1.2.3.1")
    assert (record.label, record.labels) == (None, ())


def test_all_labels_are_kept_or_none(ledger: Ledger) -> None:
    """Also a series' or a study's UID is no object's."""
    for number in (1, 2):
        ledger.intake.add(arrival(number))
    uids = ["1.2.3.1", "1.404", "1.2.3.2", "1.2.1", "1.2.2"]
    assert ledger.labels.add({uid: said() for uid in uids}) == ["1.2.1", "1.2.2", "1.404"]
    assert labels(ledger, 1) == labels(ledger, 2) == [()]
    assert ledger.labels.add({"1.2.3.1": said("knee"), "1.2.3.2": said("foot")}) == []
    assert [labels(ledger, number)[0][-1].region for number in (1, 2)] == ["knee", "foot"]


def test_nothing_said_is_nothing_kept(ledger: Ledger) -> None:
    ledger.intake.add(arrival())
    assert ledger.labels.add({}) == []
    assert labels(ledger) == [()]


def test_instances_that_share_a_uid_share_what_is_said_of_it_and_later_ones_do_not(ledger: Ledger) -> None:
    """Whoever said it has not seen what came later."""
    for digest in "ab":
        ledger.intake.add(arrival(1, digest=digest))
    ledger.labels.add({"1.2.3.1": said()})
    ledger.intake.add(arrival(1, digest="c"))
    assert labels(ledger) == [(said(),), (said(),), ()]


def test_people_who_speak_at_once_are_all_kept(ledger: Ledger) -> None:
    ledger.intake.add(arrival())
    race(*[lambda n=n: ledger.labels.add({"1.2.3.1": said(by=f"Dr. {n}")}) for n in range(6)])
    assert sorted(label.by for label in labels(ledger)[0]) == [f"Dr. {n}" for n in range(6)]


def test_a_table_may_be_longer_than_a_statement(ledger: Ledger) -> None:
    ledger.intake.add(arrival())
    unknown = ledger.labels.add({f"1.9.{n}": said() for n in range(40_000)} | {"1.2.3.1": said()})
    assert len(unknown) == 40_000
    assert labels(ledger) == [()]


@pytest.mark.parametrize("region", [*map(str, REGIONS), "ood:chest", "ood:ct-scout_2"])
def test_a_label_says_a_region_or_a_kind_of_other_image(region: str) -> None:
    assert is_label(region)
    assert said(region).region == region


@pytest.mark.parametrize("region", ["", "HAND", "HEAD", "ood:", "ood: chest", "ood:Chest", "ood:a b", "ood:a\n", "arm"])
def test_a_label_says_nothing_else(region: str) -> None:
    assert not is_label(region)
    with pytest.raises(ValueError, match="one of clavicle"):
        said(region)


def test_a_label_is_somebodys() -> None:
    with pytest.raises(ValueError, match="somebody"):
        said(by=" ")
