"""Small runs of the training command, in processes of their own: to be killed, or to be several."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.unit.training.small import small_set
from training.images import write_set

ROOT = Path(__file__).resolve().parents[3]

RECIPE = """
[data]
size = 32
held_out = 0.0
[pretrain]
method = "{method}"
samples = {samples}
batch = 8
hidden = 32
projection = 16
momentum = 0.9
precision = "fp32"
checkpoint_seconds = {checkpoint_seconds}
log_every = 1
"""


def write_data(folder: Path) -> Path:
    """A prepared data set: `folder`/data."""
    data = small_set(per_region=2)
    write_set(list(zip(data.rows, data.images, strict=True)), folder / "data", size=32)
    return folder / "data"


def write_recipe(folder: Path, method: str, *, steps: int, checkpoint_seconds: int = 600) -> Path:
    """A recipe in float32: `folder`/METHOD.toml."""
    path = folder / f"{method}.toml"
    path.write_text(RECIPE.format(method=method, samples=steps * 8, checkpoint_seconds=checkpoint_seconds))
    return path


def start(*arguments: str | Path | int, **environment: str) -> subprocess.Popen[bytes]:
    """`python -m ARGUMENTS` from the repository's root, with one thread and without a GPU."""
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **environment}
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait; what the process said is the message where it failed."""
    said, _ = process.communicate()
    assert process.returncode == 0, said.decode()


def losses(out: Path) -> list[float]:
    """The logged loss of each step; no step may be there twice or be missing."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(len(lines)))
    return [line["loss"] for line in lines]


def free_ports(count: int) -> int:
    """The first of `count` neighbouring ports that are free now."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = int(probe.getsockname()[1])
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first
        except (OSError, OverflowError):
            continue
