"""Which files may go: those that every destination has, once the hospital's time for keeping them is over."""

from datetime import datetime, timedelta

import structlog

from dicom_node.errors import OutOfResourcesError
from dicom_node.ports import Records
from dicom_node.spool import Spool

log = structlog.get_logger(__name__)

PAGE = 500


def retire_files(*, records: Records, spool: Spool, keep: timedelta, now: datetime) -> int:
    """Remove the files of instances that were received before now - keep and that every destination has.

    The ledger row stays, and is held while the file goes: one that was sent again or is to be sent again since it was
    found is left alone. The file goes before the note in the ledger: after a crash in between, the next run finds the
    file gone and only writes the note. Returns how many files went. Raises OutOfResourcesError, LedgerError.
    """

    def remove(path: str) -> None:
        try:
            spool.remove(path)
        except OSError as error:
            raise OutOfResourcesError(f"a file of the spool cannot be removed: {error.strerror}") from error

    removed = 0
    while page := records.retired(before=now - keep, limit=PAGE):
        gone = sum(records.retire(instance.id, remove=remove, now=now) for instance in page)
        removed += gone
        if gone < len(page):  # some are wanted again: the next run looks anew, instead of this one for ever
            break
    if removed:
        log.info("files_retired", count=removed)
    return removed
