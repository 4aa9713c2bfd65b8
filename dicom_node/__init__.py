"""A DICOM node that knows which body region a radiograph shows."""

import os

__version__ = "0.1.0"

# onnxruntime reports to its maker unless it finds this when it is imported; nothing leaves a hospital unasked.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
