"""What the ledger tells people and monitors, as values."""

from dataclasses import dataclass
from datetime import datetime

from dicom_node.instance import Delivery, Event, Instance
from dicom_node.label import Label
from dicom_node.verdict import Recognition, Verdict


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The figures of `status`. `pending`: instances without a verdict plus deliveries not yet made, among them the
    `uncommitted` ones. `unreported`: requests for commitment whose answer the peer has not got.
    `conflicting`: instances with whose UID other contents are here or were delivered, and have not been let go.
    """

    received: int
    classified: int
    forwarded: int
    pending: int
    failed: int
    abstained: int
    review: int
    unrouted: int
    lost: int = 0
    uncommitted: int = 0
    unreported: int = 0
    conflicting: int = 0


@dataclass(frozen=True, kw_only=True)
class DestinationCounts:
    """How one destination stands. `oldest_due`: the time at which its longest waiting delivery became due.
    `last_error`: the latest error of a delivery that has not arrived; None when there is none. `uncommitted`: those
    that it has taken and not committed itself to.
    """

    destination: str
    pending: int
    delivered: int
    failed: int
    oldest_due: datetime | None
    last_error: str | None
    uncommitted: int = 0


@dataclass(frozen=True, kw_only=True)
class InstanceRecord:
    """Everything that the ledger knows of one instance. `labels`: what people said of it, the latest last."""

    instance: Instance
    verdict: Verdict | None
    recognition: Recognition | None
    deliveries: tuple[Delivery, ...]
    events: tuple[Event, ...]
    labels: tuple[Label, ...] = ()

    @property
    def label(self) -> Label | None:
        """What counts: the latest."""
        return self.labels[-1] if self.labels else None


@dataclass(frozen=True, kw_only=True)
class JobRun:
    """When a periodic job last ran and will run next."""

    name: str
    last_run: datetime | None
    next_run: datetime | None
