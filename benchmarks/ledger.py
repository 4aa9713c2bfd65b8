"""How much slower a node receives when its ledger has a million rows.

    python -m benchmarks.ledger --rows 1000000 --count 200 --rounds 3
    python -m benchmarks.ledger --rows 1000000 --postgres

Two nodes run at once, one on an empty ledger and one on a full one, and receive images in turn. The rows of the full
one are instances in studies of four, each with its event, a verdict and a delivery that is done, and their files
removed by retention; without predictions, whose embeddings are large and which receiving does not touch.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Table, create_engine, func, insert, select

from benchmarks.conditions import conditions
from benchmarks.objects import write_objects
from benchmarks.senders import Route, send
from dicom_node.instance import DeliveryState, InstanceState
from dicom_node.ledger import open_ledger
from dicom_node.ledger.engine import read_url
from dicom_node.ledger.schema import deliveries, destinations, events, instances, studies, verdicts
from dicom_node.regions import Region
from dicom_node.verdict import Agreement, Decision, Outcome
from tests.servers.node import NodeProcess
from tests.servers.postgres import PostgresProcess

AT_ONCE = 20_000
PER_STUDY = 4
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    """Fill one ledger, measure both in turn, print one line."""
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.folder) as name, ExitStack() as stack:
        folder = Path(name)
        urls = _ledgers(stack, folder, options)
        fill(urls[1], options.rows)
        nodes = [
            stack.enter_context(NodeProcess(folder / f"node{index}", f'[ledger]\nurl = "{url}"\n'))
            for index, url in enumerate(urls)
        ]
        rates = list(_rounds(nodes, folder, options))
    print(conditions())
    print(_line(rates, options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--count", type=int, default=200, help="images per round and node")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL with fsync instead of SQLite")
    parser.add_argument("--folder", type=Path, help="on which disk (default: the system's temporary folder)")
    return parser.parse_args()


def _ledgers(stack: ExitStack, folder: Path, options: argparse.Namespace) -> list[str]:
    """URLs of two ledgers."""
    if not options.postgres:
        return [f"sqlite:///{folder / name}.sqlite" for name in ("empty", "full")]
    server = stack.enter_context(PostgresProcess(fsync=True))
    return [server.new_database() for _ in range(2)]


def fill(url: str, rows: int) -> None:
    """Write so many instances with all that belongs to them into an empty ledger."""
    open_ledger(url).close()  # makes the tables
    engine = create_engine(read_url(url))
    with engine.begin() as connection:
        connection.execute(insert(destinations), [{"name": "pacs"}])
        for start in range(0, rows, AT_ONCE):
            numbers = range(start + 1, min(start + AT_ONCE, rows) + 1)
            for table, make in _MAKERS.items():
                connection.execute(insert(table), [row for number in numbers if (row := make(number)) is not None])
        if connection.dialect.name == "postgresql":
            # What was written with numbers of ours must not be given out again; and as autovacuum would, in time.
            for table in (instances, deliveries, events):
                sequence = func.pg_get_serial_sequence(table.name, "id")
                connection.execute(select(func.setval(sequence, rows)))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    engine.dispose()


def _instance(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "sop_instance_uid": f"2.25.1.{number}",
        "digest": f"{number:064x}",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.1",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "study_uid": f"2.25.2.{number // PER_STUDY}",
        "series_uid": f"2.25.3.{number // PER_STUDY}",
        "modality": "CR",
        "body_part": "HAND",
        "anatomic_region_code": "",
        "path": f"{number % 256:02x}/{number:064x}.dcm",
        "size": 40_000,
        "calling_ae": "MODALITY",
        "called_ae": "REGION",
        "peer": "192.0.2.1",
        "received_at": BEGAN + timedelta(seconds=number),
        "state": InstanceState.SETTLED,
        "attempts": 1,
        "conflict": False,
        "spooled": False,
        "routed": True,
        "lost": False,
    }


def _study(number: int) -> dict[str, Any] | None:
    at = BEGAN + timedelta(seconds=number)
    if number % PER_STUDY and number > 1:
        return None
    return {"study_uid": f"2.25.2.{number // PER_STUDY}", "newest_at": at, "closed_at": at}


def _verdict(number: int) -> dict[str, Any]:
    return {
        "instance_id": number,
        "outcome": Outcome.TAGGED,
        "decision": Decision.AGREES,
        "reason": "",
        "decided_at": BEGAN + timedelta(seconds=number),
        "region": Region.HAND,
        "confidence": 0.99,
        "header_region": Region.HAND,
        "agreement": Agreement.AGREES,
        "body_part": None,
    }


def _delivery(number: int) -> dict[str, Any]:
    at = BEGAN + timedelta(seconds=number)
    return {
        "id": number,
        "instance_id": number,
        "destination": "pacs",
        "state": DeliveryState.DELIVERED,
        "planned_at": at,
        "due_at": None,
        "attempts": 1,
        "delivered_at": at,
        "sent_uid": f"2.25.1.{number}",
        "refusals": 0,
    }


def _event(number: int) -> dict[str, Any]:
    at = BEGAN + timedelta(seconds=number)
    return {"id": number, "kind": "received", "at": at, "instance_id": number, "detail": ""}


# Parents before children.
_MAKERS: dict[Table, Callable[[int], dict[str, Any] | None]] = {
    instances: _instance,
    studies: _study,
    verdicts: _verdict,
    deliveries: _delivery,
    events: _event,
}


def _rounds(nodes: Sequence[NodeProcess], folder: Path, options: argparse.Namespace) -> Iterator[tuple[float, float]]:
    rng = np.random.default_rng(0)
    for number in range(options.rounds):
        rates = {}
        order = [0, 1] if number % 2 == 0 else [1, 0]
        for index in order:
            target = folder / f"objects{number}-{index}"
            files = write_objects(target, count=options.count, size=40_000, rng=rng, now=datetime.now(UTC))
            seconds = send(files, Route(port=nodes[index].port, called="REGION"), senders=options.senders)
            nodes[index].idle(seconds=600)
            rates[index] = len(files) / seconds
        yield rates[0], rates[1]


def _line(rates: Sequence[tuple[float, float]], options: argparse.Namespace) -> str:
    empty, full = (sorted(each) for each in zip(*rates, strict=True))
    ratios = sorted(b / a for a, b in rates)
    return (
        f"{'PostgreSQL' if options.postgres else 'SQLite'}, {options.rows} rows, n = {options.count}, "
        f"{len(rates)} rounds, {options.senders} senders of 40 kB: empty {statistics.median(empty):.1f} images/s "
        f"({empty[0]:.1f}..{empty[-1]:.1f}), full {statistics.median(full):.1f} ({full[0]:.1f}..{full[-1]:.1f}), "
        f"full / empty {statistics.median(ratios):.2f} ({ratios[0]:.2f}..{ratios[-1]:.2f})"
    )


if __name__ == "__main__":
    main()
