"""What was decided for a series is its study's as well: some devices give all that they send one Series Instance UID.

Where that was so, each study keeps what its images went out with.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_COPY = """
    INSERT INTO series_values (study_uid, series_uid, "when", value)
    SELECT DISTINCT instances.study_uid, older.series_uid, older."when", older.value
    FROM older_series_values AS older JOIN instances ON instances.series_uid = older.series_uid
    WHERE instances.study_uid <> ''
"""


def upgrade() -> None:
    op.rename_table("series_values", "older_series_values")
    if op.get_context().dialect.name == "postgresql":  # a constraint's name is its index', of which there is one
        op.drop_constraint("pk_series_values", "older_series_values")
    op.create_table(
        "series_values",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("study_uid", "series_uid", "when")),
        sa.Column("value", sa.Text),
        sa.PrimaryKeyConstraint("study_uid", "series_uid", "when", name="pk_series_values"),
    )
    op.execute(_COPY)
    op.drop_table("older_series_values")
