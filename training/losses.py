"""The losses, each from one paper."""

import torch
from torch import Tensor


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


def classification(logits: Tensor, targets: Tensor, *, outlier_weight: float) -> Tensor:
    """Cross-entropy over the rows with a class, plus weighted outlier exposure over those without (target below 0)."""
    known = targets >= 0
    outliers = towards_uniform(logits[~known])
    if not known.any():
        return outlier_weight * outliers
    return torch.nn.functional.cross_entropy(logits[known], targets[known]) + outlier_weight * outliers
