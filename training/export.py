"""One ONNX file with everything the node needs, checked in onnxruntime against torch before it is kept."""

import copy
import io
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import ModelProto
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dicom_node.model.card import ModelCard
from dicom_node.model.session import INPUT, OUTPUTS
from training.encoder import Backbone, pooled
from training.errors import TrainingError
from training.graph import FEATURES, OPSET, Floats32, Head, single
from training.heads import Classifier
from training.strangers import put_strangers
from training.turns import VIEWS, with_turns

PARITY = 1e-4


def export(classifier: Classifier, card: ModelCard, path: Path, *, turns: int = 1) -> float:
    """Write the model file and return the largest difference between torch and onnxruntime on any output.

    Args:
        classifier: backbone, head, temperature and rejection.
        card: what the file will say of itself.
        path: where to write.
        turns: 4 or 8 for a mean over quarter turns, or over mirrored ones as well (`training.turns`).

    Raises:
        TrainingError: onnxruntime's outputs differ from torch's by more than 1e-4, relative to each output's largest
            value where that is above 1.
    """
    plain, hang = traced_trunk(classifier.backbone, card.input_size), classifier.hang.cpu().numpy()
    trunk = with_turns(plain, turns, card.input_size, hang)
    model = single(trunk, folded_head(classifier), classifier.rejection, card)
    put_strangers(model, classifier.strangers.cpu().numpy())
    content = model.SerializeToString()
    images = trial_images(card.input_size)
    expected = expected_outputs(classifier, images, turns)
    difference = largest_difference(expected, run(content, images))
    if difference > PARITY:
        raise TrainingError(
            f"The exported file differs from torch by {difference:.2g}, more than {PARITY:g}; not kept."
        )
    path.write_bytes(content)
    return difference


def folded_head(classifier: Classifier) -> Head:
    """The head with the temperature divided out, so that the activation map's mean plus the bias is the logit."""
    weight = classifier.weight.detach().double().cpu().numpy() / classifier.temperature
    bias = classifier.bias.detach().double().cpu().numpy() / classifier.temperature
    return Head(weight=weight.astype(np.float32), bias=bias.astype(np.float32))


def traced_trunk(backbone: Backbone, size: int) -> ModelProto:
    """The backbone, its batch norms folded into the convolutions, as `image` -> `features`."""
    module = _Trunk(_without_batch_norms(copy.deepcopy(backbone).cpu().eval()))
    buffer = io.BytesIO()
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
            output_names=[FEATURES],
            dynamic_axes={INPUT: {0: "n"}, FEATURES: {0: "n"}},
        )
    return onnx.load_from_string(buffer.getvalue())


class _Trunk(nn.Module):
    """Keeps the parameters' names `backbone.*`, by which `training.reopen` finds them in the file."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.backbone(image)
        return features


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
def expected_outputs(classifier: Classifier, images: Floats32, turns: int = 1) -> dict[str, Floats32]:
    """What the file must give for `images` (N, 1, S, S), computed by torch and numpy by another way than the file's."""
    backbone = copy.deepcopy(classifier.backbone).cpu().eval()
    features = _merged_views(backbone, torch.from_numpy(images), turns, classifier.hang)
    embedding = pooled(features)
    logits = classifier.logits(embedding)
    at_each_place = torch.einsum("kc,nchw->nkhw", classifier.weight / classifier.temperature, features)
    score = classifier.rejection.score(embedding.double().numpy(), logits.double().numpy())
    return {
        "probabilities": logits.softmax(dim=1).numpy(),
        "embedding": embedding.numpy(),
        "activation_map": at_each_place.numpy(),
        "reject_score": score.astype(np.float32),
    }


def _merged_views(backbone: nn.Module, images: Tensor, turns: int, hang: Tensor) -> Tensor:
    """Features (N, 512, h, w): each view's, turned back, in the shares that `hang` gives them."""
    features = torch.stack([_of_view(backbone, images, *view) for view in VIEWS[turns]])
    votes = torch.softmax(features.mean(dim=(3, 4)) @ hang, dim=0)
    return (votes[..., None, None, None] * features).sum(dim=0)


def _of_view(backbone: nn.Module, images: Tensor, transposed: bool, axes: tuple[int, ...]) -> Tensor:  # noqa: FBT001 - as in VIEWS
    features = torch.flip(backbone(torch.flip(images.transpose(2, 3) if transposed else images, axes)), axes)
    return features.transpose(2, 3) if transposed else features


def trial_images(size: int) -> Floats32:
    """(8, 1, S, S) in [0, 1]: noise, smooth patterns, black and white."""
    random = torch.Generator().manual_seed(0)
    noise = torch.rand(3, 1, size, size, generator=random)
    smooth = torch.nn.functional.interpolate(noise[:, :, :4, :4], size=(size, size), mode="bilinear")
    images: Floats32 = torch.cat([noise, smooth, torch.zeros(1, 1, size, size), torch.ones(1, 1, size, size)]).numpy()
    return images


def run(content: bytes, images: Floats32) -> dict[str, Floats32]:
    """All outputs of a model file's content in onnxruntime, on the CPU."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return dict(zip(OUTPUTS, session.run(OUTPUTS, {INPUT: images}), strict=True))


def largest_difference(expected: dict[str, Floats32], got: dict[str, Floats32]) -> float:
    """Over all outputs, each in units of max(1, its largest value)."""
    return max(
        float(np.abs(expected[name] - got[name]).max() / max(1.0, float(np.abs(expected[name]).max())))
        for name in OUTPUTS
    )
