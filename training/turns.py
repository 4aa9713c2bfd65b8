"""A mean over quarter turns and mirrored views inside the graph, so that they change the answer no more."""

from collections.abc import Iterator

import numpy as np
from onnx import ModelProto, helper
from torch import Tensor

from dicom_node.model.session import INPUT
from training.errors import TrainingError
from training.graph import FEATURES, Floats32, Parts, renamed, trunk_model

BACKWARDS = np.iinfo(np.int64).min
VIEWS: dict[int, list[tuple[bool, tuple[int, ...]]]] = {
    1: [(False, ())],
    4: [(False, ()), (False, (2, 3)), (True, (2,)), (True, (3,))],
    8: [(transposed, flips) for transposed in (False, True) for flips in ((), (2,), (3,), (2, 3))],
}
"""Views by their number: the image transposed or not, then flipped along these axes. Four: the quarter turns; eight:
those of the mirrored image as well."""


def upright(turns: int) -> list[int]:
    """The numbers of the views that hang as the image itself does: it, and its mirror image where that is one."""
    return [number for number, (transposed, flips) in enumerate(VIEWS[turns]) if not transposed and 2 not in flips]


def with_turns(trunk: ModelProto, turns: int, size: int, hang: Floats32) -> ModelProto:
    """A trunk whose features are a mean over the views of the image, each turned back.

    `hang` (512,) weighs the views by how upright they look (`training.hang.weighed`); zeros weigh them alike. Pooling
    and head are linear, so this averages the logits, and the activation map stays exact and in place. The cost is
    `turns` times the trunk's.

    Raises:
        TrainingError: `turns` is not 1, 4 or 8.
    """
    if turns not in VIEWS:
        raise TrainingError(f"--turns {turns} is not possible: take 1, 4 (quarter turns) or 8 (mirrored as well).")
    if turns == 1:
        return trunk
    copied = ModelProto()
    copied.CopyFrom(trunk)
    renamed(copied.graph.node, copied.graph.initializer, {INPUT: "turns.images", FEATURES: "turns.features"})
    before, after = Parts("turns."), Parts("turns.")
    views = [_flipped(before, _transposed(before, INPUT, view, n), view, n) for n, view in enumerate(VIEWS[turns])]
    before.add("Concat", views, "turns.images", axis=0)
    parts = [f"turns.part{n}" for n in range(turns)]
    after.nodes.append(helper.make_node("Split", ["turns.features"], parts, axis=0, num_outputs=turns))
    back = [
        _transposed(after, _flipped(after, part, view, n), view, n)
        for n, (part, view) in enumerate(zip(parts, VIEWS[turns], strict=True))
    ]
    _add_weighted_mean(after, back, hang, FEATURES)
    nodes = [*before.nodes, *copied.graph.node, *after.nodes]
    return trunk_model(nodes, [*copied.graph.initializer, *before.constants, *after.constants], size)


def _add_weighted_mean(parts: Parts, views: list[str], hang: Floats32, output: str) -> None:
    """`training.hang.weighed` for feature maps (N, 512, h, w), which weigh as their spatial means do."""
    places, score = parts.constant("places", np.array([2, 3])), parts.constant("hang", hang[:, None])
    scores = [
        parts.add(
            "MatMul", [parts.add("ReduceMean", [view, places], f"{view}.mean", keepdims=0), score], f"{view}.score"
        )
        for view in views
    ]
    votes = parts.add("Softmax", [parts.add("Concat", scores, "turns.scores", axis=1)], "turns.votes", axis=1)
    each = [f"{view}.vote" for view in views]
    parts.nodes.append(helper.make_node("Split", [votes], each, axis=1, num_outputs=len(views)))
    weighed = [
        parts.add("Mul", [view, parts.add("Unsqueeze", [vote, places], f"{vote}.everywhere")], f"{view}.weighed")
        for view, vote in zip(views, each, strict=True)
    ]
    parts.add("Sum", weighed, output)


def _transposed(parts: Parts, tensor: str, view: tuple[bool, tuple[int, ...]], number: int) -> str:
    if not view[0]:
        return tensor
    return parts.add("Transpose", [tensor], f"{tensor}.transposed{number}", perm=[0, 1, 3, 2])


def _flipped(parts: Parts, tensor: str, view: tuple[bool, tuple[int, ...]], number: int) -> str:
    axes = view[1]
    if not axes:
        return tensor
    name = f"{tensor}.{number}."
    ends = [
        parts.constant(f"{name}{what}", np.array([value] * len(axes), np.int64))
        for what, value in (("start", -1), ("end", BACKWARDS), ("step", -1))
    ]
    axes_name = parts.constant(f"{name}axes", np.array(axes, np.int64))
    return parts.add("Slice", [tensor, ends[0], ends[1], axes_name, ends[2]], f"{name}flipped")


def turned(images: Tensor, turns: int) -> Iterator[Tensor]:
    """The views of images (..., S, S) that a file `with_turns` averages over, one after the other."""
    for transposed, flips in VIEWS[turns]:
        view = images.transpose(-2, -1) if transposed else images
        yield view.flip([axis - 4 for axis in flips]) if flips else view
