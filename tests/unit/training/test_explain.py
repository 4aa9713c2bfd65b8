"""Attributions are those of the papers' formulas, and the report keeps simulated and real apart."""

import json

import numpy as np
import pytest
import torch

from tests.unit.training.small import small_set
from training.cli import main
from training.encoder import Backbone, pooled
from training.explain import Pluggable, cleaned, guided_grad_cam, share_on, with_border, with_gauge
from training.figures import confusion
from training.report import accuracy_rows, kind_of, papers, read_result


class GuidedRelu(torch.autograd.Function):
    """A ReLU that lets only positive gradients back (Springenberg et al. 2014, arXiv 1412.6806, section 3.4)."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x > 0) * (grad > 0)


class Guided(torch.nn.Module):
    def forward(self, x):
        return GuidedRelu.apply(x)


def guided(module):
    for name, child in module.named_children():
        if isinstance(child, torch.nn.ReLU):
            setattr(module, name, Guided())
        else:
            guided(child)
    return module


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return Backbone().eval()


def test_the_pluggable_network_computes_what_the_backbone_computes(backbone):
    images = torch.rand(2, 1, 32, 32)
    weight = np.random.default_rng(0).normal(size=(14, 512))
    with torch.no_grad():
        expected = pooled(backbone(images)) @ torch.from_numpy(weight).float().T
        assert torch.allclose(Pluggable(backbone, weight)(images), expected, atol=1e-3)


def test_guided_grad_cam_is_guided_backpropagation_times_grad_cam(backbone):
    """Against both halves, written out."""
    images = small_set(per_region=1, regions=2).images[:2]
    weight = np.random.default_rng(0).normal(size=(14, 512))
    got = guided_grad_cam(backbone, weight, images, np.array([3, 5]))
    for image, target, result in zip(images, (3, 5), got, strict=True):
        inputs = torch.from_numpy(image)[None, None].float().div(255).requires_grad_()
        model = Pluggable(backbone, weight).eval()
        features = model.layers(model.stem((inputs - 0.5) * 4.0))
        logit = (pooled(features) @ model.weight.T)[0, target]
        (slope,) = torch.autograd.grad(logit, features)
        cam = (slope.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1, keepdim=True).clamp(min=0)
        wide = torch.nn.functional.interpolate(cam, size=(32, 32), mode="bilinear")
        (back,) = torch.autograd.grad(guided(Pluggable(backbone, weight).eval())(inputs)[0, target], inputs)
        expected = (wide * back)[0, 0].detach().numpy()
        assert np.abs(result - expected).max() <= 1e-4 * max(1e-6, np.abs(expected).max())


def test_a_share_is_of_the_whole_strength_whatever_its_sign():
    attribution = np.zeros((2, 4, 4))
    attribution[0, 0, 0], attribution[0, 1, 1] = -3.0, 1.0
    mask = np.zeros((4, 4), bool)
    mask[0] = True
    assert share_on(attribution, mask).tolist() == [0.75, 0.0]


def test_border_and_ring_are_where_the_masks_say():
    images = small_set(per_region=1, regions=3).images
    framed, border = with_border(images)
    assert (framed[:, border] == 255).all()
    assert not border[8:-8, 8:-8].any()
    ringed, ring = with_gauge(images)
    assert (ringed[:, ~ring] == images[:, ~ring]).all()
    assert ringed[:, ring].mean() > images[:, ring].mean() + 50
    assert cleaned(images).shape == images.shape


def test_confusion_counts_rows_of_truth_and_leaves_unusable_images_out():
    table = confusion(np.array([0, 0, 1, -1]), np.array([0, 1, 1, 0]), 2)
    assert table.tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["simulated probe"], "simulated"),
        (["OAI", "UCI"], "real"),
        (["simulated probe", "OAI"], "simulated and real together"),
        ([], "not stated"),
    ],
)
def test_what_was_measured_on_is_told_by_the_sources(names, kind):
    assert kind_of(names) == kind


def write_run(folder, metrics, **run):
    folder.mkdir()
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "run.json").write_text(json.dumps(run))
    return read_result(folder)


def test_a_number_over_simulated_and_real_images_is_not_shown(tmp_path):
    measured = {"top1": 0.9, "top2": 0.95, "balanced": 0.9, "ece": 0.01, "n": 10, "per_region": {}}
    both = write_run(tmp_path / "both", measured, sources=[{"source": "simulated x"}, {"source": "OAI"}])
    real = write_run(tmp_path / "real", measured, sources=[{"source": "OAI"}])
    first, second = accuracy_rows([both, real])
    assert (first["top1"], first["n"], second["top1"]) == (None, 10, 0.9)


def test_an_evaluation_of_both_is_two_lines(tmp_path):
    cells = [
        {"source": "simulated x", "region": "hand", "n": 3, "top1": 1.0},
        {"source": "OAI", "region": "knee", "n": 8, "top1": 0.75},
        {"source": "UCI", "region": "shoulder", "n": 2, "top1": 0.5},
        {"source": "OAI", "region": "ood:chest", "n": 9, "tagged": 0.1},
    ]
    simulated, real = accuracy_rows([write_run(tmp_path / "e", {"cells": cells, "top1": 0.5})])
    assert (simulated["n"], simulated["top1"]) == (3, 1.0)
    assert (real["n"], real["top1"], real["balanced"]) == (10, pytest.approx(0.7), pytest.approx(0.625))


def test_the_paper_s_regions_agree_with_its_mean():
    """Weighted by the test counts of the supplement's table 2."""
    counts = [499, 1164, 280, 552, 809, 1165, 830, 1002, 466, 540, 216, 885, 608, 730]
    shares = papers()["langer2024"]["per_region"]["SimCLR"].values()
    mean = sum(n * share for n, share in zip(counts, shares, strict=True)) / sum(counts)
    assert mean == pytest.approx(0.966, abs=0.0005)


@pytest.mark.parametrize(
    ("point", "cells"),
    [
        ({"per_region": 5, "labels": {"mean": 70.0}}, ["5 a region", "70"]),
        ({"label": "10 %", "share": 0.1, "labels": {"mean": 12.4}}, ["10 %", "12"]),
    ],
)
def test_the_report_says_how_many_labels_each_line_of_the_curve_had(tmp_path, point, cells):
    """Of `low-label --from-model`, which counts images a region, as of --from, which counts shares."""
    (tmp_path / "run").mkdir()
    curve = [{**point, "top1": {"mean": 0.5, "sd": 0.1}}]
    (tmp_path / "run" / "metrics.json").write_text(json.dumps({"curve": curve}))
    with pytest.raises(SystemExit):
        main(["report", "--from", str(tmp_path / "run"), "--out", str(tmp_path / "o")])
    page = (tmp_path / "o" / "index.html").read_text()
    assert "".join(f"<td{style}>{cell}</td>" for style, cell in zip((' class="text"', ""), cells, strict=True)) in page
