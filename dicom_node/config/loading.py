"""TOML file + environment -> Config. Everything that is wrong is said in one ConfigError, a line each."""

import tomllib
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from dicom_node.config.environment import override, variables_behind
from dicom_node.config.names import nearest
from dicom_node.config.sections import Config
from dicom_node.errors import ConfigError

# Keys of the design that later versions will know.
PLANNED = frozenset({"stow", "webhook"})
DEFAULT_FILE = Path("node.toml")


def find_config_file(given: Path | None) -> Path | None:
    """The file to read: the one that was named, else ./node.toml where it exists, else none. Raises ConfigError."""
    path = given or DEFAULT_FILE
    try:
        there = path.is_file()
    except OSError as error:
        raise ConfigError(f"the configuration file {path} cannot be reached ({error.strerror})") from error
    if given is not None and not there:
        raise ConfigError(f"there is no configuration file {given}; check the path after --config")
    return path if there else None


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read and validate the configuration; raises ConfigError naming each key that is wrong, and the variable where it
    is one's.
    """
    file = _read_toml(path) if path is not None else {}
    values = deepcopy(file)
    variables = override(values, environ)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        details = [(_sentence(detail), variables_behind(_place(detail), variables, file)) for detail in error.errors()]
        lines = [f"  {line}{_from(names)}" for line, names in details]
        source = f" in {path}" if path is not None and not all(names for _, names in details) else ""
        raise ConfigError(f"the configuration{source} cannot be used:\n" + "\n".join(lines)) from error


def _place(detail: Any) -> tuple[str | int, ...]:
    """Where something is wrong; of a key that is missing, the table that lacks it."""
    place = tuple(detail["loc"])
    return place[:-1] if detail["type"] == "missing" else place


def _from(variables: list[str]) -> str:
    return f" (from the environment: {', '.join(variables)})" if variables else ""


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def _sentence(detail: Any) -> str:
    where = ".".join(str(step) for step in detail["loc"])
    if detail["type"] == "model_type":
        return f"{where}: this must be a table, [{where}]"
    if detail["type"] == "tuple_type" and isinstance(detail["input"], dict):
        return f"{where}: there may be several of these tables; write [[{where}]]"
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
