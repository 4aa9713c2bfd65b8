"""Which files may go: those that every destination has, once the hospital's time for keeping them is over."""

from datetime import datetime, timedelta

import structlog

from dicom_node.instance import Instance
from dicom_node.ports import Records
from dicom_node.spool import Spool

log = structlog.get_logger(__name__)

PAGE = 500


def retire_files(*, records: Records, spool: Spool, keep: timedelta, now: datetime) -> int:
    """Remove the files of instances that were last received before now - keep and that every destination has.

    The ledger row stays, and is held while the file goes: one that was sent again or is to be sent again since it was
    found is left alone. The file goes before the note in the ledger: after a crash in between, the next run, or the
    check at the next start, only writes the note. A file that cannot be removed is told, tried again by the next run,
    and no other one's trouble. Returns how many files went. Raises OutOfResourcesError while the spool is away, and
    LedgerError.
    """
    spool.check_here()
    removed, last = 0, None
    while page := records.retired(before=now - keep, limit=PAGE, after=last):
        removed += sum(_retire(instance, records, spool, now) for instance in page)
        last = page[-1]
    if removed:
        log.info("files_retired", count=removed)
    return removed


def was_retired(instance: Instance, *, records: Records, keep: timedelta | None, now: datetime) -> bool:
    """Whether a file that is gone is one that `retire_files` has removed or would have, which is noted then."""
    if keep is None or instance.kept_since >= now - keep:
        return False
    return records.retire(instance.id, remove=lambda _path: None, now=now)


def _retire(instance: Instance, records: Records, spool: Spool, now: datetime) -> bool:
    try:
        return records.retire(instance.id, remove=spool.remove, now=now)
    except OSError as error:
        log.error("file_not_removed", path=instance.path, error=error.strerror or type(error).__name__)
        return False
