"""Two gloo processes give the losses of one: gradients, negatives and batch statistics are those of the whole batch.

In float32, and on the CPU, where batch norm is our own cross-process one; on GPUs it is torch's SyncBatchNorm, which
this cannot test.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.training.processes import finish, free_ports, losses, start, write_data, write_recipe
from training.commands.pretrain import pretrain
from training.distributed import Ranks
from training.errors import TrainingError

METHODS = ["simclr", "supcon", "byol", "supervised", "mixed"]


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path):
    """The same command, alone and as torchrun starts it twice: losses and gradients to the tolerance of float32 sums.

    Adam's first moments after two steps are the gradients; one that missed the other process's half, or a negative or
    a mean that did, would be elsewhere by more than half. The tolerance is wide because Adam makes whole steps of
    gradients that are rounding alone.
    """
    data, steps = write_data(tmp_path), 2
    recipes = [write_recipe(tmp_path, method, steps=steps) for method in METHODS]
    port = free_ports(len(METHODS))
    pair = [
        start("tests.unit.training.one_of_two", tmp_path, port, *METHODS,
              RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1")
        for rank in range(2)
    ]  # fmt: skip
    for method, recipe in zip(METHODS, recipes, strict=True):
        pretrain([data], tmp_path / f"one-{method}", recipe=recipe, seed=3)
    for process in pair:
        finish(process)
    for method in METHODS:
        alone, shared = tmp_path / f"one-{method}", tmp_path / f"two-{method}"
        one, two = np.array(losses(alone)), np.array(losses(shared))
        assert len(one) == steps
        assert np.allclose(one, two, rtol=1e-3), (method, one, two)
        assert one[0] == pytest.approx(two[0], rel=1e-5), method
        whole, halves = gradients(alone), gradients(shared)
        assert whole.norm() > 0.01, f"{method} learns at all"
        assert (whole - halves).norm() < 0.1 * whole.norm(), method
        assert json.loads((shared / "run.json").read_text())["processes"] == 2
        keys = [torch.load(run / "weights.pt", weights_only=True)["backbone"].keys() for run in (alone, shared)]
        assert keys[0] == keys[1], "every later command reads the weights of several processes"


def gradients(run: Path) -> torch.Tensor:
    """The first moments of all weights that learn, as one vector."""
    state = torch.load(run / "checkpoint.pt", weights_only=True)["optimiser"]["state"]
    return torch.cat([state[number]["exp_avg"].flatten() for number in sorted(state)])


def test_processes_wait_for_days_for_the_one_that_prepares_the_data():
    """NCCL's ten minutes and gloo's thirty are over long before an archive is."""
    port = str(free_ports(1))
    pair = [
        start("tests.unit.training.one_that_waits", RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2",
              MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        for rank in range(2)
    ]  # fmt: skip
    for process in pair:
        said, _ = process.communicate()
        assert process.returncode == 0, said.decode()
        assert float(said.split()[-1]) > 24 * 3600


def test_a_batch_that_cannot_be_shared_is_refused_in_a_sentence():
    """Slices of unequal size would weigh their images unequally."""
    assert Ranks(rank=1, size=2).slice_of(8) == (4, 8)
    with pytest.raises(TrainingError, match="A batch of 9 cannot be shared by 2 processes"):
        Ranks(rank=0, size=2).slice_of(9)
