"""What environment variables say: DICOM_NODE_SECTION__KEY over what the file says of it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dicom_node.errors import ConfigError
from dicom_node.rules import FACT_CONDITIONS

PREFIX = "DICOM_NODE_"
# Tables whose keys are not ours, and mean something else in another case: AE titles, and keywords of DICOM.
FREE_KEYS = frozenset({"client_names", "when"})
# Keys whose text may begin like JSON and never is.
PLAIN_KEYS = frozenset({"key_password"})

# The keys and places that lead to a value, as in ("destinations", "0", "host").
Way = tuple[str, ...]


def override(values: dict[str, Any], environ: Mapping[str, str]) -> dict[Way, str]:
    """Set what the variables name, in place; returns which variable set what. Raises ConfigError naming a variable."""
    variables: dict[Way, str] = {}
    for name, text in sorted(environ.items(), key=_in_order):
        if name.startswith(PREFIX):
            way = _way(name)
            _set(values, way, text, name)
            variables[way] = name
    return variables


def variables_behind(where: Sequence[str | int], variables: Mapping[Way, str], file: Mapping[str, Any]) -> list[str]:
    """The variables to blame for what is wrong at a place: the one that set it, or all those below a place that the
    file does not have; none where it is the file.
    """
    place = tuple(str(step) for step in where)
    above = [way for way in variables if place[: len(way)] == way]
    if above:
        return [variables[max(above, key=len)]]
    return [] if _holds(file, place) else [name for way, name in variables.items() if way[: len(place)] == place]


def _holds(values: Any, place: Way) -> bool:
    for step in place:
        if isinstance(values, dict) and step in values:
            values = values[step]
        elif isinstance(values, list) and step.isdecimal() and int(step) < len(values):
            values = values[int(step)]
        else:
            return False
    return True


def _in_order(variable: tuple[str, str]) -> list[tuple[int, str]]:
    """Sorts the places in a list of tables by number: the tenth comes after the second, and each after the list."""
    return [(int(step), "") if step.isdecimal() else (-1, step) for step in variable[0].split("__")]


def _way(name: str) -> Way:
    """The keys that an environment variable names, in our lower case, but for those of FREE_KEYS: as they are written.

    Of these, a rule's own conditions are ours again.
    """
    way: list[str] = []
    for step in name.removeprefix(PREFIX).split("__"):
        table = way[-1] if way else ""
        ours = table not in FREE_KEYS or (table == "when" and step.lower() in FACT_CONDITIONS)
        way.append(step.lower() if ours else step)
    return tuple(way)


def _set(values: dict[str, Any], whole: Way, text: str, name: str) -> None:
    *way, last = whole
    place: Any = values
    for step, following in zip(way, [*way, last][1:], strict=True):
        place = _enter(place, step, [] if following.isdigit() and step not in FREE_KEYS else {}, name)
    _put(place, last, text if last in PLAIN_KEYS else _parsed(text, name), name)


def _enter(place: Any, step: str, empty: Any, name: str) -> Any:
    if isinstance(place, dict):
        return place.setdefault(step, empty)
    if isinstance(place, list) and step.isdigit() and int(step) <= len(place):
        if int(step) == len(place):
            place.append(empty)
        return place[int(step)]
    raise ConfigError(f"the environment variable {name} leads nowhere; check its section and key")


def _put(place: Any, key: str, value: Any, name: str) -> None:
    if isinstance(place, dict):
        place[key] = value
    elif isinstance(place, list) and key.isdigit() and int(key) <= len(place):
        place[int(key) : int(key) + 1] = [value]
    else:
        raise ConfigError(f"the environment variable {name} leads nowhere; check its section and key")


def _parsed(text: str, name: str) -> Any:
    """A list or a table is written as JSON; the error does not repeat it, for it may hold a secret."""
    if text.lstrip()[:1] not in ("[", "{"):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(
            f"the environment variable {name} begins as a list or a table and is no JSON ({error}): "
            """write it like ["CR1", "CR2"] or {"CR1": "cr1.example.org"}"""
        ) from error
