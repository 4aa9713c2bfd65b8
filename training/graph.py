"""The model file as ONNX parts, without torch: a trunk, a head on it, and the score by which images are rejected.

    image (N, 1, S, S) -> trunk -> features (N, 512, h, w) -> mean -> embedding -> head -> probabilities
                                            └-> head at each place -> activation_map
                                                           embedding, logits -> reject_score

A trunk is a model of its own whose one output is `features`, so that it can be quantised, turned or taken out of a
file without touching what lies on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from dicom_node.model.card import LABELS, METADATA_KEY, ModelCard
from dicom_node.model.session import INPUT
from training.errors import TrainingError
from training.rejection import Rejection

OPSET, IR_VERSION = 18, 9
FEATURES = "features"
Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """`weight` (14, D) and `bias` (14,) on the embedding, the temperature already divided out of both."""

    weight: Floats32
    bias: Floats32


class Parts:
    """Nodes and constants while a graph grows; `prefix` keeps the names of several heads apart."""

    def __init__(self, prefix: str = "") -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._prefix = prefix

    def name(self, name: str) -> str:
        return self._prefix + name

    def constant(self, name: str, values: npt.ArrayLike) -> str:
        """Add a constant and return its name; floats become float32."""
        array = np.asarray(values)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array
        self.constants.append(numpy_helper.from_array(array, self.name(name)))
        return self.name(name)

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node with one output and return its name."""
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output


def add_pooling(parts: Parts, features: str, embedding: str) -> None:
    """Global average pooling: (N, 512, h, w) -> (N, 512)."""
    parts.add("ReduceMean", [features, parts.constant("height_and_width", np.array([2, 3]))], embedding, keepdims=0)


def add_head(parts: Parts, head: Head, *, features: str, embedding: str, logits: str, activation_map: str) -> None:
    """The linear head, on the embedding and on each place of the features that the embedding is the mean of.

    The class activation map (Zhou et al. 2016, arXiv 1512.04150) is exact: its spatial mean plus the bias is the logit.
    """
    weight = parts.constant("head.weight", head.weight)
    bias = parts.constant("head.bias", head.bias)
    each = parts.constant("head.weight_at_each_place", head.weight[:, :, None, None])
    parts.add("Gemm", [embedding, weight, bias], logits, transB=1)
    parts.add("Conv", [features, each], activation_map)


def add_rejection(parts: Parts, rejection: Rejection, *, embedding: str, logits: str, output: str) -> None:
    """`Rejection.score` as ONNX nodes: (N,), higher = stranger."""
    name = parts.name
    last = parts.constant("last_axis", np.array([1]))
    match rejection.statistic:
        case "energy":
            parts.add("ReduceLogSumExp", [logits, last], name("log_sum"), keepdims=0)
            parts.add("Neg", [name("log_sum")], output)
        case "max_probability":
            parts.add("Softmax", [logits], name("softmax"), axis=1)
            parts.add("ReduceMax", [name("softmax"), last], name("largest"), keepdims=0)
            parts.add("Neg", [name("largest")], output)
        case "mahalanobis":
            parts.add("Sub", [embedding, parts.constant("reject.centre", rejection.centre)], name("centred"))
            projection = parts.constant("reject.projection", rejection.projection)
            parts.add("MatMul", [name("centred"), projection], name("white"))
            parts.add("ReduceSumSquare", [name("white"), last], name("length"), keepdims=1)
            means = np.asarray(rejection.means)
            parts.add("MatMul", [name("white"), parts.constant("reject.means", -2.0 * means.T)], name("cross"))
            parts.add("Add", [name("length"), name("cross")], name("partly"))
            squares = parts.constant("reject.mean_lengths", (means**2).sum(axis=1))
            parts.add("Add", [name("partly"), squares], name("distances"))
            parts.add("ReduceMin", [name("distances"), last], output, keepdims=0)
        case "knn":
            parts.add("LpNormalization", [embedding], name("direction"), axis=1, p=2)
            bank = parts.constant("reject.bank", np.asarray(rejection.bank).T)
            parts.add("MatMul", [name("direction"), bank], name("cosines"))
            k = parts.constant("reject.k", np.array([rejection.k]))
            parts.nodes.append(helper.make_node("TopK", [name("cosines"), k], [name("nearest"), name("which")], axis=1))
            parts.add("ReduceMin", [name("nearest"), last], name("kth"), keepdims=0)
            parts.add("Sub", [parts.constant("reject.one", np.float32(1.0)), name("kth")], output)


