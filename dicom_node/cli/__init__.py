"""The command line: `dicom-node`, also `python -m dicom_node`."""

from dicom_node.cli.application import app, main

__all__ = ["app", "main"]
