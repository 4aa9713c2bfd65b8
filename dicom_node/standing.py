"""Where images stand: for whoever wants to know which ones it is that `status` counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from dicom_node.instance import Delivery, DeliveryState, Instance
from dicom_node.verdict import Verdict


class Standing(StrEnum):
    """What an image may be asked for by. Each means what the figure of that name in `record.Counts` means, but that
    three of those count deliveries, of which an image may have several.
    """

    FAILED = "failed"  # a destination refused it for good, or somebody gave its delivery up
    UNCOMMITTED = "uncommitted"  # a destination has taken it, and not committed itself to keep it
    PENDING = "pending"  # it waits for its verdict, for a delivery to be made, or for a commitment
    ABSTAINED = "abstained"  # the model named no region
    REVIEW = "review"  # a person is to look at its header
    UNREADABLE = "unreadable"  # its pixels could not be read; `Counts` has no such figure
    UNROUTED = "unrouted"  # it is settled and has no delivery
    CONFLICTING = "conflicting"  # other contents bear its UID too, and nobody has let them go
    LOST = "lost"  # its file is gone though nobody removed it


# The deliveries that put an image there.
DELIVERIES: Mapping[Standing, frozenset[DeliveryState]] = {
    Standing.FAILED: frozenset({DeliveryState.FAILED}),
    Standing.UNCOMMITTED: frozenset({DeliveryState.SENT}),
    Standing.PENDING: frozenset({DeliveryState.PENDING, DeliveryState.SENT}),
}


def delivery_states(standing: Standing, destination: str | None) -> frozenset[DeliveryState]:
    """The states of deliveries that put an image there; none where it stands there for another reason.

    The figures of one destination tell its uncommitted deliveries apart from the pending ones, unlike those of all.
    """
    if standing is Standing.PENDING and destination is not None:
        return frozenset({DeliveryState.PENDING})
    return DELIVERIES.get(standing, frozenset())


@dataclass(frozen=True, kw_only=True)
class StandingImage:
    """One image of a list. `deliveries`: those that put it there, in the order in which they were planned."""

    instance: Instance
    verdict: Verdict | None
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, kw_only=True)
class ImageList:
    """The newest images that stand somewhere, the newest first, and how many stand there in all."""

    images: tuple[StandingImage, ...]
    total: int


class Standings(Protocol):
    """The ledger as those see it who look for images; a room as those in `ports`."""

    def images(self, standing: Standing, *, destination: str | None = None, limit: int) -> ImageList:
        """Up to `limit` images, those first that the ledger got last. `destination`: only what stands there because of
        a delivery to it; for FAILED, UNCOMMITTED and PENDING alone.
        """
