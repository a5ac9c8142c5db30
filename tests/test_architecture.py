import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest
from importlinter.application import use_cases
from importlinter.configuration import configure

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
LONGEST = 400  # lines
DATA_TABLES = {"keys.py"}  # tables of data, not code, may be longer
LIGHT = ("types", "errors", "video", "export", "store", "shapes", "evaluation")


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)


def test_the_import_contracts_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    configure()
    assert use_cases.lint_imports(config_filename=str(ROOT / "pyproject.toml"), cache_dir=None), (
        capsys.readouterr().out
    )


def test_importing_keepsight_loads_neither_torch_nor_any_other_heavy_library() -> None:
    done = python(
        "import sys, keepsight\n"
        "print([name for name in ('torch', 'numpy', 'cv2', 'av', 'PIL', 'typer') if name in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("name", LIGHT)
def test_the_light_parts_work_without_torch(name: str) -> None:
    done = python(
        "import sys\nsys.modules['torch'] = None\n"
        f"from importlib import import_module\nmodule = import_module('keepsight.{name}')\n"
        "for public in module.__all__:\n    getattr(module, public)"
    )
    assert done.returncode == 0, done.stderr


def test_importing_keepsight_is_quick() -> None:
    def seconds(code: str) -> float:
        start = time.perf_counter()
        assert python(code).returncode == 0
        return time.perf_counter() - start

    # The interpreter's own start does not count, and the best of several is what the machine can do.
    bare = min(seconds("pass") for _ in range(5))
    assert min(seconds("import keepsight") for _ in range(5)) - bare < 0.3


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_no_file_outgrows_its_reader(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert path.name in DATA_TABLES or lines <= LONGEST, f"{path} has {lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_user_input_is_never_checked_by_assert(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)] == []


def test_no_drawer_for_odds_and_ends() -> None:
    drawers = {"utils", "util", "common", "helpers", "misc"}
    assert [path for path in SOURCES if drawers & {path.stem, path.parent.name}] == []
