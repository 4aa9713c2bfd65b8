"""Run by Alembic: migrates over the connection, and inside the transaction, that the caller holds."""

from alembic import context

from dicom_node.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=context.config.attributes["version_table"],
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
