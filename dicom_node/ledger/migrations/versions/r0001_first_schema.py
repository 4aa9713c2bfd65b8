"""The first schema. Written out rather than made from schema.py: a migration never changes once it is out."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TIME = sa.DateTime(timezone=True)
REGIONS = (
    "clavicle shoulder skull rib elbow knee wrist hand foot ankle pelvis_hip cervical_spine thoracic_spine lumbar_spine"
)


def upgrade() -> None:
    _instances()
    _studies()
    _verdicts()
    _deliveries()
    _events_and_jobs()


def _instances() -> None:
    op.create_table(
        "instances",
        sa.Column("id", NUMBER, nullable=False),
        *_texts(
            "sop_instance_uid digest sop_class_uid transfer_syntax_uid study_uid series_uid modality body_part "
            "anatomic_region_code path"
        ),
        sa.Column("size", sa.BigInteger, nullable=False),
        *_texts("calling_ae called_ae peer"),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("conflict", sa.Boolean, nullable=False),
        sa.Column("spooled", sa.Boolean, nullable=False),
        sa.Column("routed", sa.Boolean, nullable=False),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_until", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_instances"),
        sa.UniqueConstraint("sop_instance_uid", "digest", name="uq_instances_sop_instance_uid_digest"),
    )
    received = sa.text("state = 'received'")
    routed, spooled = sa.column("routed", sa.Boolean), sa.column("spooled", sa.Boolean)
    unrouted = sa.and_(sa.text("state = 'settled'"), routed == sa.false())
    kept = sa.and_(spooled == sa.true(), routed == sa.true())
    _index("ix_instances_series_uid", "instances", "series_uid")
    _index("ix_instances_study_uid", "instances", "study_uid")
    _index("ix_instances_received", "instances", "received_at", "id", only=received)
    _index("ix_instances_received_study", "instances", "study_uid", only=received)
    _index("ix_instances_unrouted", "instances", "id", only=unrouted)
    _index("ix_instances_kept", "instances", "received_at", "id", only=kept)


def _studies() -> None:
    op.create_table(
        "studies",
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("newest_at", TIME, nullable=False),
        sa.Column("closed_at", TIME),
        sa.PrimaryKeyConstraint("study_uid", name="pk_studies"),
    )
    _index("ix_studies_open", "studies", "newest_at", only=sa.text("closed_at IS NULL"))
    op.create_table(
        "series_values",
        *_texts("series_uid when"),
        sa.Column("value", sa.Text),
        sa.PrimaryKeyConstraint("series_uid", "when", name="pk_series_values"),
    )


def _verdicts() -> None:
    op.create_table(
        "verdicts",
        sa.Column("instance_id", NUMBER, autoincrement=False, nullable=False),
        *_texts("outcome decision reason"),
        sa.Column("decided_at", TIME, nullable=False),
        sa.Column("region", sa.Text),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("header_region", sa.Text),
        sa.Column("agreement", sa.Text),
        sa.Column("body_part", sa.Text),
        _of_instance("verdicts"),
        sa.PrimaryKeyConstraint("instance_id", name="pk_verdicts"),
    )
    _index("ix_verdicts_abstained", "verdicts", "instance_id", only=sa.text("outcome = 'abstained'"))
    _index("ix_verdicts_review", "verdicts", "instance_id", only=sa.text("decision = 'review'"))
    op.create_table(
        "predictions",
        sa.Column("instance_id", NUMBER, autoincrement=False, nullable=False),
        *_texts("model_id region"),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("reject_score", sa.Double, nullable=False),
        *(sa.Column(f"p_{region}", sa.Double, nullable=False) for region in REGIONS.split()),
        sa.Column("embedding", sa.LargeBinary, nullable=False),
        _of_instance("predictions"),
        sa.PrimaryKeyConstraint("instance_id", name="pk_predictions"),
    )


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("instance_id", NUMBER, nullable=False),
        *_texts("destination state"),
        sa.Column("planned_at", TIME, nullable=False),
        sa.Column("due_at", TIME),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("delivered_at", TIME),
        sa.Column("sent_uid", sa.Text),
        sa.Column("written", sa.Text),
        sa.Column("trouble", NUMBER),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_until", TIME),
        _of_instance("deliveries"),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.UniqueConstraint("instance_id", "destination", name="uq_deliveries_instance_id_destination"),
    )
    pending, failed = sa.text("state = 'pending'"), sa.text("state = 'failed'")
    undelivered = sa.text("state != 'delivered'")
    _index("ix_deliveries_destination_state", "deliveries", "destination", "state")
    _index("ix_deliveries_pending", "deliveries", "destination", "due_at", "id", only=pending)
    _index("ix_deliveries_failed", "deliveries", "destination", "id", only=failed)
    _index("ix_deliveries_undelivered", "deliveries", "instance_id", only=undelivered)
    _index("ix_deliveries_troubled", "deliveries", "destination", "trouble", "id", only=sa.text("trouble IS NOT NULL"))
    _index("ix_deliveries_sent", "deliveries", "sent_uid", only=sa.text("sent_uid IS NOT NULL"))
    op.create_table(
        "destinations",
        *_texts("name"),
        sa.PrimaryKeyConstraint("name", name="pk_destinations"),
    )


def _events_and_jobs() -> None:
    op.create_table(
        "events",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("instance_id", NUMBER),
        sa.Column("detail", sa.Text, nullable=False),
        _of_instance("events"),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    _index("ix_events_instance_id", "events", "instance_id")
    op.create_table(
        "jobs",
        *_texts("name"),
        sa.Column("last_run", TIME),
        sa.Column("next_run", TIME),
        sa.PrimaryKeyConstraint("name", name="pk_jobs"),
    )


def _texts(names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names.split()]


def _of_instance(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=f"fk_{table}_instance_id")


def _index(name: str, table: str, *columns: str, only: sa.ColumnElement[bool] | sa.TextClause | None = None) -> None:
    op.create_index(name, table, list(columns), sqlite_where=only, postgresql_where=only)
