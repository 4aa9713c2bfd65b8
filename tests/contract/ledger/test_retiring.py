"""What retention asks of a ledger, where a file cannot be removed."""

import pytest

from dicom_node.instance import REPORT_ALONE, Instance
from dicom_node.ledger import open_ledger
from dicom_node.ports import Ledger
from tests.contract.ledger.racing import SECOND, due, settled, to
from tests.contract.ledger.test_plans import explain
from tests.stories import NOON


def delivered(ledger: Ledger, number: int, **over) -> Instance:
    """An image that the PACS has."""
    instance = settled(ledger, number, deliveries=to("PACS"), **over)
    ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.9", written=None, now=NOON)
    return instance


@pytest.mark.parametrize("error", [PermissionError(1, "Operation not permitted"), OSError(30, "Read-only file system")])
def test_what_the_disk_says_of_a_file_comes_out_as_it_is_and_nothing_is_noted(ledger: Ledger, error: OSError) -> None:
    """Not as a trouble of the ledger, which would stop retention for every other image."""
    instance = delivered(ledger, 1)

    def refuse(_: str) -> None:
        raise error

    with pytest.raises(OSError, match=str(error.strerror)) as raised:
        ledger.records.retire(instance.id, remove=refuse, now=NOON)
    assert raised.value is error
    (record,) = ledger.records.find("1.2.3.1")
    assert record.instance.spooled
    assert "retired" not in [event.kind for event in record.events]
    assert ledger.records.retire(instance.id, remove=lambda _: None, now=NOON)


@pytest.mark.parametrize(("sent_uid", "written"), [("1.2.9", REPORT_ALONE), ("", None)], ids=["report", "nothing"])
def test_an_image_of_which_reports_alone_went_out_is_kept(ledger: Ledger, sent_uid: str, written: str | None) -> None:
    instance = settled(ledger, 1, deliveries=to("PACS", "REPORTS"))
    ledger.outbox.delivered(due(ledger, "REPORTS")[0].id, sent_uid=sent_uid, written=written, now=NOON)
    ledger.outbox.delivered(due(ledger, "PACS")[0].id, sent_uid="1.2.3.1", written=None, now=NOON)
    assert [one.id for one in ledger.records.retired(before=NOON + SECOND, limit=9)] == [instance.id]
    alone = settled(ledger, 2, deliveries=to("REPORTS"))
    ledger.outbox.delivered(due(ledger, "REPORTS")[0].id, sent_uid=sent_uid, written=written, now=NOON)
    assert [one.id for one in ledger.records.retired(before=NOON + SECOND, limit=9)] == [instance.id]
    assert not ledger.records.retire(alone.id, remove=pytest.fail, now=NOON)
    assert ledger.records.counts().forwarded == 2


@pytest.mark.parametrize("resend", [True, False], ids=["sent again", "back by itself"])
def test_the_time_of_a_file_counts_from_when_its_sender_sent_it_again(ledger: Ledger, resend: bool) -> None:
    """By its first arrival it would go at once, and whoever asks for its commitment would send it again, for ever."""
    instance = delivered(ledger, 1)
    assert ledger.records.retire(instance.id, remove=lambda _: None, now=NOON + 9 * SECOND)
    later = NOON + 10 * SECOND
    ledger.intake.restore(instance.id, path=instance.path, now=later, resend=resend)
    for delivery in due(ledger, now=later):
        ledger.outbox.delivered(delivery.id, sent_uid="1.9", written=None, now=later)
    (record,) = ledger.records.find("1.2.3.1")
    assert record.instance.kept_since == (later if resend else NOON)
    assert len(ledger.records.retired(before=later, limit=9)) == (not resend)
    assert len(ledger.records.retired(before=later + SECOND, limit=9)) == 1


def test_files_are_walked_through_in_pages_oldest_first_whatever_becomes_of_them(ledger: Ledger) -> None:
    ages = [5, 3, 3, 9, 3]
    stored = [delivered(ledger, number, received_at=NOON - age * SECOND) for number, age in enumerate(ages)]
    expected = [stored[place].id for place in (3, 0, 1, 2, 4)]
    found: list[int] = []
    last = None
    while page := ledger.records.retired(before=NOON, limit=2, after=last):
        found += [instance.id for instance in page]
        last = page[-1]
        ledger.records.retire(last.id, remove=lambda _: None, now=NOON)
    assert found == expected


def test_the_next_page_is_answered_from_an_index(tmp_path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    first = delivered(ledger, 1)
    plans = explain(
        ledger._database._engine, lambda: ledger.records.retired(before=NOON + SECOND, limit=1, after=first)
    )
    assert any("ix_instances_kept" in step for step in plans)
    assert not any("TEMP B-TREE" in step for step in plans)
    ledger.close()
