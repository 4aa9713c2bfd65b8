"""The classifier: what its file says of itself, the ONNX session, and batches across everything that waits."""

from dicom_node.model.batching import Batcher
from dicom_node.model.card import ModelCard, Thresholds
from dicom_node.model.session import Model, Prediction
from dicom_node.model.starter import starter_model_path

__all__ = ["Batcher", "Model", "ModelCard", "Prediction", "Thresholds", "starter_model_path"]
