"""A ledger in memory, for tests of whatever uses one; the suite of the real ones holds it to the same contract."""

from dicom_node.testing.memory import MemoryLedger

__all__ = ["MemoryLedger"]
