"""The command line: `dicom-node`, also `python -m dicom_node` (DESIGN 4.2)."""

from dicom_node.cli.application import app, main

__all__ = ["app", "main"]
