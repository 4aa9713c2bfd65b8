"""Every loss against a slow transcription of its paper's formula."""

import math

import pytest
import torch

from training.losses import classification, supervised_contrastive, towards_uniform


def slow_supcon(z, labels, temperature):
    """Khosla et al. 2020, equation 2, one anchor, positive and denominator at a time."""
    z = [row / math.sqrt(sum(float(v) ** 2 for v in row)) for row in z.double()]
    total, anchors = 0.0, 0
    for i in range(len(z)):
        positives = [p for p in range(len(z)) if p != i and labels[p] == labels[i]]
        if not positives:
            continue
        anchors += 1
        denominator = sum(math.exp(float(z[i] @ z[a]) / temperature) for a in range(len(z)) if a != i)
        total += -sum(math.log(math.exp(float(z[i] @ z[p]) / temperature) / denominator) for p in positives) / len(
            positives
        )
    return total / anchors


@pytest.mark.parametrize("temperature", [0.07, 0.5, 2.0])
def test_the_contrastive_loss_is_the_papers_formula(temperature):
    """Rows without a positive (label 9) are negatives only."""
    z = torch.randn(9, 5, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 2, 0, 9])
    got = supervised_contrastive(z, labels, temperature=temperature)
    assert got.item() == pytest.approx(slow_supcon(z, labels.tolist(), temperature), rel=1e-4)


def test_the_contrastive_loss_has_a_finite_gradient_without_any_positive():
    """A batch in which all differ teaches nothing and breaks nothing."""
    z = torch.randn(4, 3, requires_grad=True)
    loss = supervised_contrastive(z, torch.arange(4), temperature=0.5)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.isfinite(z.grad).all()


def test_the_outlier_loss_is_the_cross_entropy_to_the_uniform_distribution():
    """Minus one K-th of the sum of all log probabilities, and log K where all are equal."""
    logits = torch.randn(6, 14, generator=torch.Generator().manual_seed(2))
    slow = -sum(math.log(p) / 14 for row in logits.double().softmax(1).tolist() for p in row) / 6
    assert towards_uniform(logits).item() == pytest.approx(slow, rel=1e-5)
    assert towards_uniform(torch.zeros(1, 14)).item() == pytest.approx(math.log(14))


def test_rows_out_of_domain_never_enter_the_classes():
    """The loss is the sum of both parts, and each part sees only its rows."""
    logits = torch.randn(5, 14, generator=torch.Generator().manual_seed(3))
    targets = torch.tensor([3, -1, 0, -1, 13])
    inside = -sum(math.log(logits[i].softmax(0)[t].item()) for i, t in ((0, 3), (2, 0), (4, 13))) / 3
    outside = towards_uniform(logits[[1, 3]]).item()
    assert classification(logits, targets, outlier_weight=0.3).item() == pytest.approx(inside + 0.3 * outside, rel=1e-5)


@pytest.mark.parametrize("targets", [[-1, -1], [2, 3]])
def test_a_batch_of_one_kind_only_gives_a_finite_loss(targets):
    """Small batches may lack either kind."""
    logits = torch.zeros(2, 14, requires_grad=True)
    loss = classification(logits, torch.tensor(targets), outlier_weight=0.3)
    loss.backward()
    assert math.isfinite(loss.item())
    assert torch.isfinite(logits.grad).all()
