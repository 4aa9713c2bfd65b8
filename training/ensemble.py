"""Several models as one: their softmax outputs summed (Langer et al. 2024, section 3.4), in one ONNX graph."""

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto

from dicom_node.model.card import ModelCard
from dicom_node.model.session import INPUT, OUTPUTS
from training.errors import TrainingError
from training.graph import Parts, finished, needed_for, renamed
from training.metrics import Floats, softmax
from training.reopen import head_of_file

LEAST = 1e-12
"""Added to a probability before its logarithm."""


def summed(probabilities: Sequence[Floats], temperature: float = 1.0) -> Floats:
    """(N, 14) from the members' (N, 14) each: the mean, made sharper or flatter by one temperature.

    At temperature 1 it is the mean itself; the order of the regions never depends on it.
    """
    return softmax(np.log(np.mean(np.stack(list(probabilities)), axis=0) + LEAST) / temperature)


def ensemble_model(members: Sequence[ModelProto], card: ModelCard, temperature: float) -> ModelProto:
    """One graph out of model files that take the same input.

    - `probabilities`: see `summed`.
    - `embedding` (N, 512 * members): the members' embeddings, each divided by its length, side by side; the cosine
      similarity of two images is then the mean of the members'.
    - `activation_map` (N, 14, h, w): the mean of the members' maps. It explains the mean of their logits, which is not
      quite what the summed softmax says; no map could add up to that exactly.
    - `reject_score`: the mean of the members' scores.

    Raises:
        TrainingError: fewer than two members, or one of them is an ensemble itself.
    """
    if len(members) < 2:
        raise TrainingError("An ensemble needs two models at least.")
    top = Parts("ensemble.")
    nodes: list[NodeProto] = []
    constants: list[TensorProto] = []
    for number, member in enumerate(members):
        head_of_file(member)
        needed_nodes, needed_constants = needed_for(_copy(member), OUTPUTS)
        own_nodes, own_constants = list(needed_nodes), list(needed_constants)
        names = {name for node in own_nodes for name in (*node.input, *node.output)} - {INPUT, ""}
        names |= {tensor.name for tensor in own_constants}
        renamed(own_nodes, own_constants, {name: f"member{number}.{name}" for name in names})
        for node in own_nodes:
            node.name = f"member{number}.{node.name}" if node.name else ""
        nodes += own_nodes
        constants += own_constants
        top.add("LpNormalization", [f"member{number}.embedding"], f"ensemble.direction{number}", axis=1, p=2)
    each = range(len(members))
    top.add("Mean", [f"member{n}.probabilities" for n in each], "ensemble.mean")
    least = top.constant("least", np.float32(LEAST))
    top.add("Log", [top.add("Add", ["ensemble.mean", least], "ensemble.positive")], "ensemble.log")
    cool = top.constant("temperature", np.float32(temperature))
    top.add("Softmax", [top.add("Div", ["ensemble.log", cool], "ensemble.logits")], "probabilities", axis=1)
    top.add("Concat", [f"ensemble.direction{n}" for n in each], "embedding", axis=1)
    top.add("Mean", [f"member{n}.activation_map" for n in each], "activation_map")
    top.add("Mean", [f"member{n}.reject_score" for n in each], "reject_score")
    return finished([*nodes, *top.nodes], [*constants, *top.constants], card, embedding=512 * len(members))


def _copy(model: ModelProto) -> ModelProto:
    copied = ModelProto()
    copied.CopyFrom(model)
    return copied
