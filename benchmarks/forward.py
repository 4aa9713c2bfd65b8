"""How many images a second the node forwards, next to stock pynetdicom's SCU, to Orthanc and to DCMTK's storescp.

    python -m benchmarks.forward --size 40k --count 200 --rounds 3

The node takes all images while its destination is down, so that nothing else is left to do; then the destination
starts. The clock runs from the first image that is there to the last one. The SCU sends the same files over one
association to a fresh receiver of the same kind. The node records every delivery durably before it goes on; the SCU
records nothing.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pynetdicom import AE
from pynetdicom.sop_class import ComputedRadiographyImageStorage

from benchmarks.conditions import conditions
from benchmarks.objects import write_objects
from benchmarks.receive import _size
from benchmarks.senders import Route, send
from tests.configurations import destination
from tests.servers.dcmtk import StoreScpProcess
from tests.servers.node import NodeProcess
from tests.servers.orthanc import OrthancProcess

LONGEST_SECONDS = 300.0
QUICK = {"first": "200ms", "longest": "500ms"}


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """Where images go: `start` it, and ask how many it has."""

    name: str
    aet: str
    port: int
    start: Callable[[], None]
    stop: Callable[[], None]
    count: Callable[[], int]


def main() -> None:
    """Forward and send in turn, print a line for each kind of receiver."""
    options = _options()
    print(conditions())
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for kind in options.to:
            rounds = [
                (_forwarded(kind, Path(name) / f"{kind}{number}", options), _sent(kind, Path(name), number, options))
                for number in range(options.rounds)
            ]
            print(_line(kind, rounds, options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=_size, default=40_000)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--to", nargs="+", choices=["storescp", "orthanc"], default=["storescp", "orthanc"])
    parser.add_argument("--folder", type=Path, help="on which disk (default: the system's temporary folder)")
    return parser.parse_args()


def _forwarded(kind: str, folder: Path, options: argparse.Namespace) -> float:
    """Images a second from the node to a receiver."""
    files = _objects(folder, options)
    receiver = _receiver(kind, folder / "receiver")
    config = destination("pacs", receiver.port, ae_title=receiver.aet, retry=QUICK)
    with NodeProcess(folder / "node", config) as node:
        send(files, Route(port=node.port, called="REGION"), senders=4)
        node.settled(len(files), seconds=LONGEST_SECONDS)
        with _running(receiver):
            return _rate_of_arrivals(receiver.count, len(files))


def _rate_of_arrivals(count: Callable[[], int], expected: int) -> float:
    deadline = time.monotonic() + LONGEST_SECONDS
    while not (first := count()):
        time.sleep(0.005)
    began = time.perf_counter()
    while (here := count()) < expected:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{here} of {expected} images arrived within {LONGEST_SECONDS:g} s")
        time.sleep(0.005)
    return (expected - first) / (time.perf_counter() - began)


def _sent(kind: str, folder: Path, number: int, options: argparse.Namespace) -> float:
    """Images a second that stock pynetdicom sends."""
    files = _objects(folder / f"stock{kind}{number}", options)
    receiver = _receiver(kind, folder / f"stock{kind}{number}" / "receiver")
    with _running(receiver):
        entity = AE()
        entity.add_requested_context(ComputedRadiographyImageStorage, "1.2.840.10008.1.2.1")
        association = entity.associate("127.0.0.1", receiver.port, ae_title=receiver.aet)
        began = time.perf_counter()
        statuses = [association.send_c_store(file).Status for file in files]
        seconds = time.perf_counter() - began
        association.release()
    if any(statuses):
        raise RuntimeError("a file was not taken: a rate with losses is no rate")
    return len(files) / seconds


def _objects(folder: Path, options: argparse.Namespace) -> list[Path]:
    rng = np.random.default_rng(0)
    return write_objects(folder / "objects", count=options.count, size=options.size, rng=rng, now=datetime.now(UTC))


def _receiver(kind: str, folder: Path) -> Receiver:
    if kind == "storescp":
        scp = StoreScpProcess(folder)
        count = lambda: len(list(folder.iterdir()))  # noqa: E731 - one line among its likes
        return Receiver(name=kind, aet=scp.aet, port=scp.port, start=scp.start, stop=scp.stop, count=count)
    folder.mkdir(parents=True)
    pacs = OrthancProcess(folder)
    count = lambda: int(pacs.get_json("/statistics")["CountInstances"])  # noqa: E731
    return Receiver(name=kind, aet=pacs.aet, port=pacs.dicom_port, start=pacs.start, stop=pacs.stop, count=count)


@contextmanager
def _running(receiver: Receiver) -> Iterator[None]:
    receiver.start()
    try:
        yield
    finally:
        receiver.stop()


def _line(kind: str, rounds: Sequence[tuple[float, float]], options: argparse.Namespace) -> str:
    node, stock = (sorted(rates) for rates in zip(*rounds, strict=True))
    ratio = statistics.median(a / b for a, b in rounds)
    return (
        f"{options.size / 1000:.0f} kB to {kind}, n = {options.count}, {len(rounds)} rounds: "
        f"node {statistics.median(node):.1f} images/s ({node[0]:.1f}..{node[-1]:.1f}), "
        f"stock SCU {statistics.median(stock):.1f} ({stock[0]:.1f}..{stock[-1]:.1f}), ratio {ratio:.2f}"
    )


if __name__ == "__main__":
    main()
