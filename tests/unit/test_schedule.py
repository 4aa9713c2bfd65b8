"""Periodic jobs on a machine whose clock is put right while they run."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.schedulers import base

from dicom_node import workers
from dicom_node.schedule import Job, Schedule
from dicom_node.testing import MemoryLedger

HOUR = timedelta(hours=1)


class Clock(datetime):
    """The machine's clock, which somebody may set; APScheduler knows no other way to get the time."""

    off = timedelta(0)

    @classmethod
    def now(cls, tz=None) -> datetime:
        return datetime.now(tz) + cls.off


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch) -> None:
    monkeypatch.setattr(workers, "PAUSE", timedelta(milliseconds=20))
    monkeypatch.setattr(base, "datetime", Clock)
    monkeypatch.setattr(Clock, "off", timedelta(0))


class Counted:
    """A job that runs five times a second, in a schedule that goes by the clock above."""

    def __init__(self) -> None:
        self.runs = 0
        self._ran = threading.Condition()
        self.ledger = MemoryLedger()
        job = Job(name="studies", every=timedelta(milliseconds=200), run=self._run)
        self.schedule = Schedule(
            jobs=[job], records=self.ledger.records, now=lambda: Clock.now(UTC), clock=lambda: Clock.now(UTC)
        )

    def _run(self) -> None:
        with self._ran:
            self.runs += 1
            self._ran.notify_all()

    def runs_again(self, times: int = 2) -> bool:
        """Within seconds."""
        with self._ran:
            wanted = self.runs + times
            return self._ran.wait_for(lambda: self.runs >= wanted, timeout=20)


@pytest.fixture
def counted() -> Iterator[Counted]:
    made = Counted()
    made.schedule.start()
    yield made
    made.schedule.stop()


def test_a_job_runs_again_and_again_and_the_ledger_knows_when(counted: Counted) -> None:
    assert counted.runs_again()
    (shown,) = counted.ledger.records.jobs()
    assert shown.last_run is not None
    assert shown.next_run == shown.last_run + timedelta(milliseconds=200)


@pytest.mark.parametrize("hours", [-9, 9])
def test_jobs_go_on_when_the_clock_is_put_right(counted: Counted, hours: int) -> None:
    """Nine hours back or ahead; they stood still for nine hours when it went back."""
    assert counted.runs_again()
    Clock.off = hours * HOUR
    assert counted.runs_again()


def test_a_clock_that_jumps_over_years_makes_a_job_run_once_and_not_for_each_time_that_it_missed(counted) -> None:
    """Listing some two thousand million runs would take the memory and hours."""
    assert counted.runs_again()
    Clock.off = timedelta(days=365) * 20
    assert counted.runs_again()


def test_a_job_that_fails_runs_again() -> None:
    class Failing(Counted):
        def _run(self) -> None:
            super()._run()
            raise OSError

    failing = Failing()
    failing.schedule.start()
    assert failing.runs_again()
    failing.schedule.stop()
