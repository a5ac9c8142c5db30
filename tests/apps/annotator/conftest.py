"""A clip for the annotator's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from keepsight.apps.annotator.studio import Studio
from tests.apps.annotator.rooms import opened_studio, write_clip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip")


@pytest.fixture
def studio(folder: Path) -> Iterator[Studio]:
    with opened_studio(folder) as studio:
        yield studio
