"""Stock senders: m processes of DCMTK's storescu, each with its share of the files on one association."""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers.dcmtk import dcmtk


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where to send: port on loopback and called AE title. `nodelay`: senders switch Nagle's algorithm off."""

    port: int
    called: str
    nodelay: bool = False


def send(files: Sequence[Path], route: Route, *, senders: int) -> float:
    """Send all files by so many senders at once; return the seconds until the last one has its last answer.

    Raises RuntimeError when any file was not taken: a rate with losses is no rate.
    """
    environment = os.environ | ({"TCP_NODELAY": "1"} if route.nodelay else {})
    shares = [list(files[start::senders]) for start in range(senders)]
    start = time.perf_counter()
    processes = [
        subprocess.Popen(
            [dcmtk("storescu"), "-aec", route.called, "127.0.0.1", str(route.port), *share],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
        )
        for share in shares
        if share
    ]
    complaints = [process.communicate()[1] for process in processes]
    seconds = time.perf_counter() - start
    for process, complaint in zip(processes, complaints, strict=True):
        if process.returncode != 0:
            raise RuntimeError(f"a sender ended with {process.returncode}: {complaint.decode(errors='replace')[-500:]}")
    return seconds
