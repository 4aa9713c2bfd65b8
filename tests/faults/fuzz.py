"""`python -m tests.faults.fuzz --inputs 10000`: broken objects and PDUs against a node in a process of its own.

The node may refuse an object or break an association off; it may not die, hang, grow without bound, answer with a
status that is none of its table's, or stop taking good objects. What it takes goes on through the model to a PACS,
which looks into nothing.
"""

import argparse
import resource
import socket
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import chain, islice
from pathlib import Path
from random import Random
from re import search
from time import monotonic

from dicom_node.dimse.scu import Peer, StoreScu
from dicom_node.dimse.status import STATUSES, UNFORESEEN
from dicom_node.errors import DeliveryError
from dicom_node.instance import Incoming
from dicom_node.part10 import file_header
from tests.configurations import destination, model
from tests.faults.bad_pacs import BadPacs
from tests.faults.broken import broken_objects, corpus, every_bomb
from tests.faults.objects import new_sample
from tests.faults.wire_words import request, store_words
from tests.servers.node import NodeProcess
from tests.unit.model.tiny import write_tiny_model

ADDRESS_SPACE = 12 << 30  # of the node's process; the model's and the threads' part of it is reserved, not used
MOST_RESIDENT = 3 << 30
SLOWEST_SECONDS = 30.0
GOOD_EVERY = 50
OUR_STATUSES = {f"{status.code:04X}" for status in (*STATUSES.values(), UNFORESEEN)}


@dataclass(kw_only=True)
class Fuzzed:
    """What a run came to."""

    inputs: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    good: int = 0
    slowest: tuple[float, str] = (0.0, "")
    peak_bytes: int = 0
    drain_seconds: float = 0.0
    status: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def run_fuzz(folder: Path, *, inputs: int, seed: int, pdus: float = 0.3) -> Fuzzed:
    """As many inputs, of which a part `pdus` are PDUs and the rest objects; all bombs are among them."""
    result = Fuzzed()
    chance = Random(seed)
    seeds = corpus()
    objects = chain(every_bomb(seed), broken_objects(seed, seeds))
    with BadPacs(folder / "pacs") as pacs:
        configuration = (
            '[node]\ndisk_reserve = "1MB"\nidle_timeout = "5s"\n'
            + model(write_tiny_model(folder / "tiny.onnx"))
            + destination("pacs", pacs.port, ae_title="BAD", retry={"first": "100ms", "longest": "300ms"})
        )
        with NodeProcess(folder / "node", configuration) as node:
            resource.prlimit(node.pid, resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
            scu = _sender(node)
            for number in range(inputs):
                began = monotonic()
                if chance.random() < pdus:
                    name = _send_words(node.port, chance)
                else:
                    name = _send_object(scu, folder, number, *next(objects), result)
                result.inputs += 1
                result.slowest = max(result.slowest, (monotonic() - began, name))
                if number % GOOD_EVERY == GOOD_EVERY - 1:
                    _send_good(node, folder, chance, result)
            scu.close()
            _send_good(node, folder, chance, result)
            draining = monotonic()
            try:
                node.idle(seconds=60 + inputs / 20)
            except TimeoutError as error:
                result.wrong.append(str(error))
            result.drain_seconds = monotonic() - draining
            result.peak_bytes = peak_of(node.pid)
            status = node.status()
            result.status = {name: status[name] for name in ("received", "classified", "forwarded", "failed")}
            result.wrong += _troubles(node)
            if node.stop() != 0:
                result.wrong.append("it did not end with 0")
    if result.peak_bytes > MOST_RESIDENT:
        result.wrong.append(f"it took {result.peak_bytes >> 20} MiB of memory")
    if result.slowest[0] > SLOWEST_SECONDS:
        result.wrong.append(f"an answer took {result.slowest[0]:.0f} s: {result.slowest[1]}")
    return result


def _sender(node: NodeProcess) -> StoreScu:
    peer = Peer(host="127.0.0.1", port=node.port, ae_title="REGION")
    return StoreScu(peer, calling_ae="FUZZ", timeout=timedelta(seconds=60))


def _send_object(scu: StoreScu, folder: Path, number: int, name: str, item: Incoming, result: Fuzzed) -> str:
    item = replace(item, sop_instance_uid=item.sop_instance_uid or f"1.2.9.{number}")
    path = folder / "broken.dcm"
    try:
        path.write_bytes(file_header(item) + item.dataset)
        scu.send(path)
        answer = "0000"
    except DeliveryError as error:
        found = search(r"status ([0-9A-F]{4})", str(error))
        answer = found[1] if found else f"{type(error).__name__}: {str(error).split(':')[-1]}"
        if found is None or found[1] not in OUR_STATUSES:
            result.wrong.append(f"input {number} ({name}): {error}")
            (folder / f"wrong-{number}.dcm").write_bytes(path.read_bytes())
    result.answers[answer] += 1
    return name


def _send_words(port: int, chance: Random) -> str:
    """Broken PDUs over a connection of their own; whatever the node answers, it must close or go on."""
    with socket.create_connection(("127.0.0.1", port), 10) as peer:
        peer.settimeout(0.05)
        words = store_words(chance)
        with suppress(OSError):
            peer.sendall(words[: len(request())])
            with suppress(TimeoutError):
                peer.recv(1 << 16)
            peer.sendall(words[len(request()) :])
            while peer.recv(1 << 16):
                pass
    return "PDUs"


def _send_good(node: NodeProcess, folder: Path, chance: Random, result: Fuzzed) -> None:
    sample = new_sample(folder, chance)
    scu = _sender(node)
    try:
        scu.send(sample.path)
        result.good += 1
    except DeliveryError as error:
        result.wrong.append(f"after {result.inputs} inputs a good object was not taken: {error}")
    scu.close()
    sample.path.unlink()


def peak_of(pid: int) -> int:
    """The most memory that a process has had resident (proc(5), VmHWM), in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) << 10 if found else 0


def _troubles(node: NodeProcess) -> list[str]:
    """What the node says of itself that it must not: faults that nobody foresaw, and threads that died."""
    signs = ("status=C211", "worker_trouble", "porch_trouble", "task_not_done", "Exception in thread")
    lines = node.log.read_text(errors="replace").splitlines()
    return [line[:400] for line in islice((line for line in lines if any(sign in line for sign in signs)), 20)]


def main() -> int:
    """0 when nothing went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        result = run_fuzz(Path(name), inputs=wanted.inputs, seed=wanted.seed)
    print(f"inputs {result.inputs}, good objects in between {result.good}, answers {dict(result.answers)}")
    print(f"slowest {result.slowest[0]:.1f} s ({result.slowest[1]}), peak {result.peak_bytes >> 20} MiB")
    print(f"status {result.status}, drained in {result.drain_seconds:.1f} s")
    print("\n".join(result.wrong) or "nothing went wrong", file=sys.stderr)
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
