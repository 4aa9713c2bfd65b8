"""The losses, each from one paper. They see the whole batch, whatever the number of processes."""

import torch
from torch import Tensor

from training.manifest import OOD


def nt_xent(first: Tensor, second: Tensor, *, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross-entropy of SimCLR (Chen et al. 2020, arXiv 2002.05709, equation 1).

    Args:
        first: (N, D), one view of each image, of any length; normalised here.
        second: (N, D), the other views. The positive of row i is row i; all 2N - 2 others are negatives.
        temperature: above 0.

    Returns:
        The mean over all 2N rows.
    """
    z = torch.nn.functional.normalize(torch.cat([first, second]).float(), dim=1)
    similarity = z @ z.T / temperature
    similarity.fill_diagonal_(float("-inf"))
    positive = torch.arange(len(z), device=z.device).roll(len(first))
    return torch.nn.functional.cross_entropy(similarity, positive)


def supervised_contrastive(embeddings: Tensor, labels: Tensor, *, temperature: float) -> Tensor:
    """Supervised contrastive loss, L_out of Khosla et al. 2020 (arXiv 2004.11362, equation 2).

    Args:
        embeddings: (M, D), of any length; they are normalised here.
        labels: (M,), integers; rows of the same label are each other's positives, all others their negatives.
        temperature: above 0.

    Returns:
        The mean over all rows that have a positive; 0 when none has.
    """
    z = torch.nn.functional.normalize(embeddings.float(), dim=1)
    similarity = z @ z.T / temperature
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    log_prob = similarity - similarity.masked_fill(itself, float("-inf")).logsumexp(dim=1, keepdim=True)
    positive = (labels[:, None] == labels[None, :]) & ~itself
    count = positive.sum(dim=1)
    per_row = -(log_prob * positive).sum(dim=1) / count.clamp(min=1)
    return per_row.sum() / (count > 0).sum().clamp(min=1)


def regression(predicted: Tensor, target: Tensor) -> Tensor:
    """BYOL's loss (Grill et al. 2020, arXiv 2006.07733, equation 2): the squared distance of the normalised vectors.

    Args:
        predicted: (N, D), the online network's prediction from one view.
        target: (N, D), the target network's projection of the other view; no gradient goes there.

    Returns:
        The mean over the rows of 2 - 2 cos, in [0, 4]. The whole loss is this with the views both ways, added.
    """
    p = torch.nn.functional.normalize(predicted.float(), dim=1)
    z = torch.nn.functional.normalize(target.detach().float(), dim=1)
    return (p - z).square().sum(dim=1).mean()


def towards_uniform(logits: Tensor) -> Tensor:
    """Outlier exposure for classifiers (Hendrycks et al. 2019, arXiv 1812.04606): cross-entropy to the uniform
    distribution.

    Args:
        logits: (M, K) of images that show none of the K classes.

    Returns:
        The mean over the rows; log K at best. 0 when there are no rows.
    """
    if len(logits) == 0:
        return logits.sum() * 0.0
    return (logits.logsumexp(dim=1) - logits.mean(dim=1)).mean()


def classification(logits: Tensor, targets: Tensor, *, outlier_weight: float, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy over the rows with a class, plus weighted outlier exposure over those out of domain.

    Args:
        logits: (M, K).
        targets: (M,), class indices, `OOD`, or `UNLABELLED`; unlabelled rows count nowhere.
        outlier_weight: of the second part.
        smoothing: label smoothing (Szegedy et al. 2016, arXiv 1512.00567, section 7), in [0, 1).

    Returns:
        The sum of the two means; a part without rows is 0.
    """
    known = targets >= 0
    outliers = towards_uniform(logits[targets == OOD])
    if not known.any():
        return outlier_weight * outliers
    inside = torch.nn.functional.cross_entropy(logits[known], targets[known], label_smoothing=smoothing)
    return inside + outlier_weight * outliers
