"""How many images a second the node classifies while it receives them, next to onnxruntime alone with the same model.

    python -m benchmarks.classify --sizes 400k 10M --rounds 5

Both have the same cores, in turn within each round, and the other one idles meanwhile. onnxruntime gets what a node
never has: the images of that round ready as arrays, nothing else to do, and of several numbers of threads and batch
sizes those that were fastest here beforehand. The node gets DX objects from stock senders as fast as it takes them,
and does all that it does for a hospital: durable file and ledger, decoding, cleaning, the model, a durable verdict.
Its clock runs from the first arrival to the last verdict, both as the ledger has them.

On a CPU the model itself needs the cores, so that overlapping can hide what waits, but not what computes. Beside the
ratio stand therefore the CPU time that each part takes for an image, how many of the cores the node and the senders
kept busy, and the ratio that would be left if no core ever waited.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.uid import DigitalXRayImageStorageForPresentation

from benchmarks.conditions import conditions
from benchmarks.memory import _family
from benchmarks.objects import write_objects
from benchmarks.receive import COUNTS, _size
from benchmarks.senders import Route, send
from dicom_node.config import load_config
from dicom_node.header import header_region, header_values
from dicom_node.imaging import grey_from_dataset, model_input, not_a_radiograph
from dicom_node.ledger import open_ledger
from dicom_node.model.card import card_from_metadata
from dicom_node.model.session import INPUT, OUTPUTS
from dicom_node.model.starter import starter_model_path
from dicom_node.object_file import open_object
from tests.servers.node import NodeProcess

CORES = len(os.sched_getaffinity(0))
TICKS = os.sysconf("SC_CLK_TCK")
BATCHES = (1, 4, 8, 16, 32)
WARM_UP = 32  # images that do not count
POLL_SECONDS = 0.25  # asking costs the node a few milliseconds each time, and the times come from its ledger
Images = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How onnxruntime is run: so many runs at once, each with so many threads, on batches of this size."""

    at_once: int
    threads: int
    batch: int

    def __str__(self) -> str:
        return f"{self.at_once} x {self.threads} threads, batches of {self.batch}"


@dataclass(frozen=True, kw_only=True)
class Round:
    """Rates in images a second; CPU times in seconds for one image."""

    images: int
    bare: float
    node: float
    bare_cpu: float
    imaging_cpu: float
    node_cpu: float
    sender_cpu: float

    @property
    def ratio(self) -> float:
        return self.node / self.bare

    @property
    def limit(self) -> float:
        """The ratio if no core ever waited."""
        return CORES / (self.node_cpu + self.sender_cpu) / self.bare

    @property
    def busy(self) -> float:
        """How many cores the node and the senders had."""
        return self.node * (self.node_cpu + self.sender_cpu)


def main() -> None:
    """Find onnxruntime's best setting, start a node, measure both in turn, print two lines for each size."""
    options = _options()
    print(conditions() + f", onnxruntime {onnxruntime.__version__}")
    cv2.setNumThreads(1)  # the imaging step is measured on one core
    setting = _best_setting(options.search_seconds)
    bare = Bare(setting)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        extra = options.node_config.read_text() if options.node_config else ""
        with NodeProcess(Path(name) / "node", extra) as node:
            whole = Whole(node, senders=options.senders)
            whole.measure(_radiographs(Path(name) / "first", WARM_UP, 400_000, np.random.default_rng(options.seed + 1)))
            print(f"onnxruntime is fastest with {setting}; {CORES} cores, {options.senders} senders")
            for size in options.sizes:
                print(_lines(list(_rounds(bare, whole, Path(name), size, options)), size))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=_size, default=[400_000, 10_000_000], metavar="SIZE")
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, help="images per round (default: 200, 100 or 24, by size)")
    parser.add_argument("--search-seconds", type=float, default=2.0, help="for each setting of onnxruntime")
    parser.add_argument("--node-config", type=Path, help="TOML beside ports and folder; the model stays the starter")
    parser.add_argument("--folder", type=Path, help="on which disk to receive (default: the system's temporary folder)")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


class Bare:
    """onnxruntime alone, with one setting."""

    def __init__(self, setting: Setting) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = setting.threads
        options.log_severity_level = 3
        path = str(starter_model_path())
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._setting = setting
        self.side = card_from_metadata(self._session.get_modelmeta().custom_metadata_map).input_size

    def measure(self, images: Images) -> dict[str, float]:
        """Its part of a Round."""
        before = time.process_time()
        rate = self.rate(images)
        return {"bare": rate, "bare_cpu": (time.process_time() - before) / len(images)}

    def rate(self, images: Images) -> float:
        """Images a second for images of shape (N, 1, S, S)."""
        batches = [images[first : first + self._setting.batch] for first in range(0, len(images), self._setting.batch)]
        with ThreadPoolExecutor(self._setting.at_once) as pool:
            began = time.perf_counter()
            list(pool.map(lambda batch: self._session.run(OUTPUTS, {INPUT: batch}), batches))
            return len(images) / (time.perf_counter() - began)


def _best_setting(seconds: float) -> Setting:
    """Of one run with all cores and as many runs as cores, each with every batch size, the fastest."""
    ways = {(1, CORES), (CORES, 1)}
    settings = [Setting(at_once=way[0], threads=way[1], batch=batch) for way, batch in product(ways, BATCHES)]
    return max(settings, key=lambda setting: _searched(setting, seconds))