def single(trunk: ModelProto, head: Head, rejection: Rejection, card: ModelCard) -> ModelProto:
    """One trunk with one head: the usual model file."""
    parts = Parts()
    add_pooling(parts, FEATURES, "embedding")
    add_head(parts, head, features=FEATURES, embedding="embedding", logits="logits", activation_map="activation_map")
    parts.add("Softmax", ["logits"], "probabilities", axis=1)
    add_rejection(parts, rejection, embedding="embedding", logits="logits", output="reject_score")
    return finished([*trunk.graph.node, *parts.nodes], [*trunk.graph.initializer, *parts.constants], card)


def with_head(
    model: ModelProto, features: str, head: Head, card: ModelCard, rejection: Rejection | None = None
) -> ModelProto:
    """A model file with another head; trunk and embedding stay, to the bit, what they were.

    Without a new rejection the reject score stays as well, with the old head's logits where it needs them, so that the
    limit which was validated with it holds.
    """
    nodes, constants = needed_for(model, ["embedding", features] if rejection else ["embedding", "reject_score"])
    taken = {name for node in nodes for name in node.output} | {tensor.name for tensor in constants}
    number = next(n for n in range(1, 1000) if not any(name.startswith(f"head{n}.") for name in taken))
    parts = Parts(f"head{number}.")
    logits = parts.name("logits")
    add_head(parts, head, features=features, embedding="embedding", logits=logits, activation_map="activation_map")
    parts.add("Softmax", [logits], "probabilities", axis=1)
    if rejection is not None:
        add_rejection(parts, rejection, embedding="embedding", logits=logits, output="reject_score")
    made = finished([*nodes, *parts.nodes], [*constants, *parts.constants], card)
    for entry in model.metadata_props:
        if entry.key != METADATA_KEY:
            made.metadata_props.append(entry)
    return made


def finished(
    nodes: Sequence[NodeProto], constants: Sequence[TensorProto], card: ModelCard, *, embedding: int = 512
) -> ModelProto:
    """A checked model with the node's input and outputs, and the card in its metadata."""
    shapes: dict[str, list[str | int]] = {
        "probabilities": ["n", len(LABELS)],
        "embedding": ["n", embedding],
        "activation_map": ["n", len(LABELS), "h", "w"],
        "reject_score": ["n"],
    }
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    model = _model(nodes, constants, outputs, card.input_size)
    with_card(model, card)
    onnx.checker.check_model(model)
    return model


def with_card(model: ModelProto, card: ModelCard) -> None:
    """Write the card into the model's metadata, over the one that may be there."""
    others = {entry.key: entry.value for entry in model.metadata_props if entry.key != METADATA_KEY}
    helper.set_model_props(model, {METADATA_KEY: card.to_json(), **others})


def trunk_model(nodes: Sequence[NodeProto], constants: Sequence[TensorProto], size: int) -> ModelProto:
    """A model whose one output is `features` (N, 512, h, w)."""
    outputs = [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["n", 512, "h", "w"])]
    return _model(nodes, constants, outputs, size)


def _model(
    nodes: Sequence[NodeProto],
    constants: Sequence[TensorProto],
    outputs: Sequence[onnx.ValueInfoProto],
    size: int,
) -> ModelProto:
    image = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", 1, size, size])
    graph = helper.make_graph(list(nodes), "region", [image], list(outputs), list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def needed_for(model: ModelProto, outputs: Sequence[str]) -> tuple[list[NodeProto], list[TensorProto]]:
    """The nodes and constants of a model from which `outputs` are computed, in their order."""
    wanted, nodes = set(outputs), []
    for node in reversed(model.graph.node):
        if wanted & set(node.output):
            nodes.append(node)
            wanted |= set(node.input)
    return nodes[::-1], [tensor for tensor in model.graph.initializer if tensor.name in wanted]


def producer(model: ModelProto, tensor: str) -> NodeProto:
    """The node that computes `tensor`.

    Raises:
        TrainingError: none does.
    """
    for node in model.graph.node:
        if tensor in node.output:
            found: NodeProto = node
            return found
    raise TrainingError(f"The model's graph does not compute '{tensor}': export it again with this release.")


def renamed(nodes: Sequence[NodeProto], constants: Sequence[TensorProto], names: dict[str, str]) -> None:
    """Rename tensors in place wherever they are made or read."""
    for node in nodes:
        for index, name in enumerate(node.input):
            node.input[index] = names.get(name, name)
        for index, name in enumerate(node.output):
            node.output[index] = names.get(name, name)
    for tensor in constants:
        tensor.name = names.get(tensor.name, tensor.name)
