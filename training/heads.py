"""A backbone with a linear head, as `probe`, `calibrate` and `export` hand it on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dicom_node.model.card import LABELS
from training.encoder import EMBEDDING, Backbone, pooled
from training.errors import TrainingError
from training.hang import no_hang
from training.rejection import Rejection
from training.runs import load_weights
from training.turns import turned

BATCH = 128


@dataclass(frozen=True, kw_only=True, eq=False)
class Classifier:
    """`weight` (14, 512) and `bias` (14,) on the backbone's embedding; logits are divided by `temperature`.

    `rejection` tells how strange an image is; `strangers` (M, 512) are embeddings out of domain that the model file
    carries along (`training.strangers`); `hang` (512,) weighs the views of a turned image (`training.hang`).
    """

    backbone: Backbone
    weight: Tensor
    bias: Tensor
    temperature: float = 1.0
    rejection: Rejection = field(default_factory=Rejection)
    strangers: Tensor = field(default_factory=lambda: torch.zeros(0, EMBEDDING))
    hang: Tensor = field(default_factory=no_hang)

    def logits(self, embeddings: Tensor) -> Tensor:
        """(N, 512) -> calibrated logits (N, 14)."""
        return torch.nn.functional.linear(embeddings, self.weight, self.bias) / self.temperature

    def weights(self) -> dict[str, Any]:
        """What `load_classifier` reads."""
        head = {"weight": self.weight, "bias": self.bias}
        return {
            "backbone": self.backbone.state_dict(),
            "head": head,
            "temperature": self.temperature,
            "rejection": self.rejection.state(),
            "strangers": self.strangers,
            "hang": self.hang,
        }


def load_backbone(folder: Path) -> Backbone:
    """The backbone of a finished run."""
    backbone = Backbone()
    _load(backbone, load_weights(folder).get("backbone"), folder)
    return backbone.eval()


def load_classifier(folder: Path) -> Classifier:
    """Backbone and head of a supervised pretrain, a probe or a calibrate run.

    Raises:
        TrainingError: the run has no head.
    """
    weights = load_weights(folder)
    head = head_of(weights)
    if head is None:
        raise TrainingError(f"The run {folder} has no linear head: run `python -m training probe --from {folder}`.")
    return Classifier(
        backbone=load_backbone(folder),
        weight=head[0],
        bias=head[1],
        temperature=float(weights.get("temperature", 1.0)),
        rejection=Rejection.from_state(weights["rejection"]) if "rejection" in weights else Rejection(),
        strangers=weights.get("strangers", torch.zeros(0, EMBEDDING)),
        hang=weights.get("hang", no_hang()),
    )


def trained_classifier(weights: dict[str, Any]) -> Classifier:
    """Backbone and head that a supervised training has just handed on, for the CPU."""
    backbone, head = Backbone(), head_of(weights)
    assert head is not None
    backbone.load_state_dict(weights["backbone"])
    return Classifier(backbone=backbone.eval(), weight=head[0].cpu(), bias=head[1].cpu())


def head_of(weights: dict[str, Any]) -> tuple[Tensor, Tensor] | None:
    """Weight and bias of the head in a run's weights, wherever its command keeps them."""
    for values, prefix in ((weights.get("head", {}), ""), (weights.get("method", {}), "head.")):
        if prefix + "weight" in values:
            weight, bias = values[prefix + "weight"], values[prefix + "bias"]
            if weight.shape == (len(LABELS), EMBEDDING):
                return weight, bias
    return None


@torch.no_grad()
def embed(
    backbone: Backbone, images: Tensor, device: torch.device, advance: Callable[[int], None] = lambda _n: None
) -> Tensor:
    """(N, S, S) uint8 or (N, 1, S, S) float in [0, 1] -> embeddings (N, 512), float32 on the CPU."""
    backbone = backbone.to(device).eval()
    parts = []
    for part in torch.split(images, BATCH):
        x = part.to(device)
        x = x[:, None].float() / 255.0 if x.dtype == torch.uint8 else x
        parts.append(pooled(backbone(x)).cpu())
        advance(len(part))
    return torch.cat(parts) if parts else torch.zeros(0, EMBEDDING)


def embed_views(
    backbone: Backbone,
    images: Tensor,
    device: torch.device,
    turns: int,
    advance: Callable[[int], None] = lambda _n: None,
) -> Tensor:
    """(N, S, S) uint8 -> embeddings (V, N, 512) of the views that a file `with_turns` averages over."""
    return torch.stack([embed(backbone, view, device, advance) for view in turned(images, turns)])


def _load(backbone: Backbone, state: Any, folder: Path) -> None:
    try:
        backbone.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        raise TrainingError(f"The run {folder} has no backbone of this version.") from error
