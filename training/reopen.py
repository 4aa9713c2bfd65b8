"""Model files opened again: the trunk, the head, and the torch backbone that a file was exported from."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import ModelProto, numpy_helper

from dicom_node.model.card import ModelCard, card_from_metadata
from training.errors import TrainingError
from training.graph import FEATURES, Floats32, Head, needed_for, producer, renamed, trunk_model

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from training.encoder import Backbone


def open_file(path: Path) -> tuple[ModelProto, ModelCard]:
    """Read a model file with its card.

    Raises:
        TrainingError: the file cannot be read.
        ModelError: it has no card of this release.
    """
    try:
        model = onnx.load(path)
    except Exception as error:  # onnx raises protobuf's own errors, which share no public base class
        raise TrainingError(f"The model file {path} cannot be read: {type(error).__name__}.") from error
    return model, card_from_metadata({entry.key: entry.value for entry in model.metadata_props})


def values_of(model: ModelProto, name: str) -> Floats32 | None:
    """The float32 values of a constant, also where it is stored as float16 behind a Cast."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    if name not in stored:
        casts = [node for node in model.graph.node if node.op_type == "Cast" and name in node.output]
        name = casts[0].input[0] if casts else name
    return numpy_helper.to_array(stored[name]).astype(np.float32) if name in stored else None


def head_of_file(model: ModelProto) -> Head:
    """The linear head behind `probabilities`.

    Raises:
        TrainingError: the probabilities do not come from one linear head, as in an ensemble.
    """
    softmax = producer(model, "probabilities")
    gemm = producer(model, softmax.input[0])
    if softmax.op_type == "Softmax" and gemm.op_type == "Gemm" and gemm.input[0] == "embedding":
        weight, bias = values_of(model, gemm.input[1]), values_of(model, gemm.input[2])
        if weight is not None and bias is not None:
            return Head(weight=weight, bias=bias)
    raise TrainingError("The model has not one linear head but several: it is an ensemble; take one of its members.")


def features_of_file(model: ModelProto) -> str:
    """The name of the feature map whose mean is the embedding."""
    pooling = producer(model, "embedding")
    if pooling.op_type != "ReduceMean":
        raise TrainingError("The model's embedding is not the mean of one feature map: it is an ensemble.")
    return str(pooling.input[0])


def trunk_of_file(model: ModelProto, size: int) -> ModelProto:
    """`image` -> `features`, taken out of a model file."""
    features = features_of_file(model)
    nodes, constants = needed_for(model, [features])
    copied = onnx.ModelProto()
    copied.graph.node.extend(nodes)
    copied.graph.initializer.extend(constants)
    renamed(copied.graph.node, copied.graph.initializer, {features: FEATURES})
    return trunk_model(copied.graph.node, copied.graph.initializer, size)


def backbone_of_file(model: ModelProto) -> "Backbone":
    """The torch backbone with a file's weights; in evaluation mode it computes what the file computes.

    The export folded each batch norm into its convolution, so the norms come back as plain shifts. Before anything is
    trained, `settle_batch_norms` must give them statistics again.

    Raises:
        TrainingError: the file's convolutions are not those of this release's backbone (quantised, or an ensemble).
    """
    import torch

    from training.encoder import Backbone

    backbone = Backbone().eval()
    folded = _norm_after_each_convolution(backbone)
    with torch.no_grad():
        for name, (convolution, norm) in folded.items():
            weight, bias = values_of(model, f"backbone.{name}.weight"), values_of(model, f"backbone.{name}.bias")
            if weight is None or bias is None or weight.shape != tuple(convolution.weight.shape):
                raise TrainingError(
                    "The model file is quantised, an ensemble or of another release; give the run folder."
                )
            convolution.weight.copy_(torch.from_numpy(weight))
            norm.weight.fill_(1.0)
            norm.bias.copy_(torch.from_numpy(bias))
            norm.running_mean.zero_()  # type: ignore[union-attr]
            norm.running_var.fill_(1.0 - norm.eps)  # type: ignore[union-attr]
    return backbone


def settle_batch_norms(backbone: "Backbone", images: "Tensor") -> None:
    """Give batch norms that were folded away the statistics of `images` (N, 1, S, S), keeping what they compute.

    In evaluation mode nothing changes; in training mode a batch like `images` is now normalised to about the same, so
    that training goes on from the weights instead of first repairing them.
    """
    import torch

    seen: dict[str, tuple[Tensor, Tensor]] = {}
    norms = _norm_after_each_convolution(backbone)

    def watch(name: str) -> torch.utils.hooks.RemovableHandle:
        def note(_module: object, _inputs: object, output: "Tensor") -> None:
            seen[name] = output.mean(dim=(0, 2, 3)), output.var(dim=(0, 2, 3), unbiased=False)

        return norms[name][0].register_forward_hook(note)

    handles = [watch(name) for name in norms]
    with torch.no_grad():
        backbone.eval()(images)
        for handle in handles:
            handle.remove()
        for name, (_, norm) in norms.items():
            mean, variance = seen[name]
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)  # type: ignore[operator,arg-type]
            norm.bias.copy_(norm.bias + scale * (mean - norm.running_mean))  # type: ignore[operator]
            norm.weight.copy_(scale * torch.sqrt(variance + norm.eps))
            norm.running_mean.copy_(mean)  # type: ignore[union-attr]
            norm.running_var.copy_(variance)  # type: ignore[union-attr]


def _norm_after_each_convolution(backbone: "Backbone") -> dict[str, tuple["torch.nn.Conv2d", "torch.nn.BatchNorm2d"]]:
    """Each convolution's name, with itself and the batch norm that stands right after it."""
    from torch import nn

    pairs: dict[str, tuple[nn.Conv2d, nn.BatchNorm2d]] = {}
    for parent_name, parent in backbone.named_modules():
        before: tuple[str, nn.Conv2d] | None = None
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d) and before is not None:
                pairs[f"{parent_name}.{before[0]}".lstrip(".")] = before[1], child
            before = (name, child) if isinstance(child, nn.Conv2d) else None
    return pairs
