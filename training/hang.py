"""Which way up an image hangs, so that its turned views count by how upright each of them looks.

A plain mean over quarter turns lets the three views that lie on their side or head vote as much as the one that
hangs as radiographs hang; upside down, a knee from the side looks like an elbow. Here each view's vote is the softmax,
over the views, of a linear score of its own embedding. The scores belong to the views and not to their order, so that
a turned image still gets the same answer to the last bit but rounding.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from training.encoder import EMBEDDING

STRENGTH = 1e-2
"""Of the L2 penalty on the score's weights for standardised embeddings."""


KNOWN = 2000
"""So many learned images are enough to fit 512 numbers with a penalty."""


def no_hang() -> Tensor:
    """Weights (512,) with which all views count alike."""
    return torch.zeros(EMBEDDING)


def fit_hang(views: Tensor, upright: Sequence[int], *, strength: float = STRENGTH) -> Tensor:
    """The score's weights (512,), by which upright views are told from the others (multinomial logistic regression).

    Args:
        views: (V, N, 512) embeddings of V views of N images.
        upright: the views in which these images hang as radiographs hang.
        strength: of the L2 penalty, at least 0.
    """
    views = views.double()
    spread = views.flatten(0, 1).std(dim=0).clamp(min=1e-3)
    standard = views / spread
    weights = torch.zeros(views.shape[2], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        shares = torch.log_softmax(standard @ weights, dim=0)[list(upright)]
        loss = strength * weights.square().sum() - shares.logsumexp(dim=0).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return (weights.detach() / spread).float()


def weighed(views: Tensor, hang: Tensor) -> Tensor:
    """(V, N, D) embeddings of V views -> (N, D): their mean, each weighed by how upright it looks."""
    votes = torch.softmax(views @ hang, dim=0)
    return (votes[..., None] * views).sum(dim=0)
