"""Each kind of debris has one rule, and none of them harms what is sound."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dicom_node.errors import LedgerError, OutOfResourcesError, WrongLedgerError
from dicom_node.instance import Arrival, InstanceState
from dicom_node.owner import own_name
from dicom_node.part10 import digest_of, file_header
from dicom_node.receive import receive
from dicom_node.recovery import MOST_ORPHANS, Findings, break_dead_leases, check_files, check_ledger_is_theirs
from dicom_node.retention import was_retired
from dicom_node.spool import MARK, Spool
from dicom_node.testing import MemoryLedger
from tests.contract.ledger.racing import due, to, verdict
from tests.dimse_objects import incoming
from tests.stories import NOON
from tests.stories import received as claimed

DAY = timedelta(days=1)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", reserve_bytes=0)


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


def take(spool: Spool, ledger: MemoryLedger, uid: str):
    return receive(incoming(uid), spool=spool, intake=ledger.intake, now=NOON).instance


def check(spool: Spool, ledger: MemoryLedger, **over) -> Findings:
    return check_files(spool=spool, intake=ledger.intake, repairs=ledger.repairs, now=lambda: NOON, **over)


def orphan(spool: Spool, uid: str) -> str:
    """A file as a crash between rename and commit leaves it."""
    item = incoming(uid)
    return spool.write(digest_of(item), file_header(item), item.dataset)


def test_a_sound_spool_is_left_as_it_is(spool, ledger) -> None:
    instance = take(spool, ledger, "1.2.3")
    assert check(spool, ledger) == Findings()
    (record,) = ledger.records.find("1.2.3")
    assert record.instance == instance


def test_a_file_without_a_row_is_taken_in_as_if_it_had_just_been_received(spool, ledger) -> None:
    path = orphan(spool, "1.2.4")
    os.utime(spool.path(path), (NOON.timestamp(), NOON.timestamp()))
    assert check(spool, ledger) == Findings(adopted=1)
    (record,) = ledger.records.find("1.2.4")
    expected = take(spool, MemoryLedger(), "1.2.4")
    # The called AE title and the address are not in the file.
    assert record.instance == replace(expected, peer="")  # the address is not in the file
    assert record.instance.state is InstanceState.RECEIVED
    assert check(spool, ledger) == Findings()


@pytest.mark.parametrize("known", [False, True], ids=["adopted", "restored"])
def test_what_is_taken_in_is_on_the_disk_before_the_ledger_says_so(
    spool, ledger, tmp_path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """Whoever renamed it may have died before its folder was brought to the disk, and its sender hears "duplicate"."""
    if known:
        gone = take(spool, ledger, "1.2.4")
        spool.remove(gone.path)
        check(spool, ledger)
    path = spool.path(orphan(spool, "1.2.4"))
    synced: list[Path] = []
    before: list[list[Path]] = []
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        sync(descriptor)

    room, method = ledger.intake, "restore" if known else "add"
    enter = getattr(room, method)

    def entered(*args, **kwargs):
        before.append(list(synced))
        return enter(*args, **kwargs)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(room, method, entered)
    assert check(spool, ledger) == Findings(restored=known, adopted=not known)
    assert before == [[path, path.parent, spool.path("")]]


def test_a_file_whose_folder_cannot_be_brought_to_the_disk_is_told_and_not_taken_in(
    spool, ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = spool.path(orphan(spool, "1.2.4"))

    def fsync(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with capture_logs() as logs:
        assert check(spool, ledger) == Findings(damaged=1)
    assert "Input/output error" in logs[0]["error"]
    assert path.is_file()
    assert ledger.records.counts().received == 0


def test_sending_again_what_was_adopted_is_a_duplicate(spool, ledger) -> None:
    orphan(spool, "1.2.4")
    check(spool, ledger)
    assert receive(incoming("1.2.4"), spool=spool, intake=ledger.intake, now=NOON).duplicate


def test_a_row_without_a_file_is_lost_with_an_event_and_a_loud_line(spool, ledger) -> None:
    kept, gone = take(spool, ledger, "1.2.3"), take(spool, ledger, "1.2.4")
    spool.remove(gone.path)
    with capture_logs() as logs:
        assert check(spool, ledger) == Findings(lost=1)
    assert ("file_lost", "error") in [(line["event"], line["log_level"]) for line in logs]
    assert ledger.records.counts().lost == 1
    assert ledger.records.find("1.2.4")[0].events[-1].kind == "lost"
    assert spool.path(kept.path).is_file()


@pytest.mark.parametrize("left", [0, 300, -1])
def test_a_row_whose_file_broke_off_is_lost_and_the_file_stays_and_is_told(spool, ledger, left: int) -> None:
    damaged = take(spool, ledger, "1.2.3")
    file = spool.path(damaged.path)
    file.write_bytes(file.read_bytes()[:left])
    with capture_logs() as logs:
        assert check(spool, ledger) == Findings(lost=1, damaged=1)
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["file_lost", "file_damaged"]
    assert file.is_file()
    assert check(spool, ledger) == Findings(damaged=1)
    assert take(spool, ledger, "1.2.3").id == damaged.id
    assert check(spool, ledger) == Findings()
    assert ledger.records.counts().lost == 0


def test_a_damaged_file_is_not_taken_for_one_that_retention_had_removed(spool, ledger) -> None:
    file = spool.path(take(spool, ledger, "1.2.3").path)
    file.write_bytes(file.read_bytes()[:-1])
    assert check(spool, ledger, is_retired=pytest.fail).lost == 1


def test_a_lost_file_that_comes_back_damaged_stays_lost(spool, ledger, tmp_path) -> None:
    gone = take(spool, ledger, "1.2.3")
    content = spool.path(gone.path).read_bytes()
    spool.remove(gone.path)
    check(spool, ledger)
    spool.path(gone.path).write_bytes(content[:-1] + b"!")
    assert check(spool, ledger) == Findings(damaged=1)
    assert ledger.records.counts().lost == 1


def test_a_spool_whose_disk_is_not_mounted_loses_nothing_and_takes_nothing(ledger, tmp_path) -> None:
    spool = Spool.opened(tmp_path / "spool", 0, expected=lambda: False)
    take(spool, ledger, "1.2.3")
    (tmp_path / "spool").rename(tmp_path / "elsewhere")
    (tmp_path / "spool").mkdir()
    with capture_logs() as logs:
        check(spool, ledger)
    assert ledger.records.counts().lost == 0
    assert [line["event"] for line in logs] == ["spool_away"]
    with pytest.raises(OutOfResourcesError, match="check that its disk is mounted"):
        take(spool, ledger, "1.2.4")
    with pytest.raises(OutOfResourcesError, match="check that its disk is mounted"):
        spool.unnamed()
    assert not list((tmp_path / "spool").iterdir())
    assert ledger.records.counts().received == 1


def test_a_spool_is_not_begun_anew_where_the_ledger_knows_of_images(ledger, tmp_path) -> None:
    with pytest.raises(OutOfResourcesError, match="mount its disk"):
        Spool.opened(tmp_path / "spool", 0, expected=lambda: True)
    assert not (tmp_path / "spool").exists()
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / MARK).touch()  # what the message says for a disk that is lost for good
    assert Spool.opened(tmp_path / "spool", 0, expected=lambda: True).is_here()


def test_a_spool_from_before_there_were_marks_gets_one(spool, ledger, tmp_path) -> None:
    take(spool, ledger, "1.2.3")
    assert Spool.opened(tmp_path / "spool", 0, expected=lambda: True).is_here()
    assert (tmp_path / "spool" / MARK).is_file()


def test_a_lost_file_that_is_back_is_restored(spool, ledger, tmp_path) -> None:
    take(spool, ledger, "1.2.3")
    gone = take(spool, ledger, "1.2.4")
    spool.path(gone.path).rename(tmp_path / "aside")
    check(spool, ledger)
    (tmp_path / "aside").rename(spool.path(gone.path))
    assert check(spool, ledger) == Findings(restored=1)
    assert ledger.records.counts().lost == 0


def test_a_file_that_is_back_is_not_sent_where_it_is_already(spool, ledger, tmp_path) -> None:
    """Nobody misses it there, and what the PACS has merged or deleted since must not come back."""
    delivered = take(spool, ledger, "1.2.3")
    refused = take(spool, ledger, "1.2.4")
    for one in (delivered, refused):
        ledger.work.settle(one.id, verdict(), recognition=None, deliveries=to("PACS"))
    sent, failed = due(ledger)
    ledger.outbox.delivered(sent.id, sent_uid="1.2.3", written=None, now=NOON)
    ledger.outbox.fail(failed.id, error="the file is gone", now=NOON)
    for one in (delivered, refused):
        spool.path(one.path).rename(tmp_path / one.sop_instance_uid)
    assert check(spool, ledger) == Findings(lost=2)
    for one in (delivered, refused):
        (tmp_path / one.sop_instance_uid).rename(spool.path(one.path))
    assert check(spool, ledger) == Findings(restored=2)
    assert [one.instance_id for one in due(ledger)] == [refused.id]


class Away:
    """A ledger that cannot be reached."""

    def find(self, sop_instance_uid: str, digest: str) -> None:
        raise LedgerError("the database is away")

    def add(self, arrival: Arrival) -> None:
        raise LedgerError("the database is away")


@pytest.mark.parametrize("how", ["retired", "let go", "lost"])
def test_what_was_refused_once_its_file_was_written_and_comes_again_after_a_start_is_missed(
    spool, ledger, how: str
) -> None:
    """Its sender misses it; that the start had found the file, whose sender got no answer, says nothing of that."""
    item = incoming("1.2.3")
    instance = take(spool, ledger, "1.2.3")
    ledger.work.settle(instance.id, verdict(), recognition=None, deliveries=to("PACS"))
    ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.2.3", written=None, now=NOON)
    if how == "retired":
        assert ledger.records.retire(instance.id, remove=spool.remove, now=NOON)
    elif how == "let go":
        receive(incoming("1.2.3", PatientName="OTHER"), spool=spool, intake=ledger.intake, now=NOON)
        assert ledger.records.let_go(instance.id, remove=spool.remove, now=NOON)
    else:
        spool.remove(instance.path)
        assert check(spool, ledger) == Findings(lost=1)
    with pytest.raises(LedgerError):
        receive(item, spool=spool, intake=Away(), now=NOON)
    assert check(spool, ledger) == Findings(restored=1)
    assert due(ledger) == []
    assert receive(item, spool=spool, intake=ledger.intake, now=NOON + DAY).duplicate
    assert [one.instance_id for one in due(ledger, now=NOON + DAY)] == [instance.id]
    assert ledger.records.counts().conflicting == (2 if how == "let go" else 0)
    assert ledger.intake.find("1.2.3", instance.digest).kept_since == NOON + DAY
    receive(item, spool=spool, intake=ledger.intake, now=NOON + 2 * DAY)
    assert due(ledger, now=NOON + 2 * DAY)[0].planned_at == NOON + DAY  # once


def test_what_retention_had_removed_before_a_crash_is_not_lost(spool, ledger) -> None:
    instance = take(spool, ledger, "1.2.3")
    ledger.work.settle(instance.id, verdict(), recognition=None, deliveries=to("PACS"))
    ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.2.3", written=None, now=NOON)
    spool.remove(instance.path)  # and the power goes, before that is noted
    later = NOON + 2 * DAY

    def is_retired(one) -> bool:
        return was_retired(one, records=ledger.records, keep=DAY, now=later)

    assert check(spool, ledger, is_retired=is_retired) == Findings()
    assert ledger.records.counts().lost == 0
    assert ledger.records.find("1.2.3")[0].events[-1].kind == "retired"


def test_a_file_that_nobody_has_yet_is_lost_whatever_retention_says(spool, ledger) -> None:
    instance = take(spool, ledger, "1.2.3")
    spool.remove(instance.path)

    def is_retired(one) -> bool:
        return was_retired(one, records=ledger.records, keep=DAY, now=NOON + 2 * DAY)

    assert check(spool, ledger, is_retired=is_retired) == Findings(lost=1)


def test_a_file_that_is_not_what_its_name_says_is_left_alone_and_told(spool, ledger) -> None:
    path = spool.path(orphan(spool, "1.2.4"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with capture_logs() as logs:
        assert check(spool, ledger) == Findings(damaged=1)
    assert "file_damaged" in [line["event"] for line in logs]
    assert path.is_file()
    assert ledger.records.counts().received == 0


def test_a_spool_full_of_files_and_an_empty_ledger_are_not_each_others(spool, ledger) -> None:
    """Taken in as new, all that was ever received would be sent again."""
    for number in range(MOST_ORPHANS):
        orphan(spool, f"1.2.{number}")
    check_ledger_is_theirs(spool=spool, records=ledger.records)  # as a crash before the first row may leave them
    orphan(spool, "1.3")
    with pytest.raises(WrongLedgerError, match=r"point \[ledger\] url back .* `dicom-node serve --adopt`"):
        check_ledger_is_theirs(spool=spool, records=ledger.records)
    ledger.repairs.lose(take(spool, ledger, "1.4").id, now=NOON)
    check_ledger_is_theirs(spool=spool, records=ledger.records)  # one row makes it theirs


def test_a_check_ends_when_it_is_told_to(spool, ledger) -> None:
    take(spool, ledger, "1.2.3")
    orphan(spool, "1.2.4")
    assert check(spool, ledger, go_on=lambda: False) == Findings()


def test_only_leases_of_the_dead_are_broken(ledger) -> None:
    claimed(ledger, 1)  # by "w"
    assert break_dead_leases(repairs=ledger.repairs, is_dead=lambda _: False) == 0
    assert break_dead_leases(repairs=ledger.repairs, is_dead=lambda name: name == "w") == 1
    assert ledger.repairs.lease_holders() == []


def test_temporary_files_of_the_dead_go_at_once_and_those_of_the_living_stay(spool, tmp_path) -> None:
    spool.write("abcd" + "0" * 60, b"", b"")
    *place, started = own_name().split("~")
    dead = "~".join([*place, str(int(started) + 1)])
    mine, theirs, elsewhere = (tmp_path / "spool/tmp" / f"{by}--1.part" for by in (own_name(), dead, "other~~~1~"))
    for path in (mine, theirs, elsewhere):
        path.write_bytes(b"half")
    assert spool.sweep() == 1
    assert (mine.exists(), theirs.exists(), elsewhere.exists()) == (True, False, True)


def test_an_adopted_object_counts_from_when_it_was_written(spool, ledger) -> None:
    path = orphan(spool, "1.2.4")
    written = datetime(2026, 2, 1, tzinfo=UTC)
    os.utime(spool.path(path), (written.timestamp(), written.timestamp()))
    check(spool, ledger)
    assert ledger.records.find("1.2.4")[0].instance.received_at == written
