"""What a configuration comes to, as lines for people: whom the node lets in, what it changes, what it removes."""

import hashlib
from collections.abc import Iterator

from dicom_node.config.quantities import shown
from dicom_node.config.sections import Config, NodeSection, PolicySection, RetentionSection


def summary_of(config: Config) -> Iterator[tuple[str, str]]:
    """What is about, and how it is."""
    yield "may call", _callers(config.node)
    yield "policy", _policy(config.policy)
    yield "retention", _retention(config.retention)
    for title in (title for title, place in config.report_places.items() if place is None):
        names = " and ".join(one.name for one in config.destinations if one.ae_title == title)
        yield f"reports to {title}", f"only where it asked, since {names} go by that title: see [[commitment_peers]]"


def fingerprint_of(config: Config) -> str:
    """One for all configurations that do the same with an image; how it travels may differ from machine to machine."""
    travel = {"timeout", "retry", "tls"}
    same = config.model_copy(update={"destinations": tuple(sorted(config.destinations, key=lambda one: one.name))})
    said = same.model_dump_json(
        include={"destinations", "rules", "policy"}, exclude={"destinations": {"__all__": travel}}
    )
    return hashlib.sha256(said.encode()).hexdigest()


def _callers(node: NodeSection) -> str:
    titles = f"only {', '.join(node.calling_ae)}" if node.calling_ae else "any AE title"
    places = f"only from {', '.join(map(str, node.allow_from))}" if node.allow_from else "from any address"
    called = f", only by the name of {' or '.join(node.called_ae)}" if node.called_ae else ""
    return f"{titles}, {places}{called}"


def _policy(policy: PolicySection) -> str:
    empty = "fills empty headers" if policy.fill else "leaves empty headers"
    if policy.correct_above is None:
        return f"{empty}; wrong ones wait for review"
    return f"{empty}; corrects wrong ones from a confidence of {policy.correct_above:g}, below they wait for review"


def _retention(retention: RetentionSection) -> str:
    if retention.keep is None:
        return "keeps every file for ever"
    return f"removes files {shown(retention.keep)} after they came, once every destination has them"
