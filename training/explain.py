"""What the model looks at: Guided Grad-CAM, and the share of it that falls on what is no anatomy."""

import copy
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from captum.attr import GuidedGradCam
from torch import Tensor, nn

from dicom_node.imaging import clean, fit
from training.embeddings import as_input
from training.encoder import Backbone, pooled
from training.metrics import Bools, Floats, Ints

UInt8Array = npt.NDArray[np.uint8]

BORDER, GAUGE = 0.07, 0.08
"""The width of the white frame, and the radius of the ring, as fractions of the image's side."""


class Pluggable(nn.Module):
    """Backbone and head with every ReLU a module of its own, not in place, as guided backpropagation needs them."""

    def __init__(self, backbone: Backbone, weight: Floats) -> None:
        super().__init__()
        own = copy.deepcopy(backbone).cpu().eval()
        self.stem = nn.Sequential(*(nn.ReLU() if isinstance(part, nn.ReLU) else part for part in own.stem))
        self.layers = nn.Sequential(*(_Block(block) for stage in own.layers for block in stage))  # type: ignore[attr-defined]
        self.register_buffer("weight", torch.from_numpy(weight).float())

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.layers(self.stem((image - 0.5) * 4.0))
        weight: Tensor = self.weight  # type: ignore[assignment]
        return nn.functional.linear(pooled(features), weight)


class _Block(nn.Module):
    """A basic block of ResNet18, its one ReLU made two."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.first = nn.Sequential(block.conv1, block.bn1, nn.ReLU())
        self.second = nn.Sequential(block.conv2, block.bn2)
        self.aside = block.downsample or nn.Identity()
        self.last = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.second(self.first(x)) + self.aside(x))
        return out


def guided_grad_cam(backbone: Backbone, weight: Floats, images: UInt8Array, targets: Ints) -> Floats:
    """Guided Grad-CAM (Selvaraju et al. 2016, arXiv 1610.02391) by Captum, on the last feature map.

    Args:
        backbone: in torch.
        weight: (C, 512), the head.
        images: (N, S, S) uint8.
        targets: (N,) the class to explain.

    Returns:
        (N, S, S): how each pixel speaks for the class, positive or negative; zeros where nothing does.
    """
    model = Pluggable(backbone, weight).eval()
    method = GuidedGradCam(model, model.layers)
    parts = [np.zeros((0, *images.shape[1:]))]
    for image, target in zip(images, targets, strict=True):
        inputs = as_input(image[None]).requires_grad_()
        # Bicubic by Captum's own default would draw squares: the map is 4 x 4 at 128 pixels.
        attribution = method.attribute(inputs, target=int(target), interpolate_mode="bilinear")
        parts.append(attribution.detach()[:, 0].double().numpy())
    return np.concatenate(parts)


def share_on(attribution: Floats, mask: Bools) -> Floats:
    """(N,) how much of the attribution (N, S, S) lies on the mask (S, S), in [0, 1]; 0 where there is none at all."""
    strength = np.abs(attribution)
    total = strength.sum(axis=(1, 2))
    return np.asarray(strength[:, mask].sum(axis=1) / np.where(total > 0, total, 1.0))


def with_border(images: UInt8Array) -> tuple[UInt8Array, Bools]:
    """The images (N, S, S), made smaller, in the white frame that uncleaned ones come with; and where it is."""
    size = images.shape[1]
    width = max(1, round(BORDER * size))
    mask = np.ones((size, size), bool)
    mask[width:-width, width:-width] = False
    framed = np.full_like(images, 255)
    for image, target in zip(images, framed, strict=True):
        target[width:-width, width:-width] = cv2.resize(image, (size - 2 * width,) * 2, interpolation=cv2.INTER_AREA)
    return framed, mask


def with_gauge(images: UInt8Array) -> tuple[UInt8Array, Bools]:
    """The images with a planning ring of metal in the lower right; and where it is."""
    size = images.shape[1]
    ring = np.zeros((size, size), np.uint8)
    centre = round(0.8 * size)
    cv2.circle(ring, (centre, centre), max(2, round(GAUGE * size)), 255, max(1, round(0.025 * size)), cv2.LINE_AA)
    return np.maximum(images, ring), ring > 0


def cleaned(images: UInt8Array) -> UInt8Array:
    """The images through the node's own cleaning, at the same size."""
    size = images.shape[1]
    clear = [fit(clean(image.astype(np.float32) / np.float32(255.0)), size) for image in images]
    return np.round(np.stack(clear) * 255.0).astype(np.uint8)
