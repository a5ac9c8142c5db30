"""A clip for the annotator's tests, and studios over it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from keepsight.apps.annotator.studio import Studio
from tests.apps.annotator.rooms import Stepping, opened_studio, write_clip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip")


@pytest.fixture
def studio(folder: Path) -> Iterator[Studio]:
    with opened_studio(folder) as studio:
        yield studio


@pytest.fixture
def toy() -> Stepping:
    return Stepping()


@pytest.fixture
def stepped(folder: Path, toy: Stepping) -> Iterator[Studio]:
    """A studio whose frames are computed one by one, as the test says."""
    with opened_studio(folder, network=toy) as studio:
        yield studio
        toy.release()
