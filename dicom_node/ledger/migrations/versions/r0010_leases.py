"""What somebody has in hand, without a walk through all that waits."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    only = sa.text("lease_until IS NOT NULL")
    for table in ("instances", "deliveries"):
        op.create_index(f"ix_{table}_leased", table, ["lease_until"], sqlite_where=only, postgresql_where=only)
