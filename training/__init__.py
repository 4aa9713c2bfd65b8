"""Makes the model file that the node loads: manifests -> backbone -> linear head -> calibration -> one ONNX file."""

import dicom_node  # noqa: F401 - before onnxruntime: it turns the reports to its maker off
