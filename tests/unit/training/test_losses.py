"""Every loss against a slow transcription of its paper's formula."""

import math

import lightly.loss
import pytest
import torch

from training.losses import classification, nt_xent, regression, supervised_contrastive, towards_uniform


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


def slow_nt_xent(first, second, temperature):
    """Langer et al. 2024, equation 1 (Chen et al. 2020, equation 1), one pair at a time, both ways."""
    z = [row / math.sqrt(sum(float(v) ** 2 for v in row)) for row in torch.cat([first, second]).double()]
    n, total = len(first), 0.0
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        below = sum(math.exp(float(z[i] @ z[k]) / temperature) for k in range(2 * n) if k != i)
        total -= math.log(math.exp(float(z[i] @ z[j]) / temperature) / below)
    return total / (2 * n)


def pair(n=7, width=5, seed=4):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(n, width, generator=random), torch.randn(n, width, generator=random)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_simclrs_loss_is_the_papers_formula_and_lightlys(temperature):
    """Transcribed slowly, and computed by a library that shares no code with ours."""
    first, second = pair()
    got = nt_xent(first, second, temperature=temperature).item()
    assert got == pytest.approx(slow_nt_xent(first, second, temperature), rel=1e-4)
    assert got == pytest.approx(lightly.loss.NTXentLoss(temperature=temperature)(first, second).item(), rel=1e-4)


def test_the_contrastive_loss_of_images_without_a_common_label_is_lightlys_nt_xent():
    """lightly has no SupCon; where each image is its own class both losses are one, and so are their gradients."""
    first, second = pair()
    ours, theirs = (torch.cat([first, second]).requires_grad_() for _ in range(2))
    loss = supervised_contrastive(ours, torch.arange(7).repeat(2), temperature=0.5)
    other = lightly.loss.NTXentLoss(temperature=0.5)(*theirs.chunk(2))
    assert loss.item() == pytest.approx(other.item(), rel=1e-4)
    loss.backward()
    other.backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)


def test_byols_loss_is_the_papers_formula_and_lightlys():
    """2 - 2 cos for each row; lightly's is minus the cosine."""
    predicted, target = pair()
    slow = sum(
        2 - 2 * float(p @ z) / math.sqrt(float(p @ p) * float(z @ z))
        for p, z in zip(predicted.double(), target.double(), strict=True)
    ) / len(predicted)
    got = regression(predicted, target).item()
    assert got == pytest.approx(slow, rel=1e-5)
    assert got == pytest.approx(2 + 2 * lightly.loss.NegativeCosineSimilarity()(predicted, target).item(), rel=1e-5)


def test_byols_target_gets_no_gradient():
    """Only the online network learns."""
    predicted, target = (each.requires_grad_() for each in pair())
    regression(predicted, target).backward()
    assert predicted.grad.abs().sum() > 0
    assert target.grad is None


def test_label_smoothing_spreads_its_share_over_all_classes():
    """The target is 1 - s + s / K for its class and s / K for the others; unlabelled rows (-2) count nowhere."""
    logits = torch.randn(3, 14, generator=torch.Generator().manual_seed(5))
    log_p = logits.double().log_softmax(1)
    slow = -sum(0.9 * log_p[i, t] + 0.1 * log_p[i].mean() for i, t in ((0, 3), (2, 13))) / 2
    got = classification(logits, torch.tensor([3, -2, 13]), outlier_weight=0.3, smoothing=0.1)
    assert got.item() == pytest.approx(float(slow), rel=1e-5)
