"""Embeddings and activation maps, from a run folder through torch or from a model file through onnxruntime."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dicom_node.model.session import Model
from training.encoder import EMBEDDING, Backbone
from training.errors import TrainingError
from training.heads import embed, load_backbone
from training.metrics import Floats, Ints
from training.pool import Images
from training.recipe import DataRecipe
from training.reopen import backbone_of_file, open_file
from training.runs import read_run
from training.splits import data_recipe, splits_of

UInt8Array = npt.NDArray[np.uint8]
Advance = Callable[[int], None]

BATCH = 64
SUPERVISED = ("supervised", "supcon", "mixed")


def _silent(_n: int) -> None:
    pass


class Encoder(Protocol):
    """What turns images into embeddings.

    `method`: how its backbone was trained, empty where nobody wrote it down; `data`: which rows it learned from last;
    `splits`: that, and the same of all that it came from; `saw_labels`: whether labels shaped it, so that it may have
    learned errors by heart; `takes`: the side of the images that it takes, in pixels, None where any will do.
    """

    name: str
    method: str
    takes: int | None
    data: DataRecipe
    splits: tuple[DataRecipe, ...]
    saw_labels: bool

    def embed(self, images: UInt8Array | Images, advance: Advance = _silent) -> Floats:
        """(N, S, S) uint8 -> (N, 512)."""
        ...

    def maps(self, images: UInt8Array, regions: Ints, weight: Floats) -> Floats:
        """The class activation maps (N, h, w) (Zhou et al. 2016, arXiv 1512.04150) of one region (N,) each.

        `weight` (14, 512) is a head that was fitted on `embed`'s embeddings.
        """
        ...

    def backbone(self) -> Backbone:
        """The same backbone in torch, for gradients."""
        ...


class RunEncoder:
    """The backbone of a run folder; maps are those of the head that is given."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        run = read_run(folder)
        recipe = run["recipe"]
        self.name = folder.name
        self.takes: int | None = None
        self.method = str(recipe.get("pretrain", {}).get("method", ""))
        self.data = data_recipe(recipe)
        self.splits = splits_of(run) or (self.data,)
        self.saw_labels = shaped_by_labels(run)
        self._backbone, self._device = load_backbone(folder), device

    def embed(self, images: UInt8Array | Images, advance: Advance = _silent) -> Floats:
        # Batch by batch: the images may lie in a file that is larger than memory, and may not be written to.
        parts = [
            embed(self._backbone, torch.from_numpy(np.array(images[start : start + BATCH])), self._device, advance)
            for start in range(0, len(images), BATCH)
        ]
        return torch.cat(parts).double().numpy() if parts else np.zeros((0, EMBEDDING))

    @torch.no_grad()
    def maps(self, images: UInt8Array, regions: Ints, weight: Floats) -> Floats:
        chosen = torch.from_numpy(weight[regions]).float()
        parts = []
        for start in range(0, len(images), BATCH):
            features = self._backbone(as_input(images[start : start + BATCH]).to(self._device)).float().cpu()
            parts.append(torch.einsum("nchw,nc->nhw", features, chosen[start : start + BATCH]).numpy())
        return np.concatenate(parts).astype(np.float64) if parts else np.zeros((0, 1, 1))

    def backbone(self) -> Backbone:
        return self._backbone


class OnnxEncoder:
    """A model file; its maps are its own head's, exact and without a gradient."""

    def __init__(self, path: Path) -> None:
        self._path, self._model = path, Model.open(path)
        training = self._model.card.training
        if "members" in training:
            raise TrainingError(f"{path} is an ensemble, which has no backbone of its own: name one of its members.")
        recipe = training.get("recipe", {})
        self.name = self._model.model_id
        self.takes: int | None = self._model.card.input_size
        self.method = str(recipe.get("pretrain", {}).get("method", ""))
        self.data = dataclasses.replace(data_recipe(recipe), size=self._model.card.input_size)
        self.splits = splits_of(training) or (self.data,)
        self.saw_labels = shaped_by_labels(training)

    def embed(self, images: UInt8Array | Images, advance: Advance = _silent) -> Floats:
        parts = [np.zeros((0, EMBEDDING))]
        for start in range(0, len(images), BATCH):
            predictions = self._predict(images[start : start + BATCH])
            parts.append(np.stack([each.embedding for each in predictions]).astype(np.float64))
            advance(len(predictions))
        return np.concatenate(parts)

    def maps(self, images: UInt8Array, regions: Ints, weight: Floats) -> Floats:  # noqa: ARG002 - the file's own head
        parts = []
        for start in range(0, len(images), BATCH):
            predictions = self._predict(images[start : start + BATCH])
            of = zip(predictions, regions[start : start + BATCH], strict=True)
            parts += [each.activation_map[region].astype(np.float64) for each, region in of]
        return np.stack(parts) if parts else np.zeros((0, 1, 1))

    def backbone(self) -> Backbone:
        return backbone_of_file(open_file(self._path)[0])

    def _predict(self, images: UInt8Array) -> Any:
        return self._model.predict(images.astype(np.float32) / np.float32(255.0))


def open_encoder(source: Path, device: torch.device) -> Encoder:
    """The encoder of a model file (*.onnx) or of a run folder.

    Raises:
        TrainingError: the folder is no finished run, or the file is an ensemble.
        ModelError: the file is no model of this node.
    """
    return OnnxEncoder(source) if source.suffix == ".onnx" else RunEncoder(source, device)


def check_takes(encoder: Encoder, size: int) -> None:
    """Refuse, before anything is computed, images of a size that the encoder cannot take.

    Raises:
        TrainingError: `size` is another than its own.
    """
    if encoder.takes not in (None, size):
        raise TrainingError(
            f"{encoder.name} takes images of {encoder.takes} px, and these are to be of {size} px: prepare the data "
            "with a recipe of the model's size and name both, or name another model."
        )


def shaped_by_labels(training: Mapping[str, Any]) -> bool:
    """Whether labels shaped a backbone, or one that it began with, by what its run or its file's card tells."""
    if training.get("recipe", {}).get("pretrain", {}).get("method") in SUPERVISED:
        return True
    if "finetuned" in training or training.get("command") == "probe --finetune":
        return True
    before = (training.get("earlier"), training.get("run"))
    return any(shaped_by_labels(each) for each in before if each)


def as_input(images: UInt8Array) -> Tensor:
    """(N, S, S) uint8 -> (N, 1, S, S) float32 in [0, 1]."""
    return torch.from_numpy(images)[:, None].float() / 255.0
