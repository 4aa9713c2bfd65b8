"""kill -9 of the node, of all its processes, or of one receiver, at random moments while senders send."""

import os
import signal
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import monotonic

from tests.configurations import destination, model
from tests.faults.account import Account, account_of, arrived_at_storescp
from tests.faults.senders import Senders
from tests.servers.dcmtk import StoreScpProcess
from tests.servers.node import NodeProcess
from tests.unit.model.tiny import write_tiny_model

QUICK = {"first": "100ms", "longest": "500ms"}
# Of a sender's attempts, so many are followed by a question for storage commitment.
ASKING = 0.1
# The classifier and the lanes are threads of the node's own process: killing that kills them.
VICTIMS = {"node": 2, "all processes": 2, "node while it starts": 1, "receiver": 5}


@dataclass(frozen=True, kw_only=True)
class Killed:
    """What a run came to."""

    kills: Counter[str]
    unanswered: int
    refused: int
    reports: int
    account: Account
    seconds: float
    drain_seconds: float


def run_kills(folder: Path, *, kills: int, seed: int, receivers: int = 2, ledger_url: str | None = None) -> Killed:
    """Senders, a node with several receivers, a storescp behind it; and kills, each at a random moment.

    Now and then a sender asks for storage commitment as well. Afterwards the senders finish, the node drains, has to
    commit itself to everything that it ever acknowledged, and the account is drawn up.
    """
    began = monotonic()
    chance = Random(seed)
    done: Counter[str] = Counter()
    with StoreScpProcess(folder / "pacs") as pacs:
        node = NodeProcess(folder / "node", _configuration(folder, pacs.port, receivers, ledger_url))
        port = node.keep_port()
        (folder / "sent").mkdir()
        with node, Senders(port, folder / "sent", seed=seed, asking=ASKING) as senders:
            for _ in range(kills):
                threading.Event().wait(chance.uniform(0.05, 1.0))
                (victim,) = chance.choices(list(VICTIMS), list(VICTIMS.values()))
                done[victim] += _kill(node, victim, chance)
            senders.finish()
            draining = monotonic()
            node.idle(seconds=120)
            drained = monotonic() - draining
            senders.ask_for_everything()
            node.stop()
        account = account_of(
            senders.acknowledged,
            ledger_url=ledger_url or f"sqlite:///{folder / 'node/data/ledger.sqlite'}",
            spool=node.spool,
            arrived=arrived_at_storescp(pacs.files()),
        )
        account.wrong += senders.broken
    return Killed(
        kills=+done,
        unanswered=senders.unanswered,
        refused=len(senders.refused),
        reports=senders.reports,
        account=account,
        seconds=monotonic() - began,
        drain_seconds=drained,
    )


def _configuration(folder: Path, pacs_port: int, receivers: int, ledger_url: str | None) -> str:
    ledger = f'[ledger]\nurl = "{ledger_url}"\n' if ledger_url else ""
    return (
        f'[node]\nreceivers = {receivers}\ndisk_reserve = "1MB"\n'
        + model(write_tiny_model(folder / "tiny.onnx"))
        + "[policy]\nfill = false\n"  # what arrives is to be compared byte for byte
        + ledger
        + '[commitment]\nlinger = "200ms"\n'
        + destination("pacs", pacs_port, retry=QUICK)
    )


def _kill(node: NodeProcess, victim: str, chance: Random) -> int:
    """Kill, and bring the node back; how many were killed."""
    children = node.receiver_pids()
    if victim == "receiver":
        if not children:
            return 0  # the last one died just now, and its successor is not there yet
        with suppress(ProcessLookupError):
            os.kill(chance.choice(children), signal.SIGKILL)
        return 1
    node.kill()
    if victim == "all processes":
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
    if victim == "node while it starts":
        node.launch()
        threading.Event().wait(chance.uniform(0.2, 4.0))
        node.kill()
    _start(node)
    return 2 if victim == "node while it starts" else 1


def _start(node: NodeProcess) -> None:
    """As a service manager does: on a machine with too much to do, a receiver may not be up in its minute."""
    for _ in range(3):
        node.launch()
        with suppress(AssertionError):
            node.greeted()
            return
        node.kill()
    node.start()
