"""PostgreSQL killed (-9) or shut down at once, and started again, while the node writes its ledger there."""

import signal
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import monotonic

from tests.configurations import destination, model
from tests.faults.account import Account, account_of, arrived_at_storescp
from tests.faults.senders import Senders
from tests.servers.dcmtk import StoreScpProcess
from tests.servers.node import NodeProcess
from tests.servers.postgres import PostgresProcess
from tests.unit.model.tiny import write_tiny_model

QUICK = {"first": "100ms", "longest": "500ms"}
WAYS = {signal.SIGKILL: "kill -9", signal.SIGQUIT: "immediate", signal.SIGINT: "fast"}


@dataclass(frozen=True, kw_only=True)
class PostgresKilled:
    """What a run came to."""

    kills: Counter[str]
    unanswered: int
    account: Account
    seconds: float
    drain_seconds: float


def run_postgres_kills(folder: Path, *, kills: int, seed: int, receivers: int = 1) -> PostgresKilled:
    """Senders, a node with its ledger on PostgreSQL, a storescp; and PostgreSQL goes away for up to two seconds."""
    began = monotonic()
    chance = Random(seed)
    done: Counter[str] = Counter()
    with PostgresProcess(fsync=True) as server, StoreScpProcess(folder / "pacs") as pacs:
        url = server.new_database()
        node = NodeProcess(folder / "node", _configuration(folder, pacs.port, url, receivers))
        (folder / "sent").mkdir()
        with node, Senders(node.port, folder / "sent", seed=seed) as senders:
            for _ in range(kills):
                threading.Event().wait(chance.uniform(0.3, 1.5))
                how = chance.choice(list(WAYS))
                server.stop(how=how)
                done[WAYS[how]] += 1
                threading.Event().wait(chance.uniform(0.0, 2.0))
                server.start()
            threading.Event().wait(0.5)
            senders.finish()
            draining = monotonic()
            node.idle(seconds=120)
            drained = monotonic() - draining
            node.stop()
        account = account_of(
            senders.acknowledged, ledger_url=url, spool=node.spool, arrived=arrived_at_storescp(pacs.files())
        )
    return PostgresKilled(
        kills=done,
        unanswered=senders.unanswered,
        account=account,
        seconds=monotonic() - began,
        drain_seconds=drained,
    )


def _configuration(folder: Path, pacs_port: int, url: str, receivers: int) -> str:
    return (
        f'[node]\nreceivers = {receivers}\ndisk_reserve = "1MB"\n[ledger]\nurl = "{url}"\n'
        + model(write_tiny_model(folder / "tiny.onnx"))
        + "[policy]\nfill = false\n"
        + destination("pacs", pacs_port, retry=QUICK)
    )
