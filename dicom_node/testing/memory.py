"""The ledger in memory, whole."""

from dicom_node.testing.commitments import MemoryCommitments
from dicom_node.testing.intake import MemoryIntake
from dicom_node.testing.labels import MemoryLabels
from dicom_node.testing.outbox import MemoryOutbox
from dicom_node.testing.promises import MemoryPromises
from dicom_node.testing.records import MemoryRecords
from dicom_node.testing.repairs import MemoryRepairs
from dicom_node.testing.shelf import Shelf
from dicom_node.testing.standings import MemoryStandings
from dicom_node.testing.studies import MemoryStudies
from dicom_node.testing.work import MemoryWork


class MemoryLedger:
    """Implements `dicom_node.ports.Ledger` without a database; safe for threads, gone with the process."""

    def __init__(self) -> None:
        shelf = Shelf()
        self.intake = MemoryIntake(shelf)
        self.work = MemoryWork(shelf)
        self.outbox = MemoryOutbox(shelf)
        self.commitments = MemoryCommitments(shelf)
        self.promises = MemoryPromises(shelf)
        self.studies = MemoryStudies(shelf)
        self.labels = MemoryLabels(shelf)
        self.records = MemoryRecords(shelf)
        self.standings = MemoryStandings(shelf)
        self.repairs = MemoryRepairs(shelf)

    def ready(self) -> None:
        """Memory is always there."""

    def close(self) -> None:
        """There is nothing to let go of."""
