"""Pieces of node.toml for tests."""

from pathlib import Path


def model(path: Path) -> str:
    """The model section."""
    return f'[model]\npath = "{path}"\n'


def destination(name: str, port: int, *, ae_title: str = "PACS", **keys: object) -> str:
    """A destination on this machine; keys as in the configuration."""
    lines = [f"{key} = {_toml(value)}" for key, value in keys.items()]
    return (
        "\n".join(
            [
                "[[destinations]]",
                f'name = "{name}"',
                f'ae_title = "{ae_title}"',
                'host = "127.0.0.1"',
                f"port = {port}",
                *lines,
            ]
        )
        + "\n"
    )


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return f'"{value}"' if isinstance(value, str) else str(value)
