"""What peers wrote, for a terminal: headers, AE titles, errors. Nothing of it is markup or moves the cursor."""

from rich.console import Console


def plain_console(width: int | None = None) -> Console:
    """A console that prints `[/B]` and `:bone:` as they are."""
    return Console(width=width, markup=False, highlight=False, emoji=False)


def in_one_line(text: str) -> str:
    """Without line breaks and control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()
