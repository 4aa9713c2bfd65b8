"""The short of a model card, for people: what it is, when it abstains, where it came from."""

from collections.abc import Mapping, Sequence
from typing import Any

from dicom_node.model.card import ModelCard

STATISTICS = {
    "energy": "free energy of the logits",
    "max_probability": "minus the largest probability",
    "mahalanobis": "distance to the nearest region's mean embedding",
    "knn": "distance to the nearest known embeddings",
}


def short(card: ModelCard, model_id: str) -> list[tuple[str, str]]:
    """Lines of (what, how much); the card as JSON has everything."""
    limits, training = card.thresholds, card.training
    statistic = STATISTICS.get(limits.reject_statistic, limits.reject_statistic)
    lines = [
        ("model", model_id),
        ("regions", ", ".join(card.labels)),
        ("input", f"{card.input_size} x {card.input_size} px, imaging version {card.imaging_version}"),
        ("tags", f"when the confidence is {limits.min_confidence:g} or more"),
        ("rejects", f"when the {statistic} is above {limits.reject_above:g} ({limits.reject_statistic})"),
        ("temperature", f"{card.temperature:.3f}, already in the graph"),
    ]
    told = ("precision", "turns", "parent", "finished", "seed")
    lines += [(key, str(training[key])) for key in told if key in training]
    if "metrics" in training:
        lines.append(("measured on held-out rows", _numbers(training["metrics"])))
    for each in training.get("adapted", []):
        labels = ", ".join(f"{region} {n}" for region, n in each["labels"].items())
        lines.append(("adapted from", f"{each['parent']}, {each['finished']}"))
        lines.append(("  to labels", labels))
        lines.append(("  out of fold", _numbers(each["out_of_fold"])))
    lines += [("member", str(each["model"])) for each in training.get("members", [])]
    sources = training.get("sources", [])
    if sources:
        lines.append(("learned from", "\n".join(_sources(sources))))
    return lines


def _numbers(metrics: Mapping[str, Any]) -> str:
    names = ("n", "top1", "top2", "balanced", "ece", "tagged", "right_of_tagged", "ood_tagged")
    found = [(name, metrics[name]) for name in names if metrics.get(name) is not None]
    return ", ".join(f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}" for name, value in found)


def _sources(sources: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line per source with its licence and number of images."""
    counts: dict[tuple[str, str], int] = {}
    for each in sources:
        key = str(each["source"]), str(each["licence"])
        counts[key] = counts.get(key, 0) + int(each["n"])
    return [f"{source}: {n} images ({licence or 'no licence stated'})" for (source, licence), n in counts.items()]
