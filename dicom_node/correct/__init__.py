"""Outgoing copies: the corrected header, new UIDs for a second copy, and the structured report.

Data set in, data set out: nothing here reads the ledger or the network, and the input is never changed. Whatever cannot
be done raises CorrectionError, and the forwarder sends the original.
"""

from dicom_node.correct.copies import derived_uid, with_new_uids
from dicom_node.correct.header import Correction, corrected
from dicom_node.correct.part10 import write_part10
from dicom_node.correct.report import Finding, report_of

__all__ = [
    "Correction",
    "Finding",
    "corrected",
    "derived_uid",
    "report_of",
    "with_new_uids",
    "write_part10",
]
