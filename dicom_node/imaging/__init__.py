"""Pixels: from a data set or a picture file to what the model sees. The node and the training import the same code.

    data set -> grey_from_dataset ─┐
                                   ├─> grey (H, W) -> clean -> fit -> model_input
    picture  -> picture_from_file ─┘

A grey image is float32 (H, W) in [0, 1], bright where bone is. `IMAGING_VERSION` grows with every change of the pixels
that reach the model; a model file names the version that it was made for. Making pixels square, which came later, left
it at 1: no image of square pixels is changed, and models are taught with those.
"""

from dicom_node.imaging.cleaning import clean
from dicom_node.imaging.fitting import fit, model_input
from dicom_node.imaging.grey import grey_from_dataset
from dicom_node.imaging.pictures import picture_from_file
from dicom_node.imaging.radiographs import not_a_radiograph

IMAGING_VERSION: int = 1

__all__ = [
    "IMAGING_VERSION",
    "clean",
    "fit",
    "grey_from_dataset",
    "model_input",
    "not_a_radiograph",
    "picture_from_file",
]
