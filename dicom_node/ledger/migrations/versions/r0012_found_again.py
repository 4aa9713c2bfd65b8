"""Which files had gone and were found again, without anybody who sent them."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("instances", sa.Column("unasked", sa.Boolean, nullable=False, server_default=sa.false()))
