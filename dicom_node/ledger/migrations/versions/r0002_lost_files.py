"""Files that are gone though nobody removed them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("instances", sa.Column("lost", sa.Boolean, nullable=False, server_default=sa.false()))
    lost = sa.column("lost", sa.Boolean) == sa.true()
    op.create_index("ix_instances_lost", "instances", ["id"], sqlite_where=lost, postgresql_where=lost)
