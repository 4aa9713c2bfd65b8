"""Figures for Prometheus. Labels are destinations, outcomes and reasons, never anything of a patient."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dicom_node.clock import utc_now
from dicom_node.errors import LedgerError
from dicom_node.instance import DeliveryState
from dicom_node.logs import Lines
from dicom_node.ports import Records
from dicom_node.receiver_process import DUPLICATE, REFUSED, STORED, UNAUDITED, UNFORESEEN
from dicom_node.record import DestinationCounts, JobRun

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)


class Metrics:
    """The node's counters and timings since its start, and the ledger's counts as they are when somebody looks.

    `counted`: what its receivers have counted, by the names in `dicom_node.receiver_process`.
    """

    def __init__(
        self,
        records: Records,
        counted: Callable[[], Mapping[str, int]] = dict,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.registry = CollectorRegistry()
        self.verdicts = Counter(
            "region_node_verdicts_total",
            "Verdicts, by outcome and decision",
            ["outcome", "decision"],
            registry=self.registry,
        )
        self.arrival_to_verdict = Histogram(
            "region_node_arrival_to_verdict_seconds", "From arrival to verdict", buckets=SECONDS, registry=self.registry
        )
        self.deliveries = Counter(
            "region_node_delivery_attempts_total",
            "Attempts to deliver, by destination and resulting state",
            ["destination", "state"],
            registry=self.registry,
        )
        self.disk_room = Gauge("region_node_spool_free_bytes", "Free bytes on the spool's disk", registry=self.registry)
        self.certificate_seconds = Gauge(
            "region_node_certificate_valid_seconds",
            "How long a certificate of ours is still valid, by the section that names it; 0 when it cannot be used",
            ["section"],
            registry=self.registry,
        )
        Gauge(
            "region_node_log_lines_lost", "Lines that this process could not write to its log", registry=self.registry
        ).set_function(lambda: Lines.lost)
        self.registry.register(_Received(counted))
        self.registry.register(_LedgerCounts(records, now))

    def delivery(self, destination: str, state: DeliveryState) -> None:
        self.deliveries.labels(destination=destination, state=state).inc()


class _Received(Collector):
    """What the receiver processes have counted; one that has died included."""

    def __init__(self, counted: Callable[[], Mapping[str, int]]) -> None:
        self._counted = counted

    def collect(self) -> Iterator[Metric]:
        counted = self._counted()
        stored = CounterMetricFamily("region_node_stored", "Objects that were acknowledged", labels=["duplicate"])
        stored.add_metric(["false"], counted.get(STORED, 0))
        stored.add_metric(["true"], counted.get(DUPLICATE, 0))
        yield stored
        refused = CounterMetricFamily("region_node_refused", "Objects that were refused, by error", labels=["error"])
        # There before the first one: of a series that begins with 1, Prometheus sees no increase.
        for what, number in ({REFUSED + UNFORESEEN: 0} | dict(counted)).items():
            if what.startswith(REFUSED):
                refused.add_metric([what.removeprefix(REFUSED)], number)
        yield refused
        yield GaugeMetricFamily(
            "region_node_audit_dropped",
            "Audit messages that could not be written anywhere",
            value=counted.get(UNAUDITED, 0),
        )

    def describe(self) -> list[Metric]:
        return []


class _LedgerCounts(Collector):
    """The ledger's counts and ages, read at each scrape, so that every process and restart shows the same."""

    def __init__(self, records: Records, now: Callable[[], datetime]) -> None:
        self._records = records
        self._now = now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            counts = asdict(self._records.counts())
            oldest = self._records.oldest_received()
            destinations = self._records.destinations()
            jobs = self._records.jobs()
        except LedgerError:
            return  # /readyz says so; a scrape without these figures is an alert by itself
        instances = GaugeMetricFamily("region_node_ledger", "Counts of the ledger, as in `status`", labels=["count"])
        for name, value in counts.items():
            instances.add_metric([name], value)
        yield instances
        now = self._now()
        yield GaugeMetricFamily(
            "region_node_oldest_received_seconds",
            "How long the longest waiting image has been without a verdict; 0 when none waits",
            value=_age(oldest, now),
        )
        yield from _of_destinations(destinations, now)
        yield _of_jobs(jobs)

    def describe(self) -> list[GaugeMetricFamily]:
        return []


def _of_destinations(rows: Sequence[DestinationCounts], now: datetime) -> Iterator[GaugeMetricFamily]:
    waiting = GaugeMetricFamily(
        "region_node_deliveries", "Deliveries, by destination and state", labels=["destination", "state"]
    )
    overdue = GaugeMetricFamily(
        "region_node_oldest_due_seconds",
        "How long the delivery that was due first has been due; 0 when none is",
        labels=["destination"],
    )
    for row in rows:
        waiting.add_metric([row.destination, "pending"], row.pending)
        waiting.add_metric([row.destination, "uncommitted"], row.uncommitted)
        waiting.add_metric([row.destination, "failed"], row.failed)
        overdue.add_metric([row.destination], _age(row.oldest_due, now))
    yield waiting
    yield overdue


def _of_jobs(jobs: Sequence[JobRun]) -> GaugeMetricFamily:
    """Jobs that have never run to their end are left out."""
    family = GaugeMetricFamily(
        "region_node_job_last_run_timestamp_seconds", "When a periodic job last ran to its end", labels=["job"]
    )
    for job in jobs:
        if job.last_run is not None:
            family.add_metric([job.name], job.last_run.timestamp())
    return family


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
