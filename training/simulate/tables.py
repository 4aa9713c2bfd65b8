"""The tables in `terms`: what is known of bones, growth and trunk, as data."""

import csv
from importlib.resources import files


def rows(name: str) -> list[dict[str, str]]:
    """The lines of terms/`name`.csv, by column."""
    text = (files("training.simulate") / "terms" / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
