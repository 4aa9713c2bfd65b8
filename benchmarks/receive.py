"""How many images a second the node takes from stock senders, next to DCMTK's storescp and Orthanc.

    python -m benchmarks.receive --sizes 40k 400k 10M --senders 1 4 --rounds 5

All three run at once and idle while another one is measured; the rounds are interleaved, with a different one first
each time, so that a busy moment of the machine does not fall on one of them alone. They do not promise the same: the
node answers after fsync of the file and commit of its ledger (synchronous FULL), Orthanc after fsync of the file, and
storescp leaves the writing to the system. The clock stops with the last answer. The node's verdicts come meanwhile and
after; the last column has their rate, from the first byte sent to the last verdict.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from benchmarks.conditions import conditions
from benchmarks.objects import write_objects
from benchmarks.senders import Route, send
from tests.servers.dcmtk import StoreScpProcess
from tests.servers.node import NodeProcess
from tests.servers.orthanc import OrthancProcess

UNITS = {"k": 1_000, "M": 1_000_000}
# About the same amount of work per size: many small images, few large ones.
COUNTS = ((100_000, 200), (1_000_000, 100), (1 << 62, 24))


@dataclass(frozen=True, kw_only=True)
class Target:
    """A receiver. `settle` returns once nothing is left to do for what it took; None for one that does all at once."""

    name: str
    route: Route
    settle: Callable[[], None] | None = None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One round: `received` images a second until the last answer, `settled` until the last verdict."""

    size: int
    senders: int
    target: str
    received: float
    settled: float | None


def main() -> None:
    """Start the receivers, measure, print the table."""
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.folder) as name, ExitStack() as stack:
        folder = Path(name)
        targets = list(_targets(stack, folder, options))
        measurements = list(_rounds(targets, folder, options))
    print(conditions())
    print(_table(measurements, [target.name for target in targets]))
    if options.json:
        options.json.write_text(json.dumps([asdict(m) for m in measurements], indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=_size, default=[40_000, 400_000, 10_000_000], metavar="SIZE")
    parser.add_argument("--senders", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, help="images per round (default: 200, 100 or 24, by size)")
    parser.add_argument("--nodelay", action="store_true", help="senders with TCP_NODELAY, as few have it")
    parser.add_argument("--only", nargs="+", default=["node", "storescp", "orthanc"], help="leave receivers out")
    parser.add_argument("--node-config", type=Path, help="TOML beside ports and folder, e.g. a model or a destination")
    parser.add_argument("--folder", type=Path, help="on which disk to receive (default: the system's temporary folder)")
    parser.add_argument("--json", type=Path, help="write every single measurement there")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _size(text: str) -> int:
    return round(float(text.rstrip("kM")) * UNITS.get(text[-1], 1))


def _targets(stack: ExitStack, folder: Path, options: argparse.Namespace) -> Iterator[Target]:
    starters = {"node": _node, "storescp": _storescp, "orthanc": _orthanc}
    for name in options.only:
        try:
            yield starters[name](stack, folder, options)
        except pytest.skip.Exception as missing:
            print(f"{name} is left out: {missing}")


def _node(stack: ExitStack, folder: Path, options: argparse.Namespace) -> Target:
    extra = options.node_config.read_text() if options.node_config else ""
    node = stack.enter_context(NodeProcess(folder / "node", extra))
    route = Route(port=node.port, called="REGION", nodelay=options.nodelay)
    return Target(name="node", route=route, settle=lambda: _settled(node))


def _settled(node: NodeProcess) -> None:
    status = node.idle(seconds=600)
    if status["classified"] != status["received"]:
        raise RuntimeError(f"the node says it is idle, but not everything has a verdict: {status}")


def _storescp(stack: ExitStack, folder: Path, options: argparse.Namespace) -> Target:
    scp = stack.enter_context(StoreScpProcess(folder / "storescp"))
    return Target(name="storescp", route=Route(port=scp.port, called=scp.aet, nodelay=options.nodelay))


def _orthanc(stack: ExitStack, folder: Path, options: argparse.Namespace) -> Target:
    pacs = stack.enter_context(OrthancProcess(folder))
    return Target(name="orthanc", route=Route(port=pacs.dicom_port, called=pacs.aet, nodelay=options.nodelay))


def _rounds(targets: Sequence[Target], folder: Path, options: argparse.Namespace) -> Iterator[Measurement]:
    rng = np.random.default_rng(options.seed)
    for size in options.sizes:
        count = options.count or next(count for limit, count in COUNTS if size <= limit)
        for number in range(options.rounds):
            for senders in options.senders:
                turn = number % len(targets)
                with _objects(folder / "objects", count, size, rng) as files:
                    for target in [*targets[turn:], *targets[:turn]]:
                        yield _measure(target, files, size=size, senders=senders)


@contextmanager
def _objects(folder: Path, count: int, size: int, rng: np.random.Generator) -> Iterator[list[Path]]:
    """New objects for each round: an image that a receiver has already is no work for it."""
    files = write_objects(folder, count=count, size=size, rng=rng, now=datetime.now(UTC))
    yield files
    for file in files:
        file.unlink()


def _measure(target: Target, files: Sequence[Path], *, size: int, senders: int) -> Measurement:
    start = time.perf_counter()
    seconds = send(files, target.route, senders=senders)
    settled = None
    if target.settle is not None:
        target.settle()
        settled = len(files) / (time.perf_counter() - start)
    return Measurement(size=size, senders=senders, target=target.name, received=len(files) / seconds, settled=settled)


def _table(measurements: Sequence[Measurement], names: Sequence[str]) -> str:
    others = [name for name in names if name != "node"]
    head = f"{'size':>8} {'senders':>7} {'receiver':>9} {'images/s':>9} {'min..max':>15} {'MB/s':>7} {'n':>3}"
    lines = [head + "".join(f" {'/ ' + name:>10}" for name in others) + f" {'verdicts/s':>11}"]
    for size, senders in dict.fromkeys((m.size, m.senders) for m in measurements):
        rows = [m for m in measurements if (m.size, m.senders) == (size, senders)]
        lines += [_line(name, rows, others) for name in names]
    return "\n".join(lines)


def _line(name: str, rows: Sequence[Measurement], others: Sequence[str]) -> str:
    mine = [m for m in rows if m.target == name]
    rates = [m.received for m in mine]
    size, median = mine[0].size, statistics.median(rates)
    spread = f"{min(rates):.1f}..{max(rates):.1f}"
    line = f"{size / 1000:>5.0f} kB {mine[0].senders:>7} {name:>9} {median:>9.1f} {spread:>15}"
    line += f" {median * size / 1e6:>7.1f} {len(rates):>3}"
    line += "".join(f" {_ratio(rates, [m.received for m in rows if m.target == other]):>9.2f}x" for other in others)
    settled = [m.settled for m in mine if m.settled is not None]
    return line + (f" {statistics.median(settled):>11.1f}" if settled else "")


def _ratio(mine: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(mine, theirs, strict=True))


if __name__ == "__main__":
    main()
