"""What fault runs came to, as rows of the table in docs/FAULTS.md."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.faults.account import Account


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run. `faults`: how many, of which kind; `n`: objects acknowledged."""

    run: str
    faults: str
    account: Account
    unanswered: int
    seconds: float
    drain_seconds: float


HEADINGS = ("run", "faults", "acknowledged", "stored", "forwarded", "unanswered", "wrong", "run s", "drain s")


def cells(row: Row) -> tuple[str, ...]:
    account = row.account
    figures = (account.acknowledged, account.stored, account.forwarded, row.unanswered, len(account.wrong))
    return (row.run, row.faults, *map(str, figures), f"{row.seconds:.0f}", f"{row.drain_seconds:.1f}")


def table(rows: Iterable[Row]) -> str:
    """Markdown."""
    lines: list[Sequence[str]] = [HEADINGS, ["---"] * len(HEADINGS), *map(cells, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def counted(faults: dict[str, int]) -> str:
    """ "2 x this, 1 x that"."""
    return ", ".join(f"{count} x {name}" for name, count in sorted(faults.items()))
