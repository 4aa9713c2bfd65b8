"""The ledger's tables.

What is asked for all the time is the small part of each table that still waits: claims, oldest ages, open deliveries.
So the indexes behind those questions are partial: they hold only the waiting rows, stay small however long the node
runs, and cost nothing once a row is done. Both databases have them, but use one only where they can prove its condition
from the query, and PostgreSQL's generic plan for a prepared statement proves nothing from a parameter. Therefore the
conditions (`is_received` and so on) are literal, and kept here once, for the indexes and for the queries.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    false,
    literal_column,
    text,
    true,
)

from dicom_node.commitment import PromiseState
from dicom_node.instance import DeliveryState, InstanceState
from dicom_node.ledger.columns import Number, UtcTime, Word
from dicom_node.ports import When
from dicom_node.regions import REGIONS, Region
from dicom_node.verdict import Agreement, Decision, Outcome

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

instances = Table(
    "instances",
    metadata,
    Column("id", Number, primary_key=True),
    Column("sop_instance_uid", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("sop_class_uid", Text, nullable=False),
    Column("transfer_syntax_uid", Text, nullable=False),
    Column("study_uid", Text, nullable=False),
    Column("series_uid", Text, nullable=False),
    Column("modality", Text, nullable=False),
    Column("body_part", Text, nullable=False),
    Column("anatomic_region_code", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("calling_ae", Text, nullable=False),
    Column("called_ae", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("state", Word(InstanceState), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("conflict", Boolean, nullable=False),
    Column("spooled", Boolean, nullable=False),
    # Whether it has a delivery: lets `forwarded`, `unrouted` and `retired` be found without visiting every row.
    Column("routed", Boolean, nullable=False),
    # Its file is gone, and nobody removed it; spooled is False then, too.
    Column("lost", Boolean, nullable=False, server_default=false()),
    # A person has let it go for another content with its UID; its file was removed, spooled is False then, too.
    Column("let_go", Boolean, nullable=False, server_default=false()),
    # Sent again after its file had gone, or preferred by a person to another content with its UID: kept from then on.
    Column("resent_at", UtcTime),
    Column("unasked", Boolean, nullable=False, server_default=false()),  # had gone, was found, and not sent since
    Column("lease_owner", Text),
    Column("lease_until", UtcTime),
    UniqueConstraint("sop_instance_uid", "digest"),
)

studies = Table(
    "studies",
    metadata,
    Column("study_uid", Text, primary_key=True),
    Column("newest_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
)

series_values = Table(
    "series_values",
    metadata,
    Column("study_uid", Text, nullable=False),
    Column("series_uid", Text, nullable=False),
    Column("when", Word(When), nullable=False),
    Column("value", Text),
    PrimaryKeyConstraint("study_uid", "series_uid", "when"),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("instance_id", Number, ForeignKey("instances.id"), primary_key=True, autoincrement=False),
    Column("outcome", Word(Outcome), nullable=False),
    Column("decision", Word(Decision), nullable=False),
    Column("reason", Text, nullable=False),
    Column("decided_at", UtcTime, nullable=False),
    Column("region", Word(Region)),
    Column("confidence", Double, nullable=False),
    Column("header_region", Word(Region)),
    Column("agreement", Word(Agreement)),
    Column("body_part", Text),
    Column("proposal", Text),
)

predictions = Table(
    "predictions",
    metadata,
    Column("instance_id", Number, ForeignKey("instances.id"), primary_key=True, autoincrement=False),
    Column("model_id", Text, nullable=False),
    Column("region", Word(Region), nullable=False),
    Column("confidence", Double, nullable=False),
    Column("reject_score", Double, nullable=False),
    *(Column(f"p_{region}", Double, nullable=False) for region in REGIONS),
    Column("embedding", LargeBinary, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Number, primary_key=True),
    Column("instance_id", Number, ForeignKey("instances.id"), nullable=False),
    Column("destination", Text, nullable=False),
    Column("state", Word(DeliveryState), nullable=False),
    Column("planned_at", UtcTime, nullable=False),
    Column("due_at", UtcTime),
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text),
    Column("delivered_at", UtcTime),
    Column("sent_uid", Text),
    Column("written", Text),
    # Its place among the errors of its destination, the latest highest (two of the same moment may share one); None
    # without an error, and once it is delivered.
    Column("trouble", Number),
    # How often its destination did not commit itself to what it had taken.
    Column("refusals", Integer, nullable=False, server_default=text("0")),
    Column("lease_owner", Text),
    Column("lease_until", UtcTime),
    UniqueConstraint("instance_id", "destination"),
)

# What the latest sending of a SENT delivery consisted of.
sent_objects = Table(
    "sent_objects",
    metadata,
    Column("delivery_id", Number, ForeignKey("deliveries.id"), primary_key=True, autoincrement=False),
    Column("sop_instance_uid", Text, primary_key=True),
    Column("sop_class_uid", Text, nullable=False),
)

# Storage commitment that we ask destinations for, one row a transaction.
commitments = Table(
    "commitments",
    metadata,
    Column("id", Number, primary_key=True),
    Column("transaction_uid", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("answered_at", UtcTime),
    UniqueConstraint("transaction_uid"),
)

# Which deliveries a transaction is about, as long as an answer to it matters.
commitment_deliveries = Table(
    "commitment_deliveries",
    metadata,
    Column("commitment_id", Number, ForeignKey("commitments.id"), primary_key=True, autoincrement=False),
    Column("delivery_id", Number, ForeignKey("deliveries.id"), primary_key=True, autoincrement=False),
)

# Storage commitment that peers ask us for. `referenced`: JSON, pairs of SOP class and instance UID.
promises = Table(
    "promises",
    metadata,
    Column("id", Number, primary_key=True),
    Column("calling_ae", Text, nullable=False),
    Column("transaction_uid", Text, nullable=False),
    Column("called_ae", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("referenced", Text, nullable=False),
    Column("state", Word(PromiseState), nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text),
    Column("reported_at", UtcTime),
    UniqueConstraint("calling_ae", "transaction_uid"),
)

# Every destination that ever had a delivery.
destinations = Table(
    "destinations",
    metadata,
    Column("name", Text, primary_key=True),
)

events = Table(
    "events",
    metadata,
    Column("id", Number, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("instance_id", Number, ForeignKey("instances.id")),
    Column("detail", Text, nullable=False),
)

# What people say that instances show; nothing is ever changed or taken away, the highest id of an instance counts.
labels = Table(
    "labels",
    metadata,
    Column("id", Number, primary_key=True),
    Column("instance_id", Number, ForeignKey("instances.id"), nullable=False),
    Column("region", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("name", Text, primary_key=True),
    Column("last_run", UtcTime),
    Column("next_run", UtcTime),
)

# What holds for the whole ledger, one value a name.
facts = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

Condition = ColumnElement[bool]

is_received: Condition = instances.c.state == literal_column("'received'")
is_settled: Condition = instances.c.state == literal_column("'settled'")
is_unrouted: Condition = is_settled & (instances.c.routed == false())
is_kept: Condition = (instances.c.spooled == true()) & (instances.c.routed == true())
is_lost: Condition = instances.c.lost == true()
is_flagged: Condition = instances.c.conflict == true()
is_open: Condition = studies.c.closed_at.is_(None)
is_abstained: Condition = verdicts.c.outcome == literal_column("'abstained'")
is_unreadable: Condition = verdicts.c.outcome == literal_column("'unreadable'")
is_for_review: Condition = verdicts.c.decision == literal_column("'review'")
is_pending: Condition = deliveries.c.state == literal_column("'pending'")
is_failed: Condition = deliveries.c.state == literal_column("'failed'")
is_sent: Condition = deliveries.c.state == literal_column("'sent'")
is_undelivered: Condition = deliveries.c.state != literal_column("'delivered'")
is_troubled: Condition = deliveries.c.trouble.is_not(None)
was_sent: Condition = deliveries.c.sent_uid.is_not(None)
is_held: Condition = instances.c.lease_until.is_not(None)
is_in_hand: Condition = deliveries.c.lease_until.is_not(None)
is_promised: Condition = promises.c.state == literal_column("'open'")
is_given_up: Condition = promises.c.state == literal_column("'given_up'")
is_unreported: Condition = promises.c.state != literal_column("'reported'")


def _partial(name: str, *columns: Column[object], only: Condition) -> None:
    Index(name, *columns, sqlite_where=only, postgresql_where=only)


Index(None, instances.c.series_uid)
Index(None, instances.c.study_uid)
_partial("ix_instances_received", instances.c.received_at, instances.c.id, only=is_received)
_partial("ix_instances_received_study", instances.c.study_uid, only=is_received)
_partial("ix_instances_unrouted", instances.c.id, only=is_unrouted)
_partial("ix_instances_kept", instances.c.received_at, instances.c.id, only=is_kept)
_partial("ix_instances_lost", instances.c.id, only=is_lost)
_partial("ix_instances_conflict", instances.c.sop_instance_uid, only=is_flagged)
_partial("ix_instances_leased", instances.c.lease_until, only=is_held)
_partial("ix_studies_open", studies.c.newest_at, only=is_open)
_partial("ix_verdicts_abstained", verdicts.c.instance_id, only=is_abstained)
_partial("ix_verdicts_unreadable", verdicts.c.instance_id, only=is_unreadable)
_partial("ix_verdicts_review", verdicts.c.instance_id, only=is_for_review)
Index(None, deliveries.c.destination, deliveries.c.state)
_partial("ix_deliveries_pending", deliveries.c.destination, deliveries.c.due_at, deliveries.c.id, only=is_pending)
_partial("ix_deliveries_failed", deliveries.c.destination, deliveries.c.id, only=is_failed)
_partial("ix_deliveries_undelivered", deliveries.c.instance_id, only=is_undelivered)
_partial("ix_deliveries_troubled", deliveries.c.destination, deliveries.c.trouble, deliveries.c.id, only=is_troubled)
_partial("ix_deliveries_sent", deliveries.c.sent_uid, only=was_sent)
_partial("ix_deliveries_uncommitted", deliveries.c.destination, deliveries.c.due_at, deliveries.c.id, only=is_sent)
_partial("ix_deliveries_leased", deliveries.c.lease_until, only=is_in_hand)
Index(None, commitment_deliveries.c.delivery_id)
_partial("ix_promises_open", promises.c.due_at, promises.c.id, only=is_promised)
_partial("ix_promises_unreported", promises.c.asked_at, promises.c.id, only=is_unreported)
Index(None, events.c.instance_id)
Index(None, labels.c.instance_id)
