"""Names of destinations that people type."""

from collections.abc import Sequence

from dicom_node.config import Config
from dicom_node.config.names import nearest
from dicom_node.errors import ConfigError


def configured_names(settings: Config) -> list[str]:
    """The destinations of a configuration, in its order."""
    return [destination.name for destination in settings.destinations]


def require_configured(name: str, settings: Config) -> None:
    """Raise ConfigError, with the names that there are, unless a destination is configured."""
    names = configured_names(settings)
    if name not in names:
        raise ConfigError(
            f"no destination {name!r} is configured{nearest(name, names)} ({_those('configured', names)})"
        )


def require_known(name: str, settings: Config, past: Sequence[str]) -> None:
    """Raise ConfigError, with the names that there are, unless a destination is configured or had a delivery once."""
    names = [*configured_names(settings), *past]
    if name not in names:
        told = _those("known", sorted(set(names)))
        raise ConfigError(f"nothing is known of a destination {name!r}{nearest(name, names)} ({told})")


def _those(kind: str, names: Sequence[str]) -> str:
    if not names:
        return f"none is {kind}"
    return f"{kind} {'is' if len(names) == 1 else 'are'} {', '.join(names)}"
