"""Storage commitment: what we ask destinations for, and what peers ask of us."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("refusals", sa.Integer, nullable=False, server_default=sa.text("0")))
    uncommitted = sa.text("state = 'sent'")
    _index("ix_deliveries_uncommitted", "deliveries", "destination", "due_at", "id", only=uncommitted)
    _commitments()
    _promises()


def _commitments() -> None:
    op.create_table(
        "sent_objects",
        sa.Column("delivery_id", NUMBER, autoincrement=False, nullable=False),
        *_texts("sop_instance_uid sop_class_uid"),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name="fk_sent_objects_delivery_id"),
        sa.PrimaryKeyConstraint("delivery_id", "sop_instance_uid", name="pk_sent_objects"),
    )
    op.create_table(
        "commitments",
        sa.Column("id", NUMBER, nullable=False),
        *_texts("transaction_uid destination"),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("answered_at", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_commitments"),
        sa.UniqueConstraint("transaction_uid", name="uq_commitments_transaction_uid"),
    )
    op.create_table(
        "commitment_deliveries",
        sa.Column("commitment_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("delivery_id", NUMBER, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["commitment_id"], ["commitments.id"], name="fk_commitment_deliveries_commitment_id"),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name="fk_commitment_deliveries_delivery_id"),
        sa.PrimaryKeyConstraint("commitment_id", "delivery_id", name="pk_commitment_deliveries"),
    )
    _index("ix_commitment_deliveries_delivery_id", "commitment_deliveries", "delivery_id")


def _promises() -> None:
    op.create_table(
        "promises",
        sa.Column("id", NUMBER, nullable=False),
        *_texts("calling_ae transaction_uid called_ae peer referenced state"),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("reported_at", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_promises"),
        sa.UniqueConstraint("calling_ae", "transaction_uid", name="uq_promises_calling_ae_transaction_uid"),
    )
    _index("ix_promises_open", "promises", "due_at", "id", only=sa.text("state = 'open'"))
    _index("ix_promises_unreported", "promises", "asked_at", "id", only=sa.text("state != 'reported'"))


def _texts(names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names.split()]


def _index(name: str, table: str, *columns: str, only: sa.TextClause | None = None) -> None:
    op.create_index(name, table, list(columns), sqlite_where=only, postgresql_where=only)
