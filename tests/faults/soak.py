"""`python -m tests.faults.soak --minutes 60`: peak load for as long as somebody likes, and whether anything grows.

Memory, threads and open files of the node's processes are read from /proc every few seconds; a line through the second
half of each (the first is for warming up) says how much it grows in an hour.
"""

import argparse
import json
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

import numpy as np

from tests.configurations import destination, model
from tests.faults.senders import Senders
from tests.servers.dcmtk import StoreScpProcess
from tests.servers.node import NodeProcess
from tests.unit.model.tiny import write_tiny_model

# What may pass for flat, in an hour.
MOST_GROWTH = {"resident_mb": 50.0, "threads": 2.0, "files": 5.0}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """All processes of the node together, `at` seconds after the start."""

    at: float
    resident_mb: float
    threads: int
    files: int
    received: int


def reading(node: NodeProcess, began: float) -> Reading:
    pids = [node.pid, *node.receiver_pids()]
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return Reading(
        at=monotonic() - began,
        resident_mb=sum(_number(text, "VmRSS") for text in texts) / 1024,
        threads=sum(_number(text, "Threads") for text in texts),
        files=sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids),
        received=int(node.status()["received"]),
    )


def _number(status: str, name: str) -> int:
    line = next(line for line in status.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])


def growth_per_hour(readings: list[Reading], name: str) -> float:
    """Slope of the least-squares line through the second half."""
    half = readings[len(readings) // 2 :]
    times = [one.at / 3600 for one in half]
    return float(np.polyfit(times, [getattr(one, name) for one in half], 1)[0])


def run_soak(folder: Path, *, minutes: float, every: float = 5.0) -> list[Reading]:
    """Four senders as fast as they get answers, a node with two receivers, a storescp behind it."""
    with StoreScpProcess(folder / "pacs") as pacs:
        configuration = (
            '[node]\nreceivers = 2\ndisk_reserve = "100MB"\n'
            + model(write_tiny_model(folder / "tiny.onnx"))
            + '[retention]\nkeep = "30s"\n[schedule]\nretention = "10s"\n'  # the disk must last
            + destination("pacs", pacs.port)
        )
        node = NodeProcess(folder / "node", configuration)
        port = node.keep_port()
        (folder / "sent").mkdir()
        readings: list[Reading] = []
        with node, Senders(port, folder / "sent", seed=1, own=3, stock=1, pause=0.001) as senders:
            began = monotonic()
            while monotonic() - began < 60 * minutes:
                threading.Event().wait(every)
                readings.append(reading(node, began))
                for path in [*pacs.files()[:-50], *sorted((folder / "sent").iterdir(), key=_age)[:-200]]:
                    path.unlink(missing_ok=True)
            senders.finish()
    return readings


def _age(path: Path) -> float:
    return path.stat().st_mtime


def main() -> int:
    """0 when nothing grows."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--out", type=Path, help="where to write every reading, as JSON")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        readings = run_soak(Path(name), minutes=wanted.minutes)
    if wanted.out:
        wanted.out.write_text(json.dumps([asdict(one) for one in readings]))
    last = readings[-1]
    print(f"{last.at / 60:.1f} min, {last.received} images, {last.received / last.at:.1f}/s, n={len(readings)}")
    flat = True
    for quantity, most in MOST_GROWTH.items():
        values = [getattr(one, quantity) for one in readings[len(readings) // 2 :]]
        slope = growth_per_hour(readings, quantity)
        flat &= slope <= most
        print(f"{quantity}: {min(values):.0f} to {max(values):.0f}, {slope:+.1f} per hour (flat: up to {most:.0f})")
    print("flat" if flat else "NOT flat")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
