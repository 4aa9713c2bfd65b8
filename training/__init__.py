"""Makes the model file that the node loads: manifests -> backbone -> linear head -> calibration -> one ONNX file."""
