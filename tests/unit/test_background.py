"""What looks at images does so behind those that receive."""

import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from dicom_node.background import LOWER_BY
from dicom_node.model.batching import Batcher
from dicom_node.model.session import Model
from tests.unit.model.tiny import write_tiny_model


def threads_of_this_process() -> set[int]:
    """Those of Python and all others."""
    return {int(task.name) for task in Path("/proc/self/task").iterdir()}


def priority() -> int:
    """Of this thread alone."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux alone")
def test_the_model_runs_behind_everything_else_and_nothing_else_does(tmp_path) -> None:
    before = priority()
    known = threads_of_this_process()
    model = Model.open(write_tiny_model(tmp_path / "tiny.onnx"), threads=3)
    its_threads = threads_of_this_process() - known
    assert its_threads
    assert {os.getpriority(os.PRIO_PROCESS, thread) for thread in its_threads} == {before + LOWER_BY}
    assert _seen_by_the_batcher(model) == before + LOWER_BY
    assert priority() == before


def _seen_by_the_batcher(model: Model) -> int:
    """The priority with which a batch is worked on."""
    found: list[int] = []

    class Watched:
        def predict(self, batch):
            found.append(priority())
            return model.predict(batch)

    with Batcher(Watched()) as batcher:
        size = model.card.input_size
        batcher.submit(np.zeros((size, size), np.float32)).result()
    return found[0]
