"""What all tests share: where real photographs are, and a place of settings' own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """A developer's own FRUITS_* variables must not change what tests see."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("FRUITS_") and name != "FRUITS_SAMPLE_DATA":
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """Folder of real photographs and weights; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("FRUITS_SAMPLE_DATA", _ROOT / "../shared/data"))
    if not folder.is_dir():
        pytest.skip("no sample data: set FRUITS_SAMPLE_DATA to a folder that holds fruits360/")
    return folder
