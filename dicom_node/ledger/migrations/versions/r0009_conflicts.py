"""Several contents of one UID: which they are, and which of them a person has let go."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("instances", sa.Column("let_go", sa.Boolean, nullable=False, server_default=sa.false()))
    second = sa.column("conflict", sa.Boolean) == sa.true()
    op.create_index(
        "ix_instances_conflict", "instances", ["sop_instance_uid"], sqlite_where=second, postgresql_where=second
    )
