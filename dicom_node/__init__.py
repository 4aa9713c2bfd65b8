"""A DICOM node that knows which body region a radiograph shows."""

__version__ = "0.1.0"
