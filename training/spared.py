"""What a command may not write over: the very files that it was given."""

from collections.abc import Iterable
from pathlib import Path

from training.errors import TrainingError


def check_spared(targets: Iterable[Path], sources: Iterable[Path]) -> None:
    """Refuse, before anything is written, a result that would take the place of what it is made from.

    Raises:
        TrainingError: one of the targets is one of the sources, by whatever path or link.
    """
    given = {source.resolve(): source for source in sources}
    for target in targets:
        for resolved, source in given.items():
            if target.resolve() == resolved or (target.exists() and source.exists() and target.samefile(source)):
                raise TrainingError(
                    f"{target} would be written over {source}, from which it is made: name another --out."
                )
