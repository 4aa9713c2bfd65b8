"""What /metrics says: the queues' ages, and that the runbook knows every figure."""

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from dicom_node.errors import LedgerError
from dicom_node.instance import PlannedDelivery
from dicom_node.record import JobRun
from dicom_node.testing import MemoryLedger
from dicom_node.testing.records import MemoryRecords
from dicom_node.testing.shelf import Shelf
from dicom_node.web.metrics import Metrics
from tests.contract.ledger.racing import verdict
from tests.stories import NOON, arrival, received


def figures(metrics: Metrics) -> dict[tuple[str, str], float]:
    """Every sample: its name and the value of its last label -> its value."""
    samples = [one for family in text_string_to_metric_families(told(metrics)) for one in family.samples]
    return {(one.name, next(reversed(one.labels.values()), "")): one.value for one in samples}


def told(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def settled(ledger: MemoryLedger, *deliveries: PlannedDelivery) -> None:
    ledger.work.settle(received(ledger).id, verdict(), recognition=None, deliveries=deliveries)


def ages(ledger: MemoryLedger, later: timedelta) -> dict[tuple[str, str], float]:
    shown = figures(Metrics(ledger.records, now=lambda: NOON + later))
    return {key: value for key, value in shown.items() if key[0].startswith("region_node_oldest")}


def test_an_image_without_a_verdict_ages_until_it_has_one() -> None:
    ledger = MemoryLedger()
    assert ages(ledger, timedelta(minutes=5)) == {("region_node_oldest_received_seconds", ""): 0.0}
    ledger.intake.add(arrival(1))
    ledger.intake.add(arrival(2, received_at=NOON + timedelta(minutes=1)))
    assert ages(ledger, timedelta(minutes=5)) == {("region_node_oldest_received_seconds", ""): 300.0}


def test_a_delivery_ages_from_the_time_at_which_it_was_due_for_each_destination() -> None:
    ledger = MemoryLedger()
    plans = {"pacs": NOON, "held": NOON + timedelta(hours=1), "study": None}
    settled(ledger, *(PlannedDelivery(destination=name, due_at=due_at) for name, due_at in plans.items()))
    shown = ages(ledger, timedelta(minutes=5))
    assert {name: shown["region_node_oldest_due_seconds", name] for name in plans} == {
        "pacs": 300.0,
        "held": 0.0,
        "study": 0.0,
    }


def test_a_job_shows_when_it_last_ran_once_it_has() -> None:
    ledger = MemoryLedger()
    ledger.records.job_ran(JobRun(name="retention", last_run=NOON, next_run=NOON))
    ledger.records.job_ran(JobRun(name="studies", last_run=None, next_run=NOON))
    shown = figures(Metrics(ledger.records))
    runs = {job: value for (name, job), value in shown.items() if name == "region_node_job_last_run_timestamp_seconds"}
    assert runs == {"retention": NOON.timestamp()}


def test_without_its_ledger_a_scrape_still_answers_and_leaves_these_figures_out() -> None:
    class Away(MemoryRecords):
        def jobs(self) -> Sequence[JobRun]:
            raise LedgerError("away")

    shown = told(Metrics(Away(Shelf())))
    assert "region_node_stored_total" in shown
    assert "region_node_ledger" not in shown


def test_unforeseen_refusals_are_there_before_the_first_one_so_that_a_first_one_is_an_increase() -> None:
    refusals = {error: value for (name, error), value in shown().items() if name == "region_node_refused_total"}
    assert refusals == {"unforeseen": 0.0}
    one = shown(counted=lambda: {"refused unforeseen": 1, "refused MismatchError": 2})
    assert one["region_node_refused_total", "unforeseen"] == 1.0
    assert one["region_node_refused_total", "MismatchError"] == 2.0


def shown(**over) -> dict[tuple[str, str], float]:
    return figures(Metrics(MemoryLedger().records, **over))


def alerts(root: Path) -> dict[str, str]:
    """What each alert of the rules for Prometheus asks."""
    (group,) = yaml.safe_load((root / "deploy" / "prometheus-rules.yml").read_text())["groups"]
    assert all(set(rule) <= {"alert", "expr", "for", "annotations"} for rule in group["rules"])
    return {rule["alert"]: rule["expr"] for rule in group["rules"]}


def test_the_runbook_has_every_metric_and_the_alerts_ask_for_no_other(root) -> None:
    ledger = MemoryLedger()
    settled(ledger, PlannedDelivery(destination="pacs", due_at=NOON))
    kinds = re.findall(r"^# TYPE (\w+) \w+$", told(Metrics(ledger.records)), re.MULTILINE)
    real = {name for name in kinds if not name.endswith("_created")}
    runbook = (root / "deploy" / "README.md").read_text()
    table = set(re.findall(r"^\| `(region_node_\w+)", runbook, re.MULTILINE))
    assert table == real
    for asked in alerts(root).values():
        assert set(re.findall(r"region_node_\w+", asked)) & real
        assert set(re.findall(r"region_node_\w+", asked)) <= real


def test_there_are_alerts_for_images_that_nobody_would_miss_before_they_are_needed(root) -> None:
    """Given up by their modality, gone from the disk, or wanted by no destination."""
    asked = alerts(root)
    assert 'region_node_refused_total{error="unforeseen"}' in asked["ImagesAreRefusedUnforeseen"]
    assert asked["ImagesAreLost"] == 'region_node_ledger{count="lost"} > 0'
    assert asked["ImagesGoNowhere"] == 'delta(region_node_ledger{count="unrouted"}[1h]) > 0'
    assert {"lost", "unrouted"} <= {count for name, count in shown() if name == "region_node_ledger"}


def test_the_alert_for_jobs_that_stand_still_is_raised_for_a_last_run_that_lies_ahead_as_well(root) -> None:
    """The clock was ahead when they ran last."""
    asked = re.sub(r"region_node_\w+\{[^}]*\}", "last_run", alerts(root)["JobsStandStill"])
    raised = {ago: eval(asked, {"time": lambda: 1e9, "last_run": 1e9 - ago}) for ago in (-3600, -5, 5, 3600)}
    assert raised == {-3600: True, -5: False, 5: False, 3600: True}
