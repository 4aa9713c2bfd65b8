"""The batcher answers everyone, in batches, and outlives errors."""

import threading

import numpy as np
import pytest

from dicom_node.model.batching import Batcher
from dicom_node.model.session import Model
from tests.unit.model.tiny import SIZE, write_tiny_model

WAIT = 10.0


@pytest.fixture
def model(tmp_path):
    return Model.open(write_tiny_model(tmp_path / "m.onnx"), threads=1)


class Gated:
    """The real model behind a gate, so that a test decides when the first batch ends."""

    def __init__(self, model):
        self.model = model
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.sizes = []

    def predict(self, batch):
        self.sizes.append(len(batch))
        self.entered.set()
        assert self.gate.wait(WAIT)
        return self.model.predict(batch)


def grey(value):
    return np.full((SIZE, SIZE), value, np.float32)


def test_each_future_gets_the_prediction_of_its_own_image(model):
    """Many threads submit different images; none gets another's answer."""
    values = np.linspace(0, 1, 40)
    with Batcher(model, max_batch=7) as batcher:
        futures = [batcher.submit(grey(value)) for value in values]
        maps = [future.result(WAIT).activation_map[1].mean() for future in futures]
    assert maps == pytest.approx(10 * values, abs=1e-4)


def test_what_waits_goes_in_one_batch_up_to_the_limit(model):
    """While one image is being worked on the others gather; then they go together."""
    gated = Gated(model)
    with Batcher(gated, max_batch=4) as batcher:
        futures = [batcher.submit(grey(0.1))]
        assert gated.entered.wait(WAIT)
        futures += [batcher.submit(grey(0.1)) for _ in range(6)]
        gated.gate.set()
        for future in futures:
            future.result(WAIT)
    assert gated.sizes == [1, 4, 2]


def test_a_bad_image_fails_alone_and_the_thread_lives_on(model):
    """Its neighbours in the batch and everyone after it get their answers."""
    gated = Gated(model)
    with Batcher(gated) as batcher:
        first = batcher.submit(grey(1.0))
        assert gated.entered.wait(WAIT)
        good, nan, wrong = (
            batcher.submit(grey(1.0)),
            batcher.submit(grey(np.nan)),
            batcher.submit(np.zeros((3, 3), np.float32)),
        )
        gated.gate.set()
        assert first.result(WAIT).outcome == good.result(WAIT).outcome == "tagged"
        with pytest.raises(ValueError, match="not finite"):
            nan.result(WAIT)
        with pytest.raises(ValueError, match="takes"):
            wrong.result(WAIT)
        assert batcher.submit(grey(1.0)).result(WAIT).outcome == "tagged"


def test_closing_answers_what_was_submitted_and_takes_no_more(model):
    """Stop drains; afterwards a submit is refused, and closing twice is harmless."""
    gated = Gated(model)
    batcher = Batcher(gated, max_batch=2)
    futures = [batcher.submit(grey(1.0)) for _ in range(5)]
    gated.gate.set()
    batcher.close()
    batcher.close()
    assert all(future.done() and future.exception() is None for future in futures)
    with pytest.raises(RuntimeError, match="closed"):
        batcher.submit(grey(1.0))


def test_a_cancelled_future_is_left_out(model):
    """A caller that gave up does not break the batch."""
    gated = Gated(model)
    with Batcher(gated) as batcher:
        first = batcher.submit(grey(1.0))
        assert gated.entered.wait(WAIT)
        cancelled, kept = batcher.submit(grey(1.0)), batcher.submit(grey(1.0))
        assert cancelled.cancel()
        gated.gate.set()
        assert first.result(WAIT).outcome == kept.result(WAIT).outcome == "tagged"
    assert gated.sizes == [1, 1]
