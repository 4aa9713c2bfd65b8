"""One of several processes as torchrun starts them: `pretrain` for each recipe that is named, one after the other.

    python -m tests.unit.training.one_of_two FOLDER PORT METHOD...

One start for all methods, since starting is what takes the time. The environment says which process this is.
"""

import os
import sys
from pathlib import Path

from training.commands.pretrain import pretrain


def main(folder: Path, port: int, methods: list[str]) -> None:
    for number, method in enumerate(methods):
        os.environ["MASTER_PORT"] = str(port + number)
        pretrain([folder / "data"], folder / f"two-{method}", recipe=folder / f"{method}.toml", seed=3)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
