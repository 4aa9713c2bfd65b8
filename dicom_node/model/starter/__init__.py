"""The model that comes with the package; docs/MODEL_CARD.md says what it can and cannot do."""

from importlib.resources import files
from pathlib import Path


def starter_model_path() -> Path:
    """Where the starter model lies. The package is always installed unpacked, so it is a real file."""
    return Path(str(files(__name__).joinpath("starter.onnx")))