def _searched(setting: Setting, seconds: float) -> float:
    bare = Bare(setting)
    some = np.random.default_rng(0).random((setting.at_once * setting.batch, 1, bare.side, bare.side), np.float32)
    first = bare.rate(some)
    enough = np.concatenate([some] * max(1, round(seconds * first / len(some))))
    return bare.rate(enough)


class Whole:
    """A node that runs, and who sends to it."""

    def __init__(self, node: NodeProcess, *, senders: int) -> None:
        self._node = node
        self._senders = senders
        self._newest = 0

    def measure(self, files: Sequence[Path]) -> dict[str, float]:
        """Its part of a Round, for new files."""
        before = _cpu_seconds(self._node.pid), _children_seconds()
        send(files, Route(port=self._node.port, called="REGION"), senders=self._senders)
        while self._node.status()["pending"]:
            time.sleep(POLL_SECONDS)
        return {
            "node": len(files) / self._seconds(len(files)),
            "node_cpu": (_cpu_seconds(self._node.pid) - before[0]) / len(files),
            "sender_cpu": (_children_seconds() - before[1]) / len(files),
        }

    def _seconds(self, count: int) -> float:
        """From the first arrival to the last verdict of what is new in the ledger, which are `count` images."""
        ledger = open_ledger(load_config(self._node.file, {}).ledger_url)
        try:
            new = ledger.records.settled(after_id=self._newest, limit=count + 1)
        finally:
            ledger.close()
        decided = [record.verdict.decided_at for record in new if record.verdict and record.recognition]
        if len(new) != count or len(decided) != count:
            raise RuntimeError(f"the model saw {len(decided)} of {count} images: a rate with losses is no rate")
        self._newest = max(record.instance.id for record in new)
        return (max(decided) - min(record.instance.received_at for record in new)).total_seconds()


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process and all that it started and that still runs."""
    return sum(_ticks(one) for one in _family(pid)) / TICKS


def _ticks(pid: int) -> int:
    with suppress(OSError):  # it has just ended
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])  # utime and stime (proc(5), fields 14 and 15)
    return 0


def _children_seconds() -> float:
    """CPU time of the senders that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _rounds(bare: Bare, whole: Whole, folder: Path, size: int, options: argparse.Namespace) -> Iterator[Round]:
    rng = np.random.default_rng(options.seed)
    count = options.count or next(count for limit, count in COUNTS if size <= limit)
    for number in range(options.rounds):
        files = _radiographs(folder / "objects", count, size, rng)
        images, imaging_cpu = _looked_at(files, bare.side)
        if number % 2 == 0:
            measured = bare.measure(images) | whole.measure(files)
        else:
            measured = whole.measure(files) | bare.measure(images)
        for file in files:
            file.unlink()
        yield Round(images=count, **measured, imaging_cpu=imaging_cpu)


def _radiographs(folder: Path, count: int, size: int, rng: np.random.Generator) -> list[Path]:
    """The usual objects as DX images for presentation."""
    files = write_objects(folder, count=count, size=size, rng=rng, now=datetime.now(UTC))
    for file in files:
        ds = dcmread(file)
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
        ds.Modality, ds.PresentationIntentType = "DX", "FOR PRESENTATION"
        ds.save_as(file, enforce_file_format=True)
    return files


def _looked_at(files: Sequence[Path], side: int) -> tuple[Images, float]:
    """What the model sees of the files, (N, 1, S, S), and the CPU seconds for one of them, by the eye's own steps."""
    began = time.process_time()
    images = [_seen(file, side) for file in files]
    return np.stack(images)[:, None], (time.process_time() - began) / len(files)


def _seen(file: Path, side: int) -> Images:
    ds = open_object(file)
    header_region(ds)
    header_values(ds)
    if (why := not_a_radiograph(ds)) is not None:
        raise RuntimeError(why)
    return model_input(grey_from_dataset(ds), side)


def _lines(rounds: Sequence[Round], size: int) -> str:
    cpu = [
        ("onnxruntime", [1000 * each.bare_cpu for each in rounds]),
        ("imaging", [1000 * each.imaging_cpu for each in rounds]),
        ("the whole node", [1000 * each.node_cpu for each in rounds]),
        ("senders", [1000 * each.sender_cpu for each in rounds]),
    ]
    imaging = _spread([1 / each.imaging_cpu for each in rounds])
    return (
        f"{size / 1000:.0f} kB, n = {rounds[0].images}, {len(rounds)} rounds: "
        f"node {_spread([each.node for each in rounds])} images/s, "
        f"onnxruntime {_spread([each.bare for each in rounds])}, "
        f"node / onnxruntime {_spread([each.ratio for each in rounds], 2)}\n"
        f"    CPU ms an image: {', '.join(f'{name} {_spread(values)}' for name, values in cpu)}\n"
        f"    imaging alone {imaging} images/s a core; node and senders had {_spread([r.busy for r in rounds], 2)} "
        f"of {CORES} cores; if none ever waited: ratio {_spread([r.limit for r in rounds], 2)}"
    )


def _spread(values: Sequence[float], digits: int = 1) -> str:
    """Median, smallest and largest."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}..{max(values):.{digits}f})"


if __name__ == "__main__":
    main()
