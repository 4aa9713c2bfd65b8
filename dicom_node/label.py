"""What people say that objects show: the labels that a model is taught and measured with."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dicom_node.regions import REGIONS

# One word, so that no sentence, and nobody's name, is kept as the name of a kind.
_OUTSIDE = re.compile(r"ood:[a-z0-9_-]{1,40}")

ALLOWED = f"one of {', '.join(REGIONS)}, or ood:KIND (one word in lower case) for what shows none of them"


@dataclass(frozen=True, kw_only=True)
class Label:
    """What somebody says that an object shows. `region`: one of the 14, or `ood:<kind>`; `by`: who, as they sign.

    Raises ValueError for another region, and where nobody signs.
    """

    region: str
    by: str
    at: datetime

    def __post_init__(self) -> None:
        if not is_label(self.region):
            raise ValueError(f"a label is {ALLOWED}")
        if not self.by.strip():
            raise ValueError("a label is somebody's")


class Labels(Protocol):
    """The ledger as those see it who say what images show; a room as those in `ports`.

    What they said is in `ports.Records`.
    """

    def add(self, labels: Mapping[str, Label]) -> Sequence[str]:
        """Keep a label for each of these SOP Instance UIDs, above earlier ones, which stay; instances that share a UID
        all get it. Returns the UIDs of which the ledger holds no instance: if there are any, nothing is written.
        """


def is_label(text: str) -> bool:
    """Whether a label may say this."""
    return text in set(REGIONS) or _OUTSIDE.fullmatch(text) is not None
