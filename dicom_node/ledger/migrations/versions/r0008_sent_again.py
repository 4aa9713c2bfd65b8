"""When an image was sent again whose file had gone: its file is kept from then on."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("instances", sa.Column("resent_at", sa.DateTime(timezone=True)))
