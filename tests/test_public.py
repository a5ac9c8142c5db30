import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import keepsight

ERRORS = {
    "AnnotationError",
    "FrameIndexError",
    "KeepsightError",
    "OutputError",
    "PolicyError",
    "PromptError",
    "SourceError",
    "UnknownModelError",
    "UnknownObjectError",
    "UsageError",
    "WeightsError",
}
NAMES = ERRORS | {
    "Box",
    "Frame",
    "FrameResult",
    "Mask",
    "ObjectResult",
    "Points",
    "Session",
    "VideoTracker",
    "__version__",
    "load_model",
    "track",
}


def test_the_public_names_are_these_and_no_others() -> None:
    assert set(keepsight.__all__) == NAMES
    assert set(dir(keepsight)) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES - {"__version__"}))
def test_every_public_name_is_there_and_documented(name: str) -> None:
    found = getattr(keepsight, name)
    assert found.__name__ == name
    assert inspect.getdoc(found)
    own = [
        (member, value)
        for member, value in vars(found).items()
        if inspect.isclass(found)
        and not member.startswith("_")
        and (callable(value) or isinstance(value, property))
    ]
    assert [member for member, value in own if not inspect.getdoc(value)] == []


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_every_error_can_be_caught_as_the_base(name: str) -> None:
    assert issubclass(getattr(keepsight, name), keepsight.KeepsightError)


def test_the_version_is_the_packages() -> None:
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{keepsight.__version__}"\n' in project


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonesuch"):
        _ = keepsight.nonesuch


def test_types_resolve_without_torch() -> None:
    look = "import sys, keepsight\nkeepsight.Box(0, 0, 1, 1)\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0
