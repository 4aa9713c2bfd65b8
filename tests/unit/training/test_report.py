"""The report's page says of every number what it was measured on, and shows none over simulated and real together."""

import json

import pytest

from tests.unit.training.test_cli import training

SIMULATED, REAL = {"source": "simulated x"}, {"source": "OAI"}
PLANTED = {"planting": "random", "seeds": 2, "planted": 30.0, "listed": 4321.0}
ATTENTION = dict.fromkeys(("border", "cleaned", "gauge", "plain"), 0.4321)
SPREADS = {f"{name}_spread": 0.01 for name in ("recall", "precision", "top", "mended", *ATTENTION)}
METRICS = {
    "top 1": {"n": 9, "top1": 0.4321, "top2": 0.4321, "balanced": 0.4321, "ece": 0.4321},
    "regions": {"n": 9, "top1": 0.4321, "per_region": {"hand": {"top1": 0.4321}}},
    "curve": {"curve": [{"per_region": 5, "labels": {"mean": 70.0}, "top1": {"mean": 0.4321, "sd": 0.0}}]},
    "shares": {"curve": [{"label": "1 %", "probe": {"mean": 0.4321, "sd": 0.0}}]},
    "planted": {
        "n": 9,
        "backbone_saw_labels": False,
        "planted": [{**PLANTED, **SPREADS, **dict.fromkeys(("recall", "precision", "top", "mended"), 0.4321)}],
    },
    "audit": {"n": 9, "candidates": 4321, "per_class": []},
    "clusters": {"n": 9, "clusters": 3, "nmi": 0.4321, "nmi_at_most": 0.4321, "purity": 0.4321},
    "attention": {"attention": [{"model": "m", **ATTENTION, **SPREADS}]},
}


def page_of(folder, metrics, *sources, **run):
    """The report of one run that measured these."""
    (folder / "run").mkdir()
    (folder / "run" / "metrics.json").write_text(json.dumps(metrics))
    (folder / "run" / "run.json").write_text(json.dumps({"sources": sources, **run}))
    assert training("report", "--from", folder / "run", "--out", folder / "report") == 0
    return (folder / "report" / "index.html").read_text()


@pytest.mark.parametrize("name", METRICS)
def test_no_number_over_simulated_and_real_images_is_on_the_page(tmp_path, name):
    page = page_of(tmp_path, METRICS[name], SIMULATED, REAL)
    assert not any(number in page for number in ("43.2", "0.432", "4321"))


@pytest.mark.parametrize("name", METRICS)
def test_a_number_of_one_kind_stands_beside_what_it_was_measured_on(tmp_path, name):
    page = page_of(tmp_path, METRICS[name], SIMULATED)
    assert any(number in page for number in ("43.2", "0.432", "4321"))
    assert "simulated" in page.split("<h2>Top 1</h2>")[1].replace("measured on simulated and real images together", "")


def test_what_was_measured_goes_before_what_was_learned_from(tmp_path):
    """A curve on real images stays one, though simulated ones helped."""
    assert "43.2" in page_of(tmp_path, METRICS["shares"], SIMULATED, REAL, measured_on=[REAL])


@pytest.mark.parametrize("saw", [True, False])
def test_a_curve_over_shares_says_where_the_backbone_had_all_labels(tmp_path, saw):
    page = page_of(tmp_path, {**METRICS["shares"], "backbone_saw_labels": saw}, SIMULATED)
    assert ("this is no curve of what few labels give" in page) == saw
