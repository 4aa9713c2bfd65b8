"""What every test may ask for: the shared pictures, when they lie beside this clone."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real pictures and objects beside the clone; the tests that need it are skipped without it."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("needs the folder ../shared/data beside the clone")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whoever asks for `shared`, so that `-m shared` and `-m 'not shared'` mean what they say."""
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.shared)
