"""A run whose process is killed with SIGKILL continues to the losses of a run that nobody disturbed."""

import contextlib
import signal
import subprocess

import pytest
import torch

from tests.unit.training.processes import finish, losses, start, write_data, write_recipe
from training.commands.pretrain import pretrain

STEPS = 4


@pytest.mark.slow
def test_a_run_killed_by_the_system_continues_to_the_same_losses_and_weights(tmp_path):
    """Killed wherever it is after two of four steps; the log has each step once, with the same loss, and the weights
    are the same bit by bit. BYOL has the most to remember: two networks and a momentum.
    """
    data, recipe = write_data(tmp_path), write_recipe(tmp_path, "byol", steps=STEPS, checkpoint_seconds=0)
    command = ("training", "pretrain", "--data", data, "--recipe", recipe, "--seed", 3, "--out", tmp_path / "killed")
    victim, log = start(*command), tmp_path / "killed" / "log.jsonl"
    while not (log.exists() and log.read_text().count("\n") >= 2):
        with contextlib.suppress(subprocess.TimeoutExpired):
            victim.wait(timeout=0.05)
            break
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    assert victim.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "weights.pt").exists()
    finish(start(*command))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the other process: sums in another order would differ in the last bit
    try:
        pretrain([data], tmp_path / "whole", recipe=recipe, seed=3)
    finally:
        torch.set_num_threads(threads)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == STEPS
    whole, killed = (torch.load(tmp_path / name / "weights.pt", weights_only=True) for name in ("whole", "killed"))
    for part in ("backbone", "method"):
        for name, value in whole[part].items():
            assert torch.equal(value, killed[part][name]), name
    assert list((tmp_path / "killed").glob("events.out.tfevents.*")), "TensorBoard has its events in the run folder"
