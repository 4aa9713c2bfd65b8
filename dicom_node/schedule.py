"""What is periodic, on APScheduler: each job runs by itself, never twice at once, and its trouble stays its own.

APScheduler goes by the machine's clock, which may be put right while the node runs. Here a job's next time is always
one interval after the latest run at most, whatever the clock said then: jobs neither stand still for as long as a clock
was ahead, nor make up for each run that a clock has jumped over.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from dicom_node.clock import utc_now
from dicom_node.errors import reason
from dicom_node.ports import Records
from dicom_node.record import JobRun
from dicom_node.workers import Loop, Then

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Job:
    """Something to do every so often."""

    name: str
    every: timedelta
    run: Callable[[], None]


class Every(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """The next run is an interval after this one began. APScheduler's own trigger names every run since the previous
    one instead: after a clock that began in 1970, that is millions for each job.
    """

    def __init__(self, interval: timedelta) -> None:
        self._interval = interval

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        return now + self._interval


class Schedule:
    """Runs jobs until it is stopped, and keeps their last and next times in the ledger, where `status` reads them."""

    def __init__(
        self,
        *,
        jobs: Sequence[Job],
        records: Records,
        now: Callable[[], datetime],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`clock`: the one that APScheduler goes by; `now`: the one of what is kept."""
        self._records = records
        self._now = now
        self._clock = clock
        self._jobs = {job.name: job for job in jobs}
        self._scheduler = BackgroundScheduler(timezone="UTC")
        for job in jobs:
            self._scheduler.add_job(
                self._run,
                Every(job.every),
                args=[job],
                id=job.name,
                # A machine that slept does a job once, not once for each time it missed.
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
            )
        self._watcher = Loop("schedule", self._watch)

    def start(self) -> None:
        """Start every job's clock; `status` knows the first runs from now on. Raises LedgerError."""
        now = self._now()
        for job in self._jobs.values():
            self._records.job_ran(JobRun(name=job.name, last_run=None, next_run=now + job.every))
        self._scheduler.start()
        self._watcher.start()

    def stop(self) -> None:
        """Returns when no job runs any more."""
        self._watcher.stop()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def _watch(self) -> Then:
        """Bring forward what is planned for later than an interval from now: the clock was put back."""
        moved = []
        for planned in self._scheduler.get_jobs():
            latest = self._clock() + self._jobs[planned.id].every
            if planned.next_run_time > latest:
                planned.modify(next_run_time=latest)
                moved.append(planned.id)
        if moved:
            log.warning("clock_put_back", jobs=moved)
        return Then.PAUSE

    def _run(self, job: Job) -> None:
        try:
            job.run()
            now = self._now()
            self._records.job_ran(JobRun(name=job.name, last_run=now, next_run=now + job.every))
        except Exception as error:  # noqa: BLE001 - the next run may fare better, and the other jobs must go on
            log.error("job_failed", job=job.name, error=reason(error))
