"""The ledger on SQLite and PostgreSQL: what the node has taken in, what it found, and what is still to be done."""

from dicom_node.ledger.opening import SqlLedger, migrate, open_ledger

__all__ = ["SqlLedger", "migrate", "open_ledger"]
