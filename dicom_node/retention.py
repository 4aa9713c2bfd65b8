"""Which files may go: those that every destination has, once the hospital's time for keeping them is over."""

from datetime import datetime, timedelta

import structlog

from dicom_node.instance import Event
from dicom_node.ports import Records
from dicom_node.spool import Spool

log = structlog.get_logger(__name__)

PAGE = 500


def retire_files(*, records: Records, spool: Spool, keep: timedelta, now: datetime) -> int:
    """Remove the files of instances that were received before now - keep and that every destination has.

    The ledger row stays. The file goes before the note in the ledger: after a crash in between, the next run finds the
    file gone and only writes the note. Returns how many files went.
    """
    removed = 0
    while page := records.retired(before=now - keep, limit=PAGE):
        for instance in page:
            spool.remove(instance.path)
            records.forget_file(instance.id)
            records.note(Event(kind="retired", at=now, instance_id=instance.id))
            removed += 1
    if removed:
        log.info("files_retired", count=removed)
    return removed
