"""`--detect` on the command line, over the toy network and a detector that finds its squares."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from PIL import Image

from keepsight.api import track
from keepsight.apps.cli.command import run
from keepsight.apps.cli.detecting import Detecting
from keepsight.apps.cli.job import Engine
from keepsight.detection import DetectionPrompter
from keepsight.memory import make_policy
from tests.detection.scripted import ScriptedDetector, need_ultralytics
from tests.detection.test_prompter import clip, squares
from tests.toy import ToyNetwork

Call = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def asked() -> list[tuple[Detecting, str]]:
    """What the detector was asked for, and where it was to run."""
    return []


@pytest.fixture
def call(
    asked: list[tuple[Detecting, str]],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Call:
    """Runs a command line on ten frames, the green square from the fourth on: code, output, errors."""
    (tmp_path / "frames").mkdir()
    for i, frame in enumerate(clip(10, appears=3)):
        Image.fromarray(frame).save(tmp_path / "frames" / f"{i}.png")
    monkeypatch.chdir(tmp_path)

    def load_prompter(
        detecting: Detecting, device: str, names: dict[int, str], taken: Collection[int]
    ) -> DetectionPrompter:
        asked.append((detecting, device))
        detector = ScriptedDetector(squares)
        return DetectionPrompter(detector, detecting.labels, every=detecting.every, names=names, taken=taken)

    def called(*words: object) -> tuple[int, str, str]:
        engine = Engine(make_policy, lambda name, **_: ToyNetwork(), track, load_prompter)
        with pytest.raises(SystemExit) as left:
            run(["track", "frames", *map(str, words)], engine=lambda: engine)
        code = left.value.code
        assert isinstance(code, int)
        out, err = capfd.readouterr()
        return code, out, err

    return called


def names_by_frame() -> list[list[str]]:
    lines = Path("keepsight_output/tracked_detections.jsonl").read_text().splitlines()
    return [[mark["name"] for mark in json.loads(line)["prelabels"]] for line in lines]


def test_objects_of_a_class_are_found_tracked_and_named(
    call: Call, asked: list[tuple[Detecting, str]]
) -> None:
    code, out, err = call("--detect", "dog, person", "--device", "cpu", "--no-video")
    assert (code, err.count("Error")) == (0, 0), err
    assert "object 1 (dog 1): visible on 10 frames" in out
    assert names_by_frame() == [["dog 1"]] * 10
    assert asked == [(Detecting(("dog", "person")), "cpu")]
    with Image.open("keepsight_output/masks/00005.png") as mask:
        assert mask.getextrema() == (0, 1)


def test_looking_again_finds_what_appears_later_and_names_reach_every_writer(
    call: Call, asked: list[tuple[Detecting, str]]
) -> None:
    code, out, _ = call(
        "--detect", "all", "--detect-every", 2, "--detector", "mine-seg.pt", "--detect-confidence", 0.4,
        "--masks", "coco",
    )  # fmt: skip
    assert code == 0
    assert "object 2 (cat 1): visible on 6 frames" in out
    assert names_by_frame() == [["dog 1"]] * 4 + [["dog 1", "cat 1"]] * 6
    assert asked[0][0] == Detecting(("all",), 2, "mine-seg.pt", 0.4)
    written = json.loads(Path("keepsight_output/annotations.json").read_text())
    assert {category["name"] for category in written["categories"]} == {"dog 1", "cat 1"}


def test_detections_join_a_box_and_take_no_number_of_it(call: Call) -> None:
    code, out, _ = call("--detect", "cat", "--detect-every", 1, "--box", "10,4,22,16,mine", "--no-video")
    assert code == 0
    assert "object 1 (mine): visible on 10 frames" in out
    assert "object 2 (cat 1): visible on 7 frames" in out


@pytest.mark.parametrize(
    ("words", "frames"),
    [(["--reverse"], 10), (["--reverse", "--start", 6], 7), (["--start", 4, "--stop", 8], 4)],
)
def test_backward_and_from_elsewhere(call: Call, words: list[object], frames: int) -> None:
    code, out, _ = call("--detect", "dog", "--no-video", *words)
    assert code == 0
    assert f"Tracked {frames} frames" in out
    assert len(names_by_frame()) == frames
    assert names_by_frame()[0] == ["dog 1"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--detect", "dgo"], 2, "cat, dog, person"),
        (["--detect", " , "], 2, "--detect"),
        (["--detect-every", "3", "--box", "1,2,9,9"], 2, "--detect person,dog"),
        (["--detect", "dog", "--detect-every", "0"], 2, "--detect-every"),
        (["--detect", "dog", "--detect-confidence", "1.5"], 2, "--detect-confidence"),
        (["--detect", "person"], 1, "person on frame 0"),
        (["--detect", "dog", "--start", "99"], 1, "frames 0 to 9"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(
    call: Call, words: list[str], code: int, says: str
) -> None:
    left, _, err = call(*words)
    assert left == code
    assert says in " ".join(err.replace("│", " ").split())
    assert list(Path("keepsight_output").glob("*")) == []


def test_without_a_detectors_file_the_command_says_where_it_belongs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    need_ultralytics()
    monkeypatch.chdir(tmp_path)
    Image.fromarray(clip(1)[0]).save(tmp_path / "0.png")
    with pytest.raises(SystemExit) as left:
        run(["track", "0.png", "--detect", "person"])
    err = capfd.readouterr().err
    assert left.value.code == 1
    assert "There is no yolo11n-seg.pt" in err
    assert str(tmp_path) in err
