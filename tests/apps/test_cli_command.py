from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from keepsight.apps.cli.command import run
from keepsight.errors import OutputError, PromptError, SourceError

if TYPE_CHECKING:
    from tests.apps.conftest import StandIn

Call = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def call(
    stand_in: StandIn, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Call:
    """Runs a command line over the stand-in, in a folder of its own: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def called(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            run([str(word) for word in words], engine=lambda: stand_in())
        code = left.value.code
        assert isinstance(code, int)
        out, err = capfd.readouterr()
        return code, out, err

    return called


def lines(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "tracked_detections.jsonl").read_text().splitlines()]


def script_annotation(folder: Path) -> Path:
    path = folder / "first.json"
    box = {"xmin": "1", "ymin": "2", "xmax": "20", "ymax": "30"}
    path.write_text(json.dumps({"annotation": {"object": [{"name": "cup", "bndbox": box}]}}))
    return path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--box", "1,2,3"], "expected x1,y1,x2,y2"),
        (["--box", "9,9,1,1"], "x1 < x2"),
        (["--point", "x"], "--point"),
        ([], "no --box"),
        (["--box", "1,2,9,9", "--image-dir", "b"], "given twice"),
        (["--box", "1,2,9,9", "--model", "a", "--local-checkpoint-path", "b"], "given twice"),
        (["--box", "1,2,9,9", "--start", "5", "--stop", "5"], "--stop 5"),
        (["--box", "1,2,9,9", "--reverse", "--start", "3", "--stop", "4"], "--stop 4"),
        (["--box", "1,2,9,9", "--video-fps", "0"], "--video-fps"),
        (["--box", "1,2,9,9", "--make-video", "--no-video"], "contradict"),
        (["--box", "1,2,9,9", "--frames", "--no-save-annotated-frames"], "contradict"),
        (["--box", "1,2,9,9", "--masks", "gif"], "gif"),
        (["--box", "1,2,9,9", "--frame", "-1"], "--frame"),
        (["--box", "1,2,9,9", "--start", "soon"], "--start"),
        (["--box", "1,2,9,9", "--nonesuch"], "nonesuch"),
        (["--box", "1,2,9,9", "--model", "nonesuch"], "nonesuch"),
        (["--box", "1,2,9,9", "--policy", "psychic"], "psychic"),
    ],
)
def test_wrong_use_leaves_with_2_one_sentence_and_no_results(
    call: Call, images: Path, tmp_path: Path, words: list[str], says: str
) -> None:
    code, _, err = call("track", images, "--output-dir", tmp_path / "out", *words)
    assert code == 2
    assert says in err
    assert "Traceback" not in err
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--box", "64,0,70,9"], "--box 64,0,70,9: "),
        (["--point", "64,60"], "inside the frame of 64x48"),
        (["--box", "1,2,9,9", "--frame", "6"], "frames 0 to 5"),
        (["--box", "1,2,9,9", "--start", "6"], "frames 0 to 5"),
        (["--mask", "gone.png"], "no mask file"),
        (["--prompts", "gone.json"], "gone.json"),
    ],
)
def test_bad_input_leaves_with_1_before_a_model_is_loaded(
    call: Call, stand_in: StandIn, images: Path, tmp_path: Path, words: list[str], says: str
) -> None:
    code, _, err = call("track", images, "--output-dir", tmp_path / "out", *words)
    assert code == 1
    assert says in err
    assert "Traceback" not in err
    assert stand_in.loaded == []
    assert not (tmp_path / "out").exists()


def test_a_missing_source_leaves_with_1(call: Call, stand_in: StandIn) -> None:
    code, _, err = call("track", "gone.mp4", "--box", "1,2,9,9")
    assert (code, stand_in.loaded) == (1, [])
    assert "gone.mp4" in err


def test_results_of_an_earlier_run_stay_without_overwrite(
    call: Call, stand_in: StandIn, images: Path, tmp_path: Path
) -> None:
    line = ("track", images, "--box", "1,2,9,9,cup", "--output-dir", tmp_path / "out", "--no-video")
    assert call(*line)[0] == 0
    first = (tmp_path / "out" / "tracked_detections.jsonl").read_bytes()
    code, _, err = call(*line)
    assert code == 1
    assert "tracked_detections.jsonl" in err
    assert (tmp_path / "out" / "tracked_detections.jsonl").read_bytes() == first
    assert len(stand_in.loaded) == 1
    assert call(*line, "--overwrite", "--stop", "3")[0] == 0
    assert len(lines(tmp_path / "out")) == 3
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 3


def test_a_prompt_the_tracker_refuses_touches_no_earlier_result(
    call: Call, stand_in: StandIn, images: Path, tmp_path: Path
) -> None:
    line = (
        "track",
        images,
        "--box",
        "1,2,9,9",
        "--output-dir",
        tmp_path / "out",
        "--no-video",
        "--overwrite",
    )
    assert call(*line)[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}

    def refuse(index: int) -> None:
        raise PromptError("The box holds nothing.")

    stand_in.before_frame = refuse
    code, _, err = call(*line)
    assert code == 1
    assert "holds nothing" in err
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_says_what_it_wrote_where(call: Call, stand_in: StandIn, images: Path, tmp_path: Path) -> None:
    code, out, _ = call("track", images, "--box", "1,2,9,9,cup", "--point", "30,30,1,2", "--frames")
    folder = Path("keepsight_output")
    assert code == 0
    assert "Tracked 6 frames" in out
    assert "object 1 (cup): visible on 6 frames" in out
    for name in ("tracked_detections.jsonl", "masks/", "annotated_frames/", "tracking_video.mp4"):
        assert f"{folder / name}" in out.replace("/  ", "  ") or name in out
        assert (folder / name).exists()
    written = lines(folder)
    assert [line["fileName"] for line in written] == [f"{n}.png" for n in range(1, 7)]
    assert [mark["name"] for mark in written[0]["prelabels"]] == ["cup", "object_2"]
    with Image.open(folder / "masks" / "00003.png") as mask:
        assert mask.getpixel((8, 6)) == 1
    assert stand_in.closed
    options = stand_in.tracked[0]
    assert (options["frames"], options["mask_threshold"]) == (slice(None, None, 1), 0.0)
    assert stand_in.loaded == [{"name": "pocket", "config": None, "device": "auto", "dtype": "auto"}]


def test_coco_masks_and_no_masks(call: Call, images: Path, tmp_path: Path) -> None:
    line = ("track", images, "--box", "1,2,9,9", "--no-video", "--output-dir")
    assert call(*line, tmp_path / "coco", "--masks", "coco")[0] == 0
    assert {path.name for path in (tmp_path / "coco").iterdir()} == {
        "tracked_detections.jsonl",
        "annotations.json",
    }
    assert call(*line, tmp_path / "bare", "--masks", "none")[0] == 0
    assert {path.name for path in (tmp_path / "bare").iterdir()} == {"tracked_detections.jsonl"}


@pytest.mark.parametrize("dash", ["_", "-"])
@pytest.mark.parametrize("named", [True, False])
def test_the_script_interface_unchanged(
    call: Call, stand_in: StandIn, images: Path, tmp_path: Path, dash: str, named: bool
) -> None:
    given = {
        "image_dir": images,
        "json_annotation": script_annotation(tmp_path),
        "model_config_yaml": "some_model.yaml",
        "local_checkpoint_path": "some_model.pt",
        "mask_threshold": -0.5,
        "video_fps": 5.0,
    }
    words: list[object] = ["track"] if named else []
    for name, value in given.items():
        words += [f"--{name.replace('_', dash)}", value]
    code, _, _ = call(*words, f"--make{dash}video", f"--no{dash}save{dash}annotated{dash}frames")
    assert code == 0
    assert {path.name for path in Path("sam2_output").iterdir()} == {
        "tracked_detections.jsonl",
        "tracking_video.mp4",
    }
    assert stand_in.loaded[0]["name"] == "some_model.pt"
    assert stand_in.loaded[0]["config"] == "some_model.yaml"
    assert stand_in.tracked[0]["mask_threshold"] == -0.5
    (track,) = lines(Path("sam2_output"))[0]["prelabels"]
    assert track["name"] == "cup"


def test_the_script_interfaces_own_defaults(
    call: Call, stand_in: StandIn, images: Path, tmp_path: Path
) -> None:
    assert call(f"--image_dir={images}", f"--json_annotation={script_annotation(tmp_path)}")[0] == 0
    assert {path.name for path in Path("sam2_output").iterdir()} == {
        "tracked_detections.jsonl",
        "annotated_frames",
    }
    assert len(list(Path("sam2_output", "annotated_frames").iterdir())) == 6


def test_ctrl_c_keeps_what_is_done_and_says_so(
    call: Call, stand_in: StandIn, images: Path, tmp_path: Path
) -> None:
    def interrupt(index: int) -> None:
        if index == 3:
            raise KeyboardInterrupt

    stand_in.before_frame = interrupt
    code, out, err = call("track", images, "--box", "1,2,9,9")
    assert code == 130
    assert "Stopped by Ctrl-C" in out
    assert "Traceback" not in err
    assert len(lines(Path("keepsight_output"))) == 3
    assert Path("keepsight_output", "tracking_video.mp4").stat().st_size > 0
    assert stand_in.closed


@pytest.mark.parametrize("error", [SourceError("Frame 3 cannot be read."), RuntimeError("out of memory")])
def test_a_failure_on_the_way_keeps_what_was_written(
    call: Call, stand_in: StandIn, images: Path, error: Exception
) -> None:
    def fail(index: int) -> None:
        if index == 3:
            raise error

    stand_in.before_frame = fail
    code, _, err = call("track", images, "--box", "1,2,9,9")
    assert code == 1
    assert str(error) in err
    assert "Traceback" not in err
    assert len(lines(Path("keepsight_output"))) == 3


def test_debug_lets_the_error_through(stand_in: StandIn, images: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        run(
            ["track", str(images), "--box", "1,2,9,9", "--debug", "--output-dir", str(images / "1.png")],
            engine=lambda: stand_in(),
        )


def test_help_and_version_name_the_options_and_the_exit_codes(call: Call) -> None:
    assert call("--version")[1].startswith("keepsight 0.")
    code, out, _ = call("track", "--help")
    assert code == 0
    assert "130" in out
    for option in ("--box", "--mask-threshold", "--image-dir", "--overwrite", "--no-video"):
        assert option in out


def test_showing_help_loads_no_heavy_library() -> None:
    look = (
        "import sys\nfrom keepsight.apps.cli import main\n"
        "try:\n    main(['track', '--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(sum(name in sys.modules for name in ('torch', 'cv2', 'av')))"
    )
    assert subprocess.run([sys.executable, "-c", look], capture_output=True, check=False).returncode == 0


def test_models_are_listed(call: Call) -> None:
    code, out, _ = call("models")
    assert code == 0
    for name in ("pocket", "facebook/sam2.1-hiera-base-plus", "1024", "Apache-2.0"):
        assert name in out


def test_reverse_and_part_are_asked_for_as_a_slice(call: Call, stand_in: StandIn, images: Path) -> None:
    assert (
        call("track", images, "--box", "1,2,9,9", "--frame", "4", "--start", "4", "--stop", "1", "--reverse")[
            0
        ]
        == 0
    )
    assert stand_in.tracked[0]["frames"] == slice(4, 1, -1)


def test_the_demo_renders_tracks_and_says_how_well(call: Call, stand_in: StandIn) -> None:
    code, out, _ = call("demo")
    assert code == 0
    assert "object 1 (fish)" in out
    assert "Mean IoU with the rendered truth: 0.0" in out  # the stand-in looks elsewhere
    folder = Path("demo_output")
    assert {path.name for path in folder.iterdir()} == {
        "demo_clip.mp4",
        "tracked_detections.jsonl",
        "masks",
        "annotated_frames",
        "tracking_video.mp4",
    }
    assert len(list((folder / "masks").iterdir())) == len(lines(folder)) == 90
    assert (stand_in.loaded[0]["name"], stand_in.loaded[0]["device"]) == ("pocket", "cpu")
    assert call("demo")[0] == 1  # results of the first are kept
