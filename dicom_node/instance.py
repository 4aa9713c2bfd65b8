"""What the node knows about an object that it keeps, and where that object stands on its way."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dicom_node.content import Content


class InstanceState(StrEnum):
    """How far an instance has come; deliveries have states of their own."""

    RECEIVED = "received"  # durable, acknowledged, not yet looked at
    SETTLED = "settled"  # it has a verdict, and its deliveries are planned


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """An object as a peer hands it over: the data set's bytes, exactly as sent, and what was said about them.

    `dataset` holds no preamble and no file meta; it is encoded as `transfer_syntax_uid` says (PS3.5 section 10).
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    dataset: Content
    calling_ae: str
    called_ae: str
    peer: str


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A durable file that is about to enter the ledger.

    `digest`: SHA-256 in hex over transfer syntax, UID and data set. `path`: relative to the spool. `size`: bytes of the
    data set. `body_part`: BodyPartExamined as sent; `anatomic_region_code`: AnatomicRegionSequence's codes.
    """

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    study_uid: str
    series_uid: str
    modality: str
    body_part: str
    digest: str
    path: str
    size: int
    calling_ae: str
    called_ae: str
    peer: str
    received_at: datetime
    anatomic_region_code: str = ""


@dataclass(frozen=True, kw_only=True)
class Instance(Arrival):
    """An arrival that the ledger has numbered.

    `conflict`: an object with the same UID and other content was here before it. `attempts`: how often a worker has
    claimed it. `spooled`: False once retention has removed the file, or a check has found it lost. `resent_at`: when
    its sender last sent it again after that, or a person let another content with its UID go. `unasked`: its
    file had gone and was found again, which nobody has asked for: who sends it now misses it.
    """

    id: int
    state: InstanceState
    attempts: int = 0
    conflict: bool = False
    spooled: bool = True
    resent_at: datetime | None = None
    unasked: bool = False

    @property
    def kept_since(self) -> datetime:
        """From when on the time counts for which its file is kept."""
        return self.resent_at or self.received_at


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What became of an incoming object: `duplicate` when the very same content was already here."""

    instance: Instance
    duplicate: bool


# What `written` says of a delivery that was a report without its image: that destination has no image of ours.
REPORT_ALONE = ""


class DeliveryState(StrEnum):
    """Where one instance stands on its way to one destination."""

    PENDING = "pending"  # waits for its time, for its study to close, or is being sent
    SENT = "sent"  # the destination has taken it, and is still to commit itself to keep it (PS3.4 annex J)
    DELIVERED = "delivered"  # the destination has confirmed it, by a commitment where it is asked for one
    FAILED = "failed"  # the destination refused for good; somebody must requeue it
    LET_GO = "let_go"  # a person wants another content with this UID in its place


@dataclass(frozen=True, kw_only=True)
class PlannedDelivery:
    """A delivery to be made. `due_at` None: not before the study is closed."""

    destination: str
    due_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One instance on its way to one destination. `sent_uid`: the SOP Instance UID under which it went (of several
    objects, the last), empty where nothing went; `written`: the body part that the copy was given, None for as
    received, REPORT_ALONE; `due_at`: when it is to be sent or, once SENT, when its commitment is to be asked for;
    `refusals`: how often that was denied.
    """

    id: int
    instance_id: int
    destination: str
    state: DeliveryState
    planned_at: datetime
    due_at: datetime | None
    attempts: int = 0
    last_error: str | None = None
    delivered_at: datetime | None = None
    sent_uid: str | None = None
    written: str | None = None
    refusals: int = 0


@dataclass(frozen=True, kw_only=True)
class Done:
    """A delivery that its destination has confirmed, at `at`, under `sent_uid`. `written`: the body part that the copy
    was given, None for as received, REPORT_ALONE.
    """

    delivery_id: int
    sent_uid: str
    written: str | None
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened, kept for whoever asks later. `detail` never holds patient data."""

    kind: str
    at: datetime
    instance_id: int | None = None
    detail: str = ""
