"""Micro-batches across everything that waits for the model."""

import queue
import threading
from concurrent.futures import Future
from typing import NamedTuple, Protocol, Self

import numpy as np
import structlog

from dicom_node.background import step_back
from dicom_node.model.session import Float32Array, Prediction

log = structlog.get_logger()


class Predictor(Protocol):
    """What the batcher needs of a model."""

    def predict(self, batch: Float32Array) -> list[Prediction]: ...


class _Waiting(NamedTuple):
    image: Float32Array
    future: Future[Prediction]


class Batcher:
    """Runs a model on one thread, for all threads that submit images.

    Nobody waits for a batch to fill: the thread takes what has gathered while the last batch ran, so one image alone
    leaves at once and a burst goes in batches of `max_batch`.
    """

    def __init__(self, model: Predictor, *, max_batch: int = 16) -> None:
        self._model = model
        self._max_batch = max_batch
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, image: Float32Array) -> Future[Prediction]:
        """Queue one image of shape (S, S), values in [0, 1]; the future gives its prediction or the model's error.

        Raises:
            RuntimeError: the batcher is closed.
        """
        future: Future[Prediction] = Future()
        with self._closing:
            if self._closed:
                raise RuntimeError("The batcher is closed.")
            self._queue.put(_Waiting(image, future))
        return future

    def close(self) -> None:
        """Take no more, answer everything that was submitted, then stop. A second call does nothing."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _run(self) -> None:
        step_back()
        open_ = True
        while open_:
            batch, open_ = self._take()
            batch = [waiting for waiting in batch if waiting.future.set_running_or_notify_cancel()]
            if batch:
                self._answer(batch)

    def _take(self) -> tuple[list[_Waiting], bool]:
        """Everything that waits, up to `max_batch`, and whether more can come. Blocks until there is something."""
        batch: list[_Waiting] = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == self._max_batch:
                return batch, True
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _answer(self, batch: list[_Waiting]) -> None:
        try:
            predictions = self._model.predict(np.stack([waiting.image for waiting in batch]))
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the callers
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            log.warning("model_batch_failed", size=len(batch), error=type(error).__name__)
            # One bad image must not take the others with it.
            for waiting in batch:
                self._answer([waiting])
            return
        for waiting, prediction in zip(batch, predictions, strict=True):
            waiting.future.set_result(prediction)
