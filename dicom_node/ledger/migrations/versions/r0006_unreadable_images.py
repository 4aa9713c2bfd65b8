"""Which images could not be read, without a walk through all verdicts."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    only = sa.text("outcome = 'unreadable'")
    op.create_index("ix_verdicts_unreadable", "verdicts", ["instance_id"], sqlite_where=only, postgresql_where=only)
