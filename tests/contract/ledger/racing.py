"""Threads that start at the same moment, and values that these tests need and no other."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TypeVar

from dicom_node.instance import Delivery, Instance, PlannedDelivery
from dicom_node.ports import Ledger
from dicom_node.regions import Region
from dicom_node.verdict import Agreement, Decision, Outcome, Verdict
from tests.stories import LEASE, NOON, arrival

T = TypeVar("T")
SECOND = timedelta(seconds=1)


def race(*runners: Callable[[], T]) -> list[T]:
    """What each of them returns, when all begin at once in threads of their own."""
    gate = threading.Barrier(len(runners))

    def run(runner: Callable[[], T]) -> T:
        gate.wait(30)
        return runner()

    with ThreadPoolExecutor(len(runners)) as pool:
        return list(pool.map(run, runners))


def verdict(*, at: datetime = NOON, **over) -> Verdict:
    """A verdict that fills an empty header with HAND."""
    values = {
        "outcome": Outcome.TAGGED,
        "decision": Decision.FILLS,
        "reason": "The header is empty.",
        "decided_at": at,
        "region": Region.HAND,
        "confidence": 0.97,
        "header_region": None,
        "agreement": Agreement.HEADER_EMPTY,
        "body_part": "HAND",
    }
    return Verdict(**(values | over))


def to(*names: str, due: datetime | None = NOON) -> list[PlannedDelivery]:
    """Deliveries to these destinations."""
    return [PlannedDelivery(destination=name, due_at=due) for name in names]


def settled(ledger: Ledger, number: int = 1, *, deliveries: Sequence[PlannedDelivery] = (), **over) -> Instance:
    """An instance that has a verdict and these deliveries."""
    instance = ledger.intake.add(arrival(number, **over)).instance
    assert ledger.work.settle(instance.id, verdict(), recognition=None, deliveries=deliveries)
    return instance


def due(ledger: Ledger, destination: str = "PACS", *, now: datetime = NOON, limit: int = 100) -> list[Delivery]:
    """Deliveries that a worker claims."""
    return list(ledger.outbox.claim(destination=destination, worker="w", limit=limit, now=now, lease=LEASE))


def delivery_of(ledger: Ledger, number: int = 1, destination: str = "PACS") -> Delivery:
    """The delivery of instance `number` to a destination."""
    (record,) = ledger.records.find(f"1.2.3.{number}")
    return next(way for way in record.deliveries if way.destination == destination)
