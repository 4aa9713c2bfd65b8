"""What a model file was before it was adapted, carried along in it, so that adapting again begins where the first did.

A head that was fitted on images can give nobody honest numbers of the same images: whoever is left out of the second
fit had a part in the first. So every adaptation starts from the file as it was before any of them.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from onnx import ModelProto

from dicom_node.model.card import METADATA_KEY
from dicom_node.model.session import Model
from training.errors import TrainingError
from training.graph import needed_for
from training.reopen import features_of_file, open_file
from training.strangers import KEY as STRANGERS

KEY = "dicom_node.unadapted"


@dataclass(frozen=True, kw_only=True, eq=False)
class Unadapted:
    """A model file before it was adapted, or one that never was: as a graph, ready to predict, and how it is called.

    `again`: the file that was named had been adapted.
    """

    graph: ModelProto
    model: Model
    model_id: str
    again: bool


def put_unadapted(made: ModelProto, before: ModelProto) -> None:
    """Write into an adapted model what it was made from: all but the trunk, which both share, and the strangers, which
    both carry. That is head, rejection and card: some 200 KB, with k nearest neighbours 2.4 MB more.
    """
    trunk_nodes, trunk_constants = needed_for(before, [features_of_file(before)])
    made_below = {name for node in trunk_nodes for name in node.output}
    read_below = {tensor.name for tensor in trunk_constants}
    kept = ModelProto()
    kept.CopyFrom(before)
    del kept.graph.node[:], kept.graph.initializer[:], kept.metadata_props[:]
    kept.graph.node.extend(node for node in before.graph.node if not made_below & set(node.output))
    kept.graph.initializer.extend(each for each in before.graph.initializer if each.name not in read_below)
    kept.metadata_props.extend(entry for entry in before.metadata_props if entry.key == METADATA_KEY)
    entry = made.metadata_props.add()
    entry.key, entry.value = KEY, base64.b64encode(kept.SerializeToString()).decode()


def open_unadapted(path: Path) -> Unadapted:
    """The model of a file as it was before its head was re-fitted; of a file that never was adapted, the file itself.

    Raises:
        TrainingError: the file cannot be read, or was adapted by a release that did not keep what it had been.
        ModelError: it is no model of this release.
    """
    graph, card = open_file(path)
    if "adapted" not in card.training:
        model = Model.open(path)
        return Unadapted(graph=graph, model=model, model_id=model.model_id, again=False)
    original = str(card.training["adapted"][0]["parent"])
    kept = next((entry.value for entry in graph.metadata_props if entry.key == KEY), None)
    if kept is None:
        raise TrainingError(
            f"{path} was adapted by an earlier release, which kept nothing of the model that it began with; measured "
            "on the same labels again, it would seem better than it is. Begin with the original, "
            f"{original}, and give all labels."
        )
    before = _restored(graph, kept)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "unadapted.onnx"
        file.write_bytes(before.SerializeToString())
        return Unadapted(graph=before, model=Model.open(file), model_id=original, again=True)


def check_not_finetuned(told: Mapping[str, Any], source: Path) -> None:
    """Refuse to measure labels by weights that may have learned from them.

    Args:
        told: what a run or a model file's card says of its making.
        source: which, for the sentence.

    Raises:
        TrainingError: it was fine-tuned on labels, or something was that it began with.
    """
    if _was_finetuned(told):
        raise TrainingError(
            f"{source} was fine-tuned on labels, and its weights cannot unlearn them; measured on the same ones again, "
            "it would seem better than it is. Begin with the model that it was fine-tuned from, and give all labels."
        )


def _was_finetuned(told: Mapping[str, Any]) -> bool:
    if "finetuned" in told or told.get("command") == "probe --finetune":
        return True
    return any(_was_finetuned(each) for each in (told.get("earlier"), told.get("run")) if each)


def _restored(adapted: ModelProto, kept: str) -> ModelProto:
    """The trunk of an adapted model, under what lay on it before."""
    above = ModelProto.FromString(base64.b64decode(kept))
    made = ModelProto()
    made.CopyFrom(above)
    del made.graph.node[:], made.graph.initializer[:]
    nodes, constants = needed_for(adapted, [features_of_file(adapted)])
    made.graph.node.extend([*nodes, *above.graph.node])
    made.graph.initializer.extend([*constants, *above.graph.initializer])
    made.metadata_props.extend(entry for entry in adapted.metadata_props if entry.key == STRANGERS)
    return made
