"""How long from an image's arrival to its verdict: p50, p90, p99 and the worst, as the ledger's times have it.

    python -m benchmarks.latency --size 8M --count 100 --rate 2     # a busy hospital: two images a second
    python -m benchmarks.latency --size 8M --count 100 --senders 4  # an import: as fast as it goes

`received_at` is when the whole data set was here, `decided_at` when its verdict was made, both by the
node's own clock.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.conditions import conditions
from benchmarks.objects import write_objects
from benchmarks.receive import _size
from benchmarks.senders import Route, send
from dicom_node.config import load_config
from dicom_node.ledger import open_ledger
from tests.servers.node import NodeProcess

PAGE = 500


def main() -> None:
    """Send, wait for the verdicts, read the times from the ledger, print one line."""
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        rng = np.random.default_rng(options.seed)
        total = options.warm_up + options.count
        files = write_objects(folder / "objects", count=total, size=options.size, rng=rng, now=datetime.now(UTC))
        extra = options.node_config.read_text() if options.node_config else ""
        with NodeProcess(folder / "node", extra) as node:
            route = Route(port=node.port, called="REGION", nodelay=options.nodelay)
            send(files[: options.warm_up], route, senders=1)
            node.settled(options.warm_up)
            _send(files[options.warm_up :], route, options)
            node.settled(total, seconds=600)
        seconds = _seconds_to_verdict(node.file)[options.warm_up :]
    print(conditions())
    print(_line(seconds, options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=_size, default=8_000_000)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--warm-up", type=int, default=5, help="images before those that count")
    parser.add_argument("--rate", type=float, help="images a second, one association each; default: as fast as it goes")
    parser.add_argument("--senders", type=int, default=1)
    parser.add_argument("--nodelay", action="store_true", help="senders with TCP_NODELAY, as few have it")
    parser.add_argument("--node-config", type=Path, help="TOML beside ports and folder, e.g. a model or a destination")
    parser.add_argument("--folder", type=Path, help="on which disk to receive (default: the system's temporary folder)")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _send(files: Sequence[Path], route: Route, options: argparse.Namespace) -> None:
    if options.rate is None:
        send(files, route, senders=options.senders)
        return
    start = time.monotonic()
    for number, file in enumerate(files):
        time.sleep(max(0.0, start + number / options.rate - time.monotonic()))
        send([file], route, senders=1)


def _seconds_to_verdict(config_file: Path) -> list[float]:
    """Of every settled instance, in order of arrival."""
    ledger = open_ledger(load_config(config_file, {}).ledger_url)
    seconds: list[float] = []
    try:
        last = 0
        while page := ledger.records.settled(after_id=last, limit=PAGE):
            last = page[-1].instance.id
            seconds += [
                (record.verdict.decided_at - record.instance.received_at).total_seconds()
                for record in page
                if record.verdict is not None
            ]
    finally:
        ledger.close()
    return seconds


def _line(seconds: Sequence[float], options: argparse.Namespace) -> str:
    p50, p90, p99 = (1000 * value for value in np.percentile(seconds, [50, 90, 99]))
    pace = f"{options.rate:g} images/s" if options.rate else f"{options.senders} senders, as fast as it goes"
    return (
        f"arrival to verdict, {options.size / 1e6:g} MB, {pace}, n = {len(seconds)}: "
        f"p50 {p50:.0f} ms, p90 {p90:.0f} ms, p99 {p99:.0f} ms, worst {1000 * max(seconds):.0f} ms"
    )


if __name__ == "__main__":
    main()
