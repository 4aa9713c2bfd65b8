"""Pages are the same to the byte when what they show is the same: two runs can be compared."""

import numpy as np

from training.figures import matrix_figure
from training.pages import inlined_figure


def test_the_same_figure_becomes_the_same_text() -> None:
    """Nothing in it is drawn by chance, no date is in it."""
    one, other = (
        inlined_figure(matrix_figure(np.eye(3, dtype=np.int64), ["hand", "wrist", "elbow"])) for _ in range(2)
    )
    assert one.startswith("data:image/svg+xml;base64,")
    assert one == other


def test_another_figure_becomes_another_text() -> None:
    """The fixed salt names elements, it does not hide what they hold."""
    figures = (
        matrix_figure(matrix, ["hand", "wrist", "elbow"])
        for matrix in (np.eye(3, dtype=np.int64), np.ones((3, 3), np.int64))
    )
    one, other = map(inlined_figure, figures)
    assert one != other
