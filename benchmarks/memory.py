"""How much memory a node takes in all its processes while many senders bring large objects at once.

    python -m benchmarks.memory --senders 16 --size 100M

Sampled every 50 ms until every object has its verdict: the sum over the node's processes of their resident memory, and
of their proportional share (pages that several have in common count once), both from /proc.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import numpy as np

from benchmarks.conditions import conditions
from benchmarks.objects import write_objects
from benchmarks.receive import _size
from benchmarks.senders import Route, send
from tests.servers.node import NodeProcess

MIB = 1 << 20


def main() -> None:
    """Send all objects at once, one association each, and print the peaks."""
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        files = write_objects(
            folder / "objects",
            count=options.senders,
            size=options.size,
            rng=np.random.default_rng(0),
            now=datetime.now(UTC),
        )
        extra = options.node_config.read_text() if options.node_config else ""
        with NodeProcess(folder / "node", extra) as node:
            before = _memory(node.pid)
            with _Peak(node.pid) as peak:
                send(files, Route(port=node.port, called="REGION"), senders=options.senders)
                node.settled(len(files), seconds=600)
    print(conditions())
    print(
        f"{options.senders} senders of {options.size / 1e6:g} MB: resident {peak.resident / MIB:.0f} MiB at most "
        f"({before[0] / MIB:.0f} before), proportional {peak.proportional / MIB:.0f} ({before[1] / MIB:.0f} before)"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--senders", type=int, default=16)
    parser.add_argument("--size", type=_size, default=100_000_000)
    parser.add_argument("--node-config", type=Path, help="TOML beside ports and folder")
    parser.add_argument("--folder", type=Path, help="on which disk (default: the system's temporary folder)")
    return parser.parse_args()


class _Peak:
    """The largest sums while its context is open, in bytes."""

    def __init__(self, pid: int) -> None:
        self.resident = self.proportional = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            resident, proportional = _memory(self._pid)
            self.resident, self.proportional = max(self.resident, resident), max(self.proportional, proportional)
            time.sleep(0.05)


def _memory(pid: int) -> tuple[int, int]:
    """Resident and proportional bytes of a process and all that it started."""
    sums = {"Rss:": 0, "Pss:": 0}
    for one in _family(pid):
        with suppress(OSError):  # it has just ended
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                name, *values = line.split()
                if name in sums:
                    sums[name] += int(values[0]) << 10
    return sums["Rss:"], sums["Pss:"]


def _family(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from _family(int(child))


if __name__ == "__main__":
    main()
