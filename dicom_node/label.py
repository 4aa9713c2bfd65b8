"""What people say that objects show: the labels that a model is taught and measured with."""

import re
from dataclasses import dataclass
from datetime import datetime

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


def is_label(text: str) -> bool:
    """Whether a label may say this."""
    return text in set(REGIONS) or _OUTSIDE.fullmatch(text) is not None
