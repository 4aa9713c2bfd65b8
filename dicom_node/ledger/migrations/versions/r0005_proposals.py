"""What each image decides for its series, apart from what its copies get."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("verdicts", sa.Column("proposal", sa.Text))
    # Of older verdicts no more is known than what copies got: a study that is open meanwhile may go as it came.
    op.execute("UPDATE verdicts SET proposal = body_part")
