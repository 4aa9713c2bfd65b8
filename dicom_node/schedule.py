"""What is periodic, on APScheduler: each job runs by itself, never twice at once, and its trouble stays its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from dicom_node.errors import reason
from dicom_node.ports import Records
from dicom_node.record import JobRun

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Job:
    """Something to do every so often."""

    name: str
    every: timedelta
    run: Callable[[], None]


class Schedule:
    """Runs jobs until it is stopped, and keeps their last and next times in the ledger, where `status` reads them."""

    def __init__(self, *, jobs: Sequence[Job], records: Records, now: Callable[[], datetime]) -> None:
        self._records = records
        self._now = now
        self._jobs = tuple(jobs)
        self._scheduler = BackgroundScheduler(timezone="UTC")
        for job in jobs:
            self._scheduler.add_job(
                self._run,
                "interval",
                args=[job],
                id=job.name,
                seconds=job.every.total_seconds(),
                # A machine that slept does a job once, not once for each time it missed.
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
            )

    def start(self) -> None:
        """Start every job's clock; `status` knows the first runs from now on. Raises LedgerError."""
        now = self._now()
        for job in self._jobs:
            self._records.job_ran(JobRun(name=job.name, last_run=None, next_run=now + job.every))
        self._scheduler.start()

    def stop(self) -> None:
        """Returns when no job runs any more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def _run(self, job: Job) -> None:
        try:
            job.run()
            now = self._now()
            self._records.job_ran(JobRun(name=job.name, last_run=now, next_run=now + job.every))
        except Exception as error:  # noqa: BLE001 - the next run may fare better, and the other jobs must go on
            log.error("job_failed", job=job.name, error=reason(error))
