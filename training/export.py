"""One ONNX file with everything the node needs, checked in onnxruntime against torch before it is kept."""

import copy
import io
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dicom_node.model.card import METADATA_KEY, ModelCard
from dicom_node.model.session import INPUT, OUTPUTS
from training.encoder import pooled
from training.errors import TrainingError
from training.heads import Classifier

OPSET, IR_VERSION = 18, 9
PARITY = 1e-4
SMALL = 1024
"""Tensors with fewer values stay float32: they weigh nothing, and biases are where rounding would show."""


class Exported(nn.Module):
    """The graph of the model file: `image` (N, 1, S, S) -> the outputs that `dicom_node.model.session` names.

    The temperature is folded into the head, so the class activation map (Zhou et al. 2016, arXiv 1512.04150) is exact:
    its spatial mean plus the folded bias is the calibrated logit.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.backbone = _without_batch_norms(copy.deepcopy(classifier.backbone).cpu().eval())
        self.weight = nn.Parameter(classifier.weight.float() / classifier.temperature)
        self.bias = nn.Parameter(classifier.bias.float() / classifier.temperature)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        features = self.backbone(image)
        embedding = pooled(features)
        logits = torch.nn.functional.linear(embedding, self.weight, self.bias)
        activation_map = torch.nn.functional.conv2d(features, self.weight[:, :, None, None])
        return logits.softmax(dim=1), embedding, activation_map, -logits.logsumexp(dim=1)


def export(classifier: Classifier, card: ModelCard, path: Path, *, float16: bool = False) -> float:
    """Write the model file and return the largest difference between torch and onnxruntime on any output.

    Args:
        classifier: backbone, head and temperature.
        card: what the file will say of itself.
        path: where to write.
        float16: round large weights to half precision and store them so (half the file); the graph casts them up and
            computes in float32. The comparison is then with torch on the rounded weights.

    Raises:
        TrainingError: onnxruntime's outputs differ from torch's by more than 1e-4, relative to each output's largest
            value where that is above 1.
    """
    module = Exported(classifier).eval()
    if float16:
        _round_to_float16(module)
    model = _traced(module, card.input_size)
    if float16:
        _store_as_float16(model)
    helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    onnx.checker.check_model(model)
    content = model.SerializeToString()
    difference = _difference(module, content, card.input_size)
    if difference > PARITY:
        raise TrainingError(
            f"The exported file differs from torch by {difference:.2g}, more than {PARITY:g}; not kept."
        )
    path.write_bytes(content)
    return difference


def _without_batch_norms(module: nn.Module) -> nn.Module:
    """Fold every batch norm into the convolution that stands right before it among its parent's children."""
    for parent in list(module.modules()):
        before: tuple[str, nn.Module] | None = None
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and before is not None and isinstance(before[1], nn.Conv2d):
                setattr(parent, before[0], fuse_conv_bn_eval(before[1], child))
                setattr(parent, name, nn.Identity())
            before = name, child
    return module


@torch.no_grad()
def _round_to_float16(module: nn.Module) -> None:
    for parameter in module.parameters():
        if parameter.numel() >= SMALL:
            parameter.copy_(parameter.half().float())


def _traced(module: nn.Module, size: int) -> onnx.ModelProto:
    buffer = io.BytesIO()
    axes: Mapping[str, dict[int, str]] = {name: {0: "n"} for name in (INPUT, *OUTPUTS)}
    with warnings.catch_warnings():
        # The newer exporter needs onnxscript and fixes nothing that this plain graph has.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.zeros(2, 1, size, size),),
            buffer,  # type: ignore[arg-type]  # a stream does as well
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes=axes,
        )
    model = onnx.load_from_string(buffer.getvalue())
    model.ir_version = IR_VERSION
    return model


def _store_as_float16(model: onnx.ModelProto) -> None:
    """Store large initialisers, already rounded, as float16 with a Cast, which onnxruntime folds away when it loads."""
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALL:
            continue
        name, values = tensor.name, numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + "_float16"))
        casts.append(helper.make_node("Cast", [name + "_float16"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


@torch.no_grad()
def _difference(module: nn.Module, content: bytes, size: int) -> float:
    """Largest difference over all outputs, on noise and on flat images, each in units of max(1, |output|'s largest)."""
    random = torch.Generator().manual_seed(0)
    noise = torch.rand(3, 1, size, size, generator=random)
    smooth = torch.nn.functional.interpolate(noise[:, :, :4, :4], size=(size, size), mode="bilinear")
    images = torch.cat([noise, smooth, torch.zeros(1, 1, size, size), torch.ones(1, 1, size, size)])
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    got = session.run(OUTPUTS, {INPUT: images.numpy()})
    expected = [output.numpy() for output in module(images)]
    return max(float(np.abs(e - g).max() / max(1.0, np.abs(e).max())) for e, g in zip(expected, got, strict=True))
