"""The parts of an end-to-end test: a PACS, a model whose answer is known, radiographs as files."""

from pathlib import Path

import pytest

from tests.radiographs import as_file
from tests.servers.orthanc import OrthancProcess
from tests.unit.model.tiny import write_tiny_model


@pytest.fixture(scope="module")
def pacs(tmp_path_factory):
    """Orthanc, emptied by each test that wants to count."""
    with OrthancProcess(tmp_path_factory.mktemp("pacs")) as process:
        yield process


@pytest.fixture
def tiny_model(tmp_path) -> Path:
    """A model that calls a bright image a shoulder, surely, and abstains on a dark one."""
    return write_tiny_model(tmp_path / "tiny.onnx")


@pytest.fixture
def file_of(tmp_path):
    """Write an object as a file."""
    folder = tmp_path / "files"
    folder.mkdir()
    return lambda ds: as_file(ds, folder)
