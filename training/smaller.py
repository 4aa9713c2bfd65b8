"""A smaller model file: float16 storage, or static int8 for the trunk, whichever costs less than it may."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from dicom_node.model.card import Thresholds
from dicom_node.model.session import INPUT
from training.graph import FEATURES, Floats32, needed_for, renamed, trunk_model
from training.images import UInt8Array
from training.manifest import UNLABELLED
from training.metrics import Bools, Ints
from training.reopen import features_of_file

SMALL = 1024
"""Tensors with fewer values stay float32: they weigh nothing, and biases are where rounding would show."""

CALIBRATION_BATCH = 16


def as_float16(model: ModelProto) -> ModelProto:
    """The same model with its large constants stored as float16 and cast up, which onnxruntime folds when it loads.

    Half the file; computed in float32 as before.
    """
    made = ModelProto()
    made.CopyFrom(model)
    casts = []
    for tensor in made.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALL:
            continue
        name, values = tensor.name, numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + "_float16"))
        casts.append(helper.make_node("Cast", [name + "_float16"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *made.graph.node]
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    onnx.checker.check_model(made)
    return made


def as_int8(model: ModelProto, size: int, images: UInt8Array) -> ModelProto:
    """The same model with its trunk's convolutions in int8 (static, per output channel); what lies on it stays float.

    Args:
        model: a file with one trunk.
        size: the input's side.
        images: (N, S, S) uint8, real ones, from which the ranges of the activations are taken; a few hundred do.
    """
    features = features_of_file(model)
    trunk_nodes, trunk_constants = needed_for(model, [features])
    below = ModelProto()
    below.graph.node.extend(trunk_nodes)
    below.graph.initializer.extend(trunk_constants)
    renamed(below.graph.node, below.graph.initializer, {features: FEATURES})
    quantised = _quantised(trunk_model(below.graph.node, below.graph.initializer, size), images)
    renamed(quantised.graph.node, quantised.graph.initializer, {FEATURES: features})
    made_below = {name for node in trunk_nodes for name in node.output}
    above = [node for node in model.graph.node if not made_below & set(node.output)]
    read = {name for node in above for name in node.input}
    constants = [tensor for tensor in model.graph.initializer if tensor.name in read]
    made = ModelProto()
    made.CopyFrom(model)
    del made.graph.node[:], made.graph.initializer[:], made.graph.value_info[:]
    made.graph.node.extend([*quantised.graph.node, *above])
    made.graph.initializer.extend([*quantised.graph.initializer, *constants])
    onnx.checker.check_model(made)
    return made


class _Pictures(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    def __init__(self, images: UInt8Array) -> None:
        self._batches = self._feed(images)

    def get_next(self) -> dict[str, Floats32] | None:
        return next(self._batches, None)

    @staticmethod
    def _feed(images: UInt8Array) -> Iterator[dict[str, Floats32]]:
        for start in range(0, len(images), CALIBRATION_BATCH):
            part = images[start : start + CALIBRATION_BATCH, None]
            yield {INPUT: part.astype(np.float32) / np.float32(255.0)}


def _quantised(trunk: ModelProto, images: UInt8Array) -> ModelProto:
    with TemporaryDirectory() as folder:
        before, clean, after = (Path(folder) / name for name in ("before.onnx", "clean.onnx", "after.onnx"))
        onnx.save(trunk, before)
        quant_pre_process(str(before), str(clean), skip_symbolic_shape=True)
        quantize_static(
            str(clean),
            str(after),
            _Pictures(images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=["Conv", "Add", "MaxPool", "Relu"],
        )
        return onnx.load(after)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A file's size, speed and answers. `milliseconds` are per image, in batches of one, best of several rounds."""

    bytes: int
    milliseconds: float
    top1: float | None
    agrees: float
    """Share of images for which it names the same region as the float32 file."""
    tagged: float
    """Share of images that it does not abstain from."""
    wrongly_tagged: float
    """Share of images tagged as what they do not show; of those that nobody labelled, otherwise than by float32."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What a file says of images: `regions` (N,) the most probable one of each, `tagged` (N,) whether it is sure."""

    regions: Ints
    tagged: Bools


def measure(content: bytes, images: UInt8Array, targets: Ints, thresholds: Thresholds, reference: Answers) -> Measured:
    """Run a file on images (N, S, S) and compare.

    Args:
        content: the file's.
        images: at the model's input size.
        targets: (N,) region, `OOD` or `UNLABELLED`.
        thresholds: when it abstains.
        reference: what the float32 file says of the same images.
    """
    got, known = answers(content, images, thresholds), targets >= 0
    as_reference = reference.tagged & (got.regions == reference.regions)
    right = np.where(targets == UNLABELLED, as_reference, got.regions == targets)
    return Measured(
        bytes=len(content),
        milliseconds=milliseconds_per_image(content, images),
        top1=float((got.regions == targets)[known].mean()) if known.any() else None,
        agrees=float((got.regions == reference.regions).mean()),
        tagged=float(got.tagged.mean()),
        wrongly_tagged=float((got.tagged & ~right).mean()),
    )


def answers(content: bytes, images: UInt8Array, thresholds: Thresholds) -> Answers:
    """What a file says of images (N, S, S), as the node would take it."""
    session = _session(content, threads=0)
    regions, tagged = [], []
    for start in range(0, len(images), CALIBRATION_BATCH):
        batch = images[start : start + CALIBRATION_BATCH, None].astype(np.float32) / np.float32(255.0)
        probabilities, scores = session.run(["probabilities", "reject_score"], {INPUT: batch})
        regions.append(probabilities.argmax(axis=1))
        sure = probabilities.max(axis=1) >= thresholds.min_confidence
        tagged.append(sure & (scores <= thresholds.reject_above))
    return Answers(regions=np.concatenate(regions), tagged=np.concatenate(tagged))


def milliseconds_per_image(content: bytes, images: UInt8Array, *, rounds: int = 5, each: int = 20) -> float:
    """On one core, image by image; the best round, since others share the CPU."""
    session, best = _session(content, threads=1), float("inf")
    batch = images[:1, None].astype(np.float32) / np.float32(255.0)
    session.run(["probabilities"], {INPUT: batch})
    for _ in range(rounds):
        begun = time.perf_counter()
        for _ in range(each):
            session.run(["probabilities"], {INPUT: batch})
        best = min(best, (time.perf_counter() - begun) / each * 1000.0)
    return best


def _session(content: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, threads
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
