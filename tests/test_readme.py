import json
import re
import shlex
from pathlib import Path

import pytest

from keepsight.apps.cli.annotations import read_annotation
from keepsight.apps.cli.command import run
from keepsight.apps.cli.demo_clip import render_clip, write_clip

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the clip that the README speaks of."""
    place = tmp_path_factory.mktemp("readme")
    write_clip(place / "clip.mp4", render_clip())
    return place


@pytest.mark.slow
def test_the_python_snippets_run_one_after_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    for snippet in blocks("python"):
        exec(compile(snippet, "README.md", "exec"), names)
    assert {"fish", "rle", "state", "corrected"} <= names.keys()


@pytest.mark.slow
def test_the_first_command_tracks_the_fish(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    (line,) = re.findall(r"^    keepsight (track clip\.mp4 --box .*)$", README, re.MULTILINE)
    with pytest.raises(SystemExit) as left:
        run([*shlex.split(line), "--stop", "8", "--device", "cpu"])
    assert left.value.code == 0
    assert "object 1 (fish): visible on 8 frames" in capfd.readouterr().out


def test_the_json_snippet_is_read(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("L", (640, 360), 255).save(tmp_path / "companion.png")
    (snippet,) = blocks("json")
    (tmp_path / "prompts.json").write_text(snippet, encoding="utf-8")
    entries = read_annotation(tmp_path / "prompts.json")
    assert [entry.frame for entry in entries] == [item.get("frame") for item in json.loads(snippet)]


def test_every_option_and_model_named_exists(capfd: pytest.CaptureFixture[str]) -> None:
    from keepsight.weights.catalogue import CATALOGUE

    for command in ("track", "eval", "demo", "cvat track", "annotate", "review"):
        with pytest.raises(SystemExit):
            run([*command.split(), "--help"])
    known = capfd.readouterr().out
    options = set(re.findall(r"(?<!\S)`?(--[a-z][a-z_-]+)", README))
    assert options
    assert {name for name in options if name.replace("_", "-") not in known} == set()
    models = README[README.index("## Models") :].split("\n## ")[0]
    named = re.findall(r"^\| (`[^|]+)", models, re.MULTILINE)
    assert len(named) == 4
    for first, *endings in (re.findall(r"`([^`]+)`", row) for row in named):
        base = first.rsplit("_", 1)[0]
        assert {first, *(base + ending for ending in endings)} <= CATALOGUE.keys()
