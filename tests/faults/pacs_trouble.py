"""Two PACS that are anything but there while images arrive: an Orthanc that is down, flaps and is killed, and a PACS
with bad manners. In the end both are well, and both have every image.
"""

import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import monotonic

from tests.configurations import destination, model
from tests.faults.account import Account, account_of
from tests.faults.bad_pacs import ABORTS, DROPS_AFTER, DROPS_BEFORE, HANGS, REFUSES, WELL, BadPacs
from tests.faults.objects import content_of
from tests.faults.senders import Senders
from tests.servers.node import NodeProcess
from tests.servers.orthanc import OrthancProcess
from tests.unit.model.tiny import write_tiny_model

QUICK = {"first": "100ms", "longest": "500ms"}
TROUBLES = (REFUSES, HANGS, DROPS_AFTER, DROPS_BEFORE, ABORTS)


@dataclass(frozen=True, kw_only=True)
class Troubled:
    """What a run came to: one account per destination, the one that misbehaved first."""

    bad: Account
    orthanc: Account
    moods: int
    restarts: int
    seconds: float
    drain_seconds: float


def run_pacs_trouble(folder: Path, *, rounds: int, seed: int, pause: float = 1.0, objects: int = 30) -> Troubled:
    """Senders, a node, two destinations in trouble. Each round the one PACS goes through all its moods, `pause` seconds
    on average each, and the other is stopped or killed, and started again.
    """
    began = monotonic()
    chance = Random(seed)
    orthanc = OrthancProcess(folder)
    with BadPacs(folder / "bad") as bad:
        node = NodeProcess(folder / "node", _configuration(folder, bad.port, orthanc.dicom_port))
        (folder / "sent").mkdir()
        with node, Senders(node.port, folder / "sent", seed=seed, own=2, stock=0, objects=objects) as senders:
            for _ in range(rounds):
                _one_round(bad, orthanc, chance, pause)
            senders.wait()
            draining = monotonic()
            node.idle(seconds=120)
            drained = monotonic() - draining
            node.stop()
        ledger_url = f"sqlite:///{folder / 'node/data/ledger.sqlite'}"
        accounts = [
            account_of(senders.acknowledged, ledger_url=ledger_url, spool=node.spool, arrived=arrived)
            for arrived in (bad.arrived(), _arrived_at(orthanc, folder))
        ]
    orthanc.stop()
    return Troubled(
        bad=accounts[0],
        orthanc=accounts[1],
        moods=rounds * len(TROUBLES),
        restarts=rounds,
        seconds=monotonic() - began,
        drain_seconds=drained,
    )


def _one_round(bad: BadPacs, orthanc: OrthancProcess, chance: Random, pause: float) -> None:
    """Orthanc is down at the start of a round, and up at its end."""
    for mood in chance.sample(TROUBLES, len(TROUBLES)):
        bad.turn(mood)
        threading.Event().wait(chance.uniform(0.5, 1.5) * pause)
    if chance.random() < 0.5:
        bad.kill()
        bad.start()
    bad.turn(WELL)
    orthanc.stop(how=chance.choice([signal.SIGTERM, signal.SIGKILL]))
    orthanc.start()
    threading.Event().wait(chance.uniform(0.5, 1.5) * pause)


def _configuration(folder: Path, bad_port: int, orthanc_port: int) -> str:
    return (
        '[node]\ndisk_reserve = "1MB"\n'
        + model(write_tiny_model(folder / "tiny.onnx"))
        + "[policy]\nfill = false\n"
        + destination("bad", bad_port, ae_title="BAD", timeout="2s", retry=QUICK)
        + destination("orthanc", orthanc_port, retry=QUICK)
    )


def _arrived_at(orthanc: OrthancProcess, folder: Path) -> dict[str, list[str]]:
    arrived: dict[str, list[str]] = {}
    for instance in orthanc.instances():
        file = folder / "from-orthanc.dcm"
        file.write_bytes(orthanc.file(instance))
        arrived.setdefault(orthanc.tags(instance)["SOPInstanceUID"], []).append(content_of(file))
    return arrived
