"""Which files retention removes, and which it leaves although it had them on its list."""

from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dicom_node.errors import OutOfResourcesError
from dicom_node.instance import Instance
from dicom_node.ledger import open_ledger
from dicom_node.ports import Ledger
from dicom_node.receive import receive
from dicom_node.retention import retire_files, was_retired
from dicom_node.spool import Spool
from dicom_node.testing import MemoryLedger
from tests.contract.ledger.racing import due, to, verdict
from tests.dimse_objects import incoming
from tests.stories import NOON

DAY = timedelta(days=1)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", reserve_bytes=0)


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


def stored(ledger: Ledger, spool: Spool, uid: str) -> Instance:
    """An image that every destination has."""
    instance = receive(incoming(uid), spool=spool, intake=ledger.intake, now=NOON).instance
    ledger.work.settle(instance.id, verdict(), recognition=None, deliveries=to("PACS"))
    for delivery in due(ledger):
        ledger.outbox.delivered(delivery.id, sent_uid=uid, written=None, now=NOON)
    return instance


def retire(records, spool: Spool, *, now=NOON + 2 * DAY) -> int:
    return retire_files(records=records, spool=spool, keep=DAY, now=now)


def test_a_file_goes_once_its_time_is_over_and_may_be_gone_already(ledger: MemoryLedger, spool: Spool) -> None:
    here, gone = (stored(ledger, spool, uid) for uid in ("1.2.3.4", "1.2.3.5"))
    spool.remove(gone.path)
    assert retire(ledger.records, spool, now=NOON + DAY) == 0
    assert retire(ledger.records, spool) == 2
    assert not spool.path(here.path).exists()
    assert ledger.records.find("1.2.3.5")[0].events[-1].kind == "retired"
    assert retire(ledger.records, spool) == 0


def test_a_file_that_is_sent_again_after_its_time_is_kept_for_as_long_again(ledger: MemoryLedger, spool: Spool) -> None:
    instance = stored(ledger, spool, "1.2.3.4")
    again = NOON + 5 * DAY
    assert retire(ledger.records, spool, now=again) == 1
    receive(incoming("1.2.3.4"), spool=spool, intake=ledger.intake, now=again)
    for delivery in due(ledger, now=again):
        ledger.outbox.delivered(delivery.id, sent_uid="1.2.3.4", written=None, now=again)
    assert retire(ledger.records, spool, now=again + DAY) == 0
    assert spool.path(instance.path).is_file()
    assert retire(ledger.records, spool, now=again + 2 * DAY) == 1


def test_a_file_that_is_lost_after_it_was_sent_again_is_not_taken_for_one_whose_time_is_over(ledger, spool) -> None:
    instance = stored(ledger, spool, "1.2.3.4")
    again = NOON + 5 * DAY
    ledger.intake.restore(instance.id, path=instance.path, now=again)
    for delivery in due(ledger, now=again):
        ledger.outbox.delivered(delivery.id, sent_uid="1.2.3.4", written=None, now=again)
    (record,) = ledger.records.find("1.2.3.4")
    for now, expected in ((again + DAY / 2, False), (again + 2 * DAY, True)):
        assert was_retired(record.instance, records=ledger.records, keep=DAY, now=now) is expected


def test_a_file_that_is_sent_again_after_it_was_listed_stays(ledger: MemoryLedger, spool: Spool) -> None:
    instance = stored(ledger, spool, "1.2.3.4")

    class SlowRecords:
        """Between the list and what is done about it, the image comes again."""

        def retired(self, **page):
            listed = ledger.records.retired(**page)
            for one in listed:
                ledger.intake.restore(one.id, path=one.path, now=NOON)
            return listed

        def __getattr__(self, name: str):
            return getattr(ledger.records, name)

    assert retire(SlowRecords(), spool) == 0
    assert spool.path(instance.path).is_file()
    assert ledger.records.find("1.2.3.4")[0].instance.spooled


def test_a_file_that_cannot_be_removed_is_told_and_holds_up_no_other(ledger: MemoryLedger, spool: Spool) -> None:
    stuck, other = (stored(ledger, spool, uid) for uid in ("1.2.3.4", "1.2.3.5"))
    spool.path(stuck.path).unlink()
    spool.path(stuck.path).mkdir()
    with capture_logs() as logs:
        assert retire(ledger.records, spool) == 1
    assert (logs[0]["event"], logs[0]["path"]) == ("file_not_removed", stuck.path)
    assert ledger.records.find("1.2.3.4")[0].instance.spooled
    assert not spool.path(other.path).exists()


def test_a_page_of_files_that_cannot_be_removed_holds_up_none_of_the_next(
    ledger: MemoryLedger, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicom_node.retention.PAGE", 2)
    images = [stored(ledger, spool, f"1.2.3.{number}") for number in range(5)]
    for stuck in images[:3]:
        spool.path(stuck.path).unlink()
        spool.path(stuck.path).mkdir()
    assert retire(ledger.records, spool) == 2
    assert [ledger.records.find(one.sop_instance_uid)[0].instance.spooled for one in images] == [True] * 3 + [False] * 2


def test_a_file_that_cannot_be_removed_is_no_trouble_of_the_ledger(tmp_path: Path, spool: Spool) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    stuck, other = (stored(ledger, spool, uid) for uid in ("1.2.3.4", "1.2.3.5"))
    spool.path(stuck.path).unlink()
    spool.path(stuck.path).mkdir()
    assert retire(ledger.records, spool) == 1
    assert not spool.path(other.path).exists()
    ledger.close()


def test_nothing_is_retired_while_the_spool_is_away(ledger: MemoryLedger, tmp_path: Path) -> None:
    spool = Spool.opened(tmp_path / "spool", 0, expected=lambda: False)
    stored(ledger, spool, "1.2.3.4")
    (tmp_path / "spool").rename(tmp_path / "elsewhere")
    with pytest.raises(OutOfResourcesError):
        retire(ledger.records, spool)
    assert ledger.records.find("1.2.3.4")[0].instance.spooled
