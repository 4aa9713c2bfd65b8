"""Routing: which destinations get an image, and why.

A rule's conditions must all hold. A destination that no rule names gets every image; one that rules name gets the
images of the rules that match. Rules are read in order, and one that matches and is `final` ends the reading.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from dicom_node.regions import Region
from dicom_node.verdict import Agreement, Outcome

# What `when` may ask besides a DICOM keyword (docs/CONFIGURATION.md).
FACT_CONDITIONS = frozenset({"region", "min_confidence", "agreement", "outcome", "modality", "calling_ae", "called_ae"})


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One routing rule. `when` maps a condition to the patterns of which one must match (shell wildcards, case
    ignored); `min_confidence` stands apart because it compares numbers. It is met only where there is a region.
    """

    name: str
    when: Mapping[str, tuple[str, ...]]
    send_to: tuple[str, ...]
    min_confidence: float | None = None
    final: bool = False


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What rules may ask about an image. `region` is set only where the image is tagged: routing follows the verified
    region alone. `header`: values of the data set's top level by keyword.
    """

    outcome: Outcome
    region: Region | None = None
    confidence: float = 0.0
    agreement: Agreement | None = None
    calling_ae: str = ""
    called_ae: str = ""
    header: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Whether one rule matched, condition by condition, in words."""

    rule: str
    matched: bool
    because: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Routing:
    """The destinations of one image, in the configuration's order, and an explanation of each rule that was read."""

    destinations: tuple[str, ...]
    explanations: tuple[Explanation, ...]


def route(rules: Sequence[Rule], destinations: Sequence[str], facts: Facts) -> Routing:
    """Decide which destinations get an image."""
    explanations = []
    chosen = set(destinations) - {name for rule in rules for name in rule.send_to}
    for rule in rules:
        explanation = explain(rule, facts)
        explanations.append(explanation)
        if explanation.matched:
            chosen.update(rule.send_to)
            if rule.final:
                break
    return Routing(
        destinations=tuple(name for name in destinations if name in chosen), explanations=tuple(explanations)
    )


def explain(rule: Rule, facts: Facts) -> Explanation:
    """Say for each condition of a rule whether it holds for an image."""
    checks = [_check(name, patterns, facts) for name, patterns in rule.when.items()]
    if rule.min_confidence is not None:
        checks.append(_sure_enough(rule.min_confidence, facts))
    if not checks:
        checks.append((True, "no conditions"))
    return Explanation(
        rule=rule.name, matched=all(held for held, _ in checks), because=tuple(text for _, text in checks)
    )


def _sure_enough(least: float, facts: Facts) -> tuple[bool, str]:
    """Without a region there is no confidence in one: what the model abstained on has only a best guess."""
    if facts.region is None:
        return False, "no region to be confident of"
    held = facts.confidence >= least
    return held, f"confidence {facts.confidence:.2f} {'>=' if held else '<'} {least:.2f}"


def _check(name: str, patterns: tuple[str, ...], facts: Facts) -> tuple[bool, str]:
    values = _values(name, facts)
    held = any(matches(value, pattern) for value in values for pattern in patterns)
    shown = "\\".join(values) or "empty"
    wanted = ", ".join(pattern or "empty" for pattern in patterns)
    return held, f"{name} is {shown}, {'one of' if held else 'none of'} {wanted}"


def matches(value: str, pattern: str) -> bool:
    """Whether a value fits a pattern with the shell's wildcards, in whatever case."""
    return fnmatchcase(value.upper(), pattern.upper())


def _values(name: str, facts: Facts) -> tuple[str, ...]:
    own = {
        "region": facts.region or "",
        "outcome": facts.outcome,
        "agreement": facts.agreement or "",
        "calling_ae": facts.calling_ae,
        "called_ae": facts.called_ae,
    }
    if name in own:
        return (str(own[name]),)
    return facts.header.get("Modality" if name == "modality" else name) or ("",)
