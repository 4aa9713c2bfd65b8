"""The story of a start after a crash: what dead processes left behind, and ledger and spool that do not fit together.

Each kind of debris has one rule (docs/ARCHITECTURE.md has the table): leases and temporary files of processes that are
surely dead go at once; a file that no row knows is taken in as if it had just been received; a row whose file has gone
or is not as long as it was is marked as lost, loudly; a file that its row believes gone is restored, if it is sound,
and goes nowhere that has it, until somebody sends it again. A spool full of files beside an empty ledger is no debris,
but another ledger's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import structlog

from dicom_node.durable import sync_file, sync_folder
from dicom_node.element_text import text_of
from dicom_node.errors import NotUnderstoodError, WrongLedgerError, reason
from dicom_node.instance import Instance
from dicom_node.part10 import digest_of, incoming_from_file, meta_of, read_identity
from dicom_node.ports import Intake, Records
from dicom_node.receive import arrival_of
from dicom_node.repair import LongestWaits, Repairs
from dicom_node.soundness import is_as_long, is_sound
from dicom_node.spool import Spool

log = structlog.get_logger(__name__)

PAGE = 500
# A crash leaves one file without a row for each association that was between rename and commit, some milliseconds of an
# image's way; and it has to come before the very first row for the ledger to be empty. More of them were never a crash.
MOST_ORPHANS = 16
# A clock that shows less was reset, as by a power failure: this software was not made yet.
_SURELY_PAST = datetime(2026, 1, 1, tzinfo=UTC)
_SOP_INSTANCE_UID = 0x00020003
_SOURCE_AE = 0x00020016
_RECEIVING_AE = 0x00020018
_NOT_ITS_NAMES = "the file's content is not the one of its name"


@dataclass(kw_only=True)
class Findings:
    """What a check of all files came to."""

    adopted: int = 0
    restored: int = 0
    lost: int = 0
    damaged: int = 0


def check_ledger_is_theirs(*, spool: Spool, records: Records) -> None:
    """Raises WrongLedgerError where the files of the spool are surely those of another ledger than this one, which is
    empty: all that was ever received would be taken in as new, and sent to its destinations again.
    """
    files = sum(1 for _ in islice(spool.files(), MOST_ORPHANS + 1))
    if files > MOST_ORPHANS and records.is_empty():
        raise WrongLedgerError(
            f"the ledger is empty, and {spool.path('')} is full of another ledger's images: point [ledger] url back to "
            "that ledger, or restore it from its backup; if it is lost for good, `dicom-node serve --adopt` takes them "
            "all in as new, and sends them to their destinations again"
        )


def break_dead_leases(*, repairs: Repairs, is_dead: Callable[[str], bool]) -> int:
    """Free what workers that are surely dead had in hand; returns how many instances and deliveries that were.

    The attempt stays counted: it may have been the image that killed its worker.
    """
    freed = sum(repairs.break_leases(holder) for holder in repairs.lease_holders() if is_dead(holder))
    if freed:
        log.info("leases_of_the_dead_broken", count=freed)
    return freed


def put_times_right(*, repairs: Repairs, waits: LongestWaits, now: datetime) -> None:
    """What a clock that was ahead has put off further than anything is put off goes on now. Raises LedgerError.

    Nothing is changed by a clock that is surely behind; of another that is, nothing tells.
    """
    if now < _SURELY_PAST:
        return
    if count := repairs.put_right(now=now, waits=waits):
        log.warning("times_put_right", count=count)


def check_files(
    *,
    spool: Spool,
    intake: Intake,
    repairs: Repairs,
    now: Callable[[], datetime],
    go_on: Callable[[], bool] = lambda: True,
    is_retired: Callable[[Instance], bool] = lambda _instance: False,
) -> Findings:
    """Compare every file with the ledger, and every row of the ledger with the spool; act by the rules above.

    It may run while images are received: both sides are looked at again before anything is written, and taking
    the same file in twice comes to one row. `go_on` is asked after every few hundred; it may wait, and ends the check
    with False. `is_retired` notes that retention removed a file before a crash, if it did.
    """
    findings = Findings()
    if _check_rows(spool, intake, repairs, now, go_on, is_retired, findings):
        _check_spool(spool, intake, now, go_on, findings)
    if findings != Findings():
        log.warning("files_checked", **vars(findings))
    return findings


def _check_rows(
    spool: Spool,
    intake: Intake,
    repairs: Repairs,
    now: Callable[[], datetime],
    go_on: Callable[[], bool],
    is_retired: Callable[[Instance], bool],
    findings: Findings,
) -> bool:
    after = 0
    while page := repairs.kept(after_id=after, limit=PAGE):
        after = page[-1].id
        for instance in page:
            if _is_there(spool, instance):
                continue
            if not spool.is_here():
                log.error("spool_away", hint="nothing is marked as lost meanwhile; check that its disk is mounted")
                return False
            gone = not spool.path(instance.path).is_file()
            if (gone and is_retired(instance)) or not repairs.lose(instance.id, now=now()):
                continue
            if _is_there(spool, instance):  # its sender was quicker
                intake.restore(instance.id, path=instance.path, now=now(), resend=True)
                continue
            findings.lost += 1
            log.error("file_lost", sop_instance_uid=instance.sop_instance_uid, path=instance.path)
        if not go_on():
            return False
    return True


def _is_there(spool: Spool, instance: Instance) -> bool:
    """Whole, as far as its length tells: reading everything would take hours, and who sends or promises it does so."""
    try:
        return is_as_long(spool.path(instance.path), instance.size)
    except OSError:  # it may be readable again; until then the check of the spool tells of it
        return True


def _check_spool(
    spool: Spool, intake: Intake, now: Callable[[], datetime], go_on: Callable[[], bool], findings: Findings
) -> None:
    for count, relative in enumerate(spool.files(), start=1):
        _check_file(spool, relative, intake, now, findings)
        if count % PAGE == 0 and not go_on():
            return


def _check_file(spool: Spool, relative: str, intake: Intake, now: Callable[[], datetime], findings: Findings) -> None:
    path = spool.path(relative)
    try:
        here = intake.find(text_of(meta_of(path), _SOP_INSTANCE_UID), path.stem)
        if here is None:
            _adopt(spool, relative, intake)
            findings.adopted += 1
        elif not here.spooled and _is_whole(path):
            _make_durable(spool, path)
            intake.restore(here.id, path=relative, now=now(), resend=False)
            findings.restored += 1
            log.warning("file_restored", sop_instance_uid=here.sop_instance_uid, path=relative)
    except NotUnderstoodError as error:
        if path.is_file():
            findings.damaged += 1
            log.error("file_damaged", path=relative, error=reason(error))


def _is_whole(path: Path) -> bool:
    """False for one that retention removes at this moment. Raises NotUnderstoodError for one that is damaged."""
    try:
        if is_sound(path, path.stem):
            return True
    except OSError as error:
        raise NotUnderstoodError(f"the file cannot be read: {error.strerror}") from error
    if path.is_file():
        raise NotUnderstoodError(_NOT_ITS_NAMES)
    return False


def _make_durable(spool: Spool, path: Path) -> None:
    """Whoever put it there may have died before it was on the disk, and once the ledger knows it, its sender hears that
    it is kept. Raises NotUnderstoodError when it cannot be brought there.
    """
    root = spool.path("")
    try:
        sync_file(path)
        for folder in path.relative_to(root).parents:
            sync_folder(root / folder)
    except OSError as error:
        raise NotUnderstoodError(f"the file cannot be brought to the disk: {error.strerror}") from error


def _adopt(spool: Spool, relative: str, intake: Intake) -> None:
    """Take a file in as received when it was written. Raises NotUnderstoodError unless it is what its name says."""
    path = spool.path(relative)
    meta = meta_of(path)
    source, called = text_of(meta, _SOURCE_AE), text_of(meta, _RECEIVING_AE)
    incoming = incoming_from_file(path, calling_ae=source, called_ae=called, peer="")
    digest = digest_of(incoming)
    if digest != path.stem:
        raise NotUnderstoodError(_NOT_ITS_NAMES)
    _make_durable(spool, path)
    written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    intake.add(arrival_of(incoming, read_identity(incoming), digest=digest, path=relative, now=written_at))
    log.warning("file_adopted", sop_instance_uid=incoming.sop_instance_uid, path=relative)
