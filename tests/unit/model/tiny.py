"""A model file small enough to reason about: its feature map is the image itself."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dicom_node.imaging import IMAGING_VERSION
from dicom_node.model.card import LABELS, METADATA_KEY, ModelCard, Thresholds

SIZE = 8


def tiny_card(**changes: object) -> ModelCard:
    """A valid card; name only what the test is about."""
    values: dict[str, object] = {
        "name": "tiny",
        "version": "1.0",
        "labels": LABELS,
        "input_size": SIZE,
        "imaging_version": IMAGING_VERSION,
        "temperature": 1.0,
        "thresholds": Thresholds(min_confidence=0.5, reject_above=-1.0),
    }
    return ModelCard(**{**values, **changes})  # type: ignore[arg-type]


def write_tiny_model(path: Path, metadata: dict[str, str] | None = None) -> Path:
    """Write a model whose logit for region i is 10 * i * mean(image) for i = 0 and 1, and 0 for the others.

    A white image is therefore `shoulder` with confidence near 1, a black one is equally likely everything.
    """
    weight = np.zeros((14, 1), np.float32)
    weight[1] = 10.0
    kernel = weight.reshape(14, 1, 1, 1)
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["activation_map"]),
        helper.make_node("GlobalAveragePool", ["activation_map"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ReduceLogSumExp", ["logits", "axis"], ["log_sum"], keepdims=0),
        helper.make_node("Neg", ["log_sum"], ["reject_score"]),
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat_mean"]),
        helper.make_node("Tile", ["flat_mean", "repeats"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, SIZE, SIZE])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 14]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 512]),
            helper.make_tensor_value_info("activation_map", TensorProto.FLOAT, ["n", 14, SIZE, SIZE]),
            helper.make_tensor_value_info("reject_score", TensorProto.FLOAT, ["n"]),
        ],
        [
            numpy_helper.from_array(kernel, "kernel"),
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
            numpy_helper.from_array(np.array([1, 512], np.int64), "repeats"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: tiny_card().to_json()} if metadata is None else metadata)
    onnx.save(model, path)
    return path
