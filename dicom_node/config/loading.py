"""TOML file + environment -> Config. Everything that is wrong is said in one ConfigError, a line each."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from dicom_node.config.names import nearest
from dicom_node.config.sections import Config
from dicom_node.errors import ConfigError
from dicom_node.rules import FACT_CONDITIONS

PREFIX = "DICOM_NODE_"
# Keys of the design that later versions will know.
PLANNED = frozenset({"stow", "webhook"})
DEFAULT_FILE = Path("node.toml")
# Tables whose keys are not ours, and mean something else in another case: AE titles, and keywords of DICOM.
FREE_KEYS = frozenset({"client_names", "when"})


def find_config_file(given: Path | None) -> Path | None:
    """The file to read: the one that was named, else ./node.toml where it exists, else none."""
    if given is None:
        return DEFAULT_FILE if DEFAULT_FILE.is_file() else None
    if not given.is_file():
        raise ConfigError(f"there is no configuration file {given}; check the path after --config")
    return given


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read and validate the configuration; raises ConfigError naming each key that is wrong."""
    values = _read_toml(path) if path is not None else {}
    for name, text in sorted(environ.items(), key=_in_order):
        if name.startswith(PREFIX):
            _override(values, name, text)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        source = f" in {path}" if path is not None else ""
        lines = [f"  {_sentence(detail)}" for detail in error.errors()]
        raise ConfigError(f"the configuration{source} cannot be used:\n" + "\n".join(lines)) from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def _in_order(variable: tuple[str, str]) -> list[tuple[int, str]]:
    """Sorts the places in a list of tables by number: the tenth comes after the second, and each after the list."""
    return [(int(step), "") if step.isdecimal() else (-1, step) for step in variable[0].split("__")]


def _override(values: dict[str, Any], name: str, text: str) -> None:
    """Set one key from DICOM_NODE_SECTION__KEY or, inside a list of tables, DICOM_NODE_DESTINATIONS__0__HOST."""
    *way, last = _way(name)
    place: Any = values
    for step, following in zip(way, [*way, last][1:], strict=True):
        place = _enter(place, step, [] if following.isdigit() and step not in FREE_KEYS else {}, name)
    _put(place, last, _parsed(text), name)


def _way(name: str) -> list[str]:
    """The keys that an environment variable names, in our lower case, but for those of FREE_KEYS: as they are written.

    Of these, a rule's own conditions are ours again.
    """
    way: list[str] = []
    for step in name.removeprefix(PREFIX).split("__"):
        table = way[-1] if way else ""
        ours = table not in FREE_KEYS or (table == "when" and step.lower() in FACT_CONDITIONS)
        way.append(step.lower() if ours else step)
    return way


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


def _parsed(text: str) -> Any:
    if text[:1] in "[{":
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _sentence(detail: Any) -> str:
    where = ".".join(str(step) for step in detail["loc"])
    if detail["type"] == "model_type":
        return f"{where}: this must be a table, [{where}]"
    if detail["type"] == "extra_forbidden":
        *parents, key = detail["loc"]
        if key in PLANNED:
            return f"{where}: not supported in this version; remove it"
        return f"{where}: there is no such key{nearest(str(key), _valid_keys(parents))}"
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _valid_keys(parents: list[str | int]) -> list[str]:
    model: type[BaseModel] = Config
    for step in parents:
        if isinstance(step, int):
            continue
        annotation = model.model_fields[step].annotation
        candidates = [annotation, *get_args(annotation)]
        model = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return list(model.model_fields)
