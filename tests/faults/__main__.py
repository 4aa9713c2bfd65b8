"""`python -m tests.faults --kills 200`: the fault runs, as long as somebody likes, and their table."""

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.faults.runs import node_kills, pacs_trouble, postgres_kills
from tests.faults.table import Row, table


def main() -> int:
    """0 when every account balances."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="kills of the node, all its processes or a receiver")
    parser.add_argument("--postgres-kills", type=int, default=40)
    parser.add_argument("--pacs-rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folders = [Path(name, part) for part in ("kills", "postgres", "pacs")]
        for folder in folders:
            folder.mkdir()
        runs: list[Callable[[], list[Row]]] = []
        if wanted.kills:
            runs.append(partial(node_kills, folders[0], kills=wanted.kills, seed=wanted.seed))
        if wanted.postgres_kills:
            runs.append(partial(postgres_kills, folders[1], kills=wanted.postgres_kills, seed=wanted.seed))
        if wanted.pacs_rounds:
            size = {"rounds": wanted.pacs_rounds, "objects": 15 * wanted.pacs_rounds}
            runs.append(partial(pacs_trouble, folders[2], seed=wanted.seed, **size))
        rows: list[Row] = []
        for run in runs:
            rows += run()
            # After each: a run of an hour that is interrupted has still said something.
            print(table(rows), flush=True)
    for row in rows:
        print("\n".join(row.account.wrong[:50]), file=sys.stderr)
    return 0 if all(row.account.balanced for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
