"""One ONNX file behind onnxruntime, on CUDA where there is a driver for it, else on the CPU."""

import ctypes
import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import onnxruntime
import structlog
from onnxruntime.capi import onnxruntime_pybind11_state as said

from dicom_node.background import step_back
from dicom_node.errors import ModelError, WrongModelError, is_of_the_path
from dicom_node.imaging import IMAGING_VERSION
from dicom_node.model.card import ModelCard, card_from_metadata
from dicom_node.regions import REGIONS, Region

Float32Array = npt.NDArray[np.float32]
Outcome = Literal["tagged", "abstained"]

INPUT = "image"
OUTPUTS = ("probabilities", "embedding", "activation_map", "reject_score")
# What onnxruntime says of a file; it says other things of the machine.
NO_MODEL = (
    said.Fail, said.InvalidArgument, said.InvalidGraph, said.InvalidProtobuf, said.NoModel, said.NotImplemented,
)  # fmt: skip

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """What the model says of one image.

    `probabilities` are calibrated, in contract order of the regions, and sum to 1; `confidence` is the largest and
    `region` the one that has it, also where the outcome is `abstained`. `embedding` has shape (512,), or 512 for each
    member of an ensemble side by side, `activation_map` (14, h, w): its mean over h and w plus the head's bias is the
    logit (of an ensemble: the mean of its members'). `reject_score`: higher = stranger.
    """

    probabilities: tuple[float, ...]
    region: Region
    confidence: float
    embedding: Float32Array
    activation_map: Float32Array
    reject_score: float
    outcome: Outcome


class Model:
    """A model file ready to predict. `predict` may be called from several threads."""

    def __init__(
        self, session: onnxruntime.InferenceSession, card: ModelCard, *, digest: str, min_confidence: float
    ) -> None:
        self.card = card
        self.sha256 = digest
        self.model_id = f"{card.name}-{card.version}-{digest[:12]}"
        self.min_confidence = min_confidence
        self.provider: str = session.get_providers()[0]
        self._session = session

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        threads: int | None = None,
        min_confidence: float | None = None,
        imaging_version: int = IMAGING_VERSION,
        sha256: str | None = None,
    ) -> Self:
        """Load a model file and check that it was made for this node.

        Args:
            path: an ONNX file made by `python -m training export`.
            threads: onnxruntime's threads inside one operator; its own choice when absent.
            min_confidence: tightens the card's threshold; a lower value than the card's has no effect.
            imaging_version: the pixels that this node makes.
            sha256: what the file must hash to, in hex; another file is refused before any of it is parsed.

        Raises:
            WrongModelError: the file is missing, damaged, another one, or made for another version of the node.
            ModelError: the machine cannot read or load it now.
        """
        content = _read(Path(path))
        digest = hashlib.sha256(content).hexdigest()
        if sha256 is not None and digest != sha256.lower():
            raise WrongModelError(
                f"The model file {path} is not the one that model.sha256 names: it hashes to {digest}."
            )
        with ThreadPoolExecutor(1, initializer=step_back) as behind:  # onnxruntime's threads are started by this one
            session = behind.submit(_start_session, content, threads, Path(path)).result()
        try:
            card = card_from_metadata(session.get_modelmeta().custom_metadata_map, imaging_version=imaging_version)
            _check_graph(session, card)
        except ModelError as error:
            raise WrongModelError(f"The model file {path} cannot be used. {error}") from error
        del content
        _give_back_memory()
        return cls(
            session,
            card,
            digest=digest,
            min_confidence=max(card.thresholds.min_confidence, min_confidence or 0.0),
        )

    def predict(self, batch: Float32Array) -> list[Prediction]:
        """Classify a batch of shape (N, S, S), values in [0, 1], as made by `imaging.model_input`.

        Raises:
            ValueError: another shape, or values that are not finite.
            ModelError: onnxruntime failed.
        """
        size = self.card.input_size
        if batch.ndim != 3 or batch.shape[1:] != (size, size):
            raise ValueError(f"The model takes (N, {size}, {size}), not {batch.shape}.")
        if not np.isfinite(batch).all():
            raise ValueError("The image has values that are not finite.")
        if len(batch) == 0:
            return []
        try:
            outputs = self._session.run(OUTPUTS, {INPUT: np.ascontiguousarray(batch[:, None], dtype=np.float32)})
        except Exception as error:  # onnxruntime's exceptions share no public base class
            raise ModelError(f"The model could not run on a batch of {len(batch)}: {error}") from error
        return [self._prediction(*row) for row in zip(*outputs, strict=True)]

    def _prediction(
        self, probabilities: Float32Array, embedding: Float32Array, activation_map: Float32Array, reject_score: Any
    ) -> Prediction:
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        sure = confidence >= self.min_confidence and float(reject_score) <= self.card.thresholds.reject_above
        return Prediction(
            probabilities=tuple(float(p) for p in probabilities),
            region=REGIONS[best],
            confidence=confidence,
            # Copies, so that a kept prediction does not keep its whole batch in memory.
            embedding=embedding.copy(),
            activation_map=activation_map.copy(),
            reject_score=float(reject_score),
            outcome="tagged" if sure else "abstained",
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        kind = WrongModelError if is_of_the_path(error) else ModelError
        raise kind(f"The model file {path} cannot be read: {error.strerror or error}.") from error


def _start_session(content: bytes, threads: int | None, path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Idle threads of the pool would spin for work on cores that the receiver needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads is not None:
        options.intra_op_num_threads = threads
    if _cuda_is_usable():
        # EXHAUSTIVE, the default, searches again for every new batch size; ours changes with the load.
        cuda = ("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC"})
        try:
            return onnxruntime.InferenceSession(content, options, providers=[cuda, "CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - a driver without a usable device: the CPU still can
            log.warning("model_cuda_failed", error=str(error))
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no public base class
        kind = WrongModelError if isinstance(error, NO_MODEL) else ModelError
        raise kind(f"The model file {path} is not a usable ONNX file: {error}") from error


def _give_back_memory() -> None:
    """Parsing a model took several times its size, and glibc keeps what is free again: 118 MB of the starter's 195."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _cuda_is_usable() -> bool:
    """True when onnxruntime was built for CUDA and a driver is there.

    Asking first keeps onnxruntime from writing its long complaint to the terminal of every machine without a GPU.
    """
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return False
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
    return True


def _check_graph(session: onnxruntime.InferenceSession, card: ModelCard) -> None:
    inputs = {node.name: node.shape for node in session.get_inputs()}
    missing = set(OUTPUTS) - {node.name for node in session.get_outputs()}
    if set(inputs) != {INPUT} or missing:
        raise ModelError(
            f"The model's graph must have the input '{INPUT}' and the outputs {', '.join(OUTPUTS)}; "
            f"it has the inputs {', '.join(inputs)} and lacks {', '.join(sorted(missing)) or 'no output'}."
        )
    if list(inputs[INPUT][1:]) != [1, card.input_size, card.input_size]:
        raise ModelError(
            f"The model's graph takes images of shape {inputs[INPUT][1:]}, "
            f"its card says 1 x {card.input_size} x {card.input_size}."
        )
