import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from keepsight import export
from keepsight.errors import OutputError, UsageError
from keepsight.export import OutputFolder, VideoWriter, open_writers
from keepsight.types import FrameResult

MakeResult = Callable[..., FrameResult]
Feed = Callable[..., None]
FullDisk = Callable[[int], AbstractContextManager[None]]
RECT = (4, 4, 20, 20)


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def run(folder: Path | OutputFolder, make_result: MakeResult, count: int = 2, **options: Any) -> None:
    with open_writers(folder, **options) as writer:
        for index in range(count):
            writer.write(make_result(index, {1: RECT}))


def test_everything_lies_in_its_standard_place(tmp_path: Path, make_result: MakeResult) -> None:
    run(tmp_path / "new" / "out", make_result, names={1: "dog"}, rate=Fraction(25))
    out = tmp_path / "new" / "out"
    assert listing(out) == [
        "annotated_frames/00000.jpg",
        "annotated_frames/00001.jpg",
        "masks/00000.png",
        "masks/00001.png",
        "tracked_detections.jsonl",
        "tracking_video.mp4",
    ]
    line = json.loads((out / "tracked_detections.jsonl").read_text().splitlines()[0])
    assert line["prelabels"][0]["name"] == "dog"
    with av.open(str(out / "tracking_video.mp4")) as container:
        assert container.streams.video[0].average_rate == 25


def test_only_what_is_asked_for_is_written(tmp_path: Path, make_result: MakeResult) -> None:
    run(tmp_path, make_result, masks="none", frames=False, video=False)
    assert listing(tmp_path) == ["tracked_detections.jsonl"]


def test_coco_masks_take_names_and_any_id(tmp_path: Path, make_result: MakeResult) -> None:
    with open_writers(
        tmp_path, masks="coco", frames=False, video=False, names={1000: "dog"}, file_name=lambda i: f"{i}.png"
    ) as writer:
        writer.write(make_result(0, {1000: RECT}))
    data = json.loads((tmp_path / "annotations.json").read_text())
    assert data["categories"][0]["name"] == "dog"
    assert data["videos"][0]["file_names"] == ["0.png"]
    assert listing(tmp_path) == ["annotations.json", "tracked_detections.jsonl"]


def test_a_folder_with_results_is_refused_and_left_as_it_was(tmp_path: Path, make_result: MakeResult) -> None:
    run(tmp_path, make_result)
    before = {name: (tmp_path / name).read_bytes() for name in listing(tmp_path)}
    with pytest.raises(OutputError, match=r"holds '.*' of an earlier run.*overwrit"):
        OutputFolder(tmp_path)
    with pytest.raises(OutputError, match="earlier run"):
        open_writers(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in listing(tmp_path)} == before


@pytest.mark.parametrize(
    "left", ["annotations.json.partial", "tracking_video.mp4.frames/00003.jpg", "masks/123456.png"]
)
def test_what_a_crash_left_counts_as_results(tmp_path: Path, left: str) -> None:
    (tmp_path / left).parent.mkdir(exist_ok=True)
    (tmp_path / left).write_text("left")
    with pytest.raises(OutputError, match=Path(left).name):
        OutputFolder(tmp_path)


def test_overwriting_removes_our_results_and_nothing_else(tmp_path: Path, make_result: MakeResult) -> None:
    run(tmp_path, make_result, count=5)
    kept = ["notes.txt", "masks/mine.png", "annotated_frames/holiday.jpg", "sub/00000.png"]
    for name in kept:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    place = OutputFolder(tmp_path, overwrite=True)
    assert "masks/00004.png" in listing(tmp_path)  # nothing is lost before the new run starts
    run(place, make_result, count=1, masks="none", frames=False, video=False)
    assert listing(tmp_path) == sorted([*kept, "tracked_detections.jsonl"])


def test_overwriting_removes_folders_that_become_empty(tmp_path: Path, make_result: MakeResult) -> None:
    run(tmp_path, make_result)
    OutputFolder(tmp_path, overwrite=True).clear()
    assert list(tmp_path.iterdir()) == []


def test_overwriting_does_not_reach_through_links(tmp_path: Path, make_result: MakeResult) -> None:
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "00000.png").write_text("precious")
    out = tmp_path / "out"
    out.mkdir()
    (out / "masks").symlink_to(tmp_path / "truth")
    with pytest.raises(OutputError, match=r"masks.*link"):
        OutputFolder(out, overwrite=True)
    assert (tmp_path / "truth" / "00000.png").read_text() == "precious"


@pytest.mark.parametrize(("name", "kind"), [("masks", "file"), ("tracking_video.mp4", "folder")])
def test_overwriting_refuses_what_cannot_be_ours(tmp_path: Path, name: str, kind: str) -> None:
    if kind == "file":
        (tmp_path / name).write_text("mine")
    else:
        (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match=name):
        OutputFolder(tmp_path, overwrite=True)
    assert (tmp_path / name).exists()


def test_a_folder_that_cannot_be_made_or_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(OutputError, match=rf"{path.name}.*another"):
            OutputFolder(path)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", denied)
    with pytest.raises(OutputError, match=r"Permission denied.*may write"):
        OutputFolder(tmp_path)


def test_wrong_choices_are_refused_before_anything_is_touched(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"1\.\.255"):
        open_writers(tmp_path / "out", names={300: "dog"})
    with pytest.raises(UsageError, match="'png', 'coco' or 'none'"):
        open_writers(tmp_path / "out", masks="gif")  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_wrong_rate_closes_what_was_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="frame rate"):
        open_writers(tmp_path, rate=Fraction(0), masks="coco")
    assert not (tmp_path / "annotations.json.partial").exists()


def test_an_error_inside_with_completes_every_file(
    tmp_path: Path, make_result: MakeResult, feed: Feed
) -> None:
    results = [make_result(index, {1: RECT}) for index in (1, 0)]
    with pytest.raises(RuntimeError, match="stop"):
        feed(open_writers(tmp_path, masks="coco"), results, RuntimeError("stop"))
    assert json.loads((tmp_path / "annotations.json").read_text())["videos"][0]["length"] == 2
    with av.open(str(tmp_path / "tracking_video.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 2
    assert not list(tmp_path.glob("*.partial"))
    assert not list(tmp_path.glob("*.frames"))


def test_one_writer_that_cannot_close_does_not_keep_the_others_open(
    tmp_path: Path, make_result: MakeResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: VideoWriter) -> None:
        raise OutputError("no room for the video")

    monkeypatch.setattr(VideoWriter, "close", fail)
    writer = open_writers(tmp_path, masks="coco")
    writer.write(make_result(0, {1: RECT}))
    with pytest.raises(OutputError, match="no room for the video"):
        writer.close()
    assert json.loads((tmp_path / "annotations.json").read_text())["videos"][0]["length"] == 1


def test_the_first_error_wins_over_one_while_closing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, feed: Feed
) -> None:
    def fail(_: VideoWriter) -> None:
        raise OutputError("no room for the video")

    monkeypatch.setattr(VideoWriter, "close", fail)
    with pytest.raises(KeyboardInterrupt):
        feed(open_writers(tmp_path), [], KeyboardInterrupt())
    assert "no room for the video" in caplog.text


def test_a_full_disk_keeps_what_was_written(
    tmp_path: Path, make_result: MakeResult, full_disk: FullDisk, feed: Feed
) -> None:
    results = [make_result(index, {1: RECT}) for index in range(50)]
    with full_disk(2_000), pytest.raises(OutputError, match="choose an output folder on another disk"):
        feed(open_writers(tmp_path), results)
    lines = (tmp_path / "tracked_detections.jsonl").read_text().splitlines()
    assert len(lines) > 1
    assert [json.loads(line)["fileName"] for line in lines] == [f"{i:05d}.jpg" for i in range(len(lines))]


def test_the_package_names_exactly_what_it_lists() -> None:
    assert all(getattr(export, name).__name__ == name for name in export.__all__)
    assert not hasattr(export, "nonsense")


def test_neither_torch_nor_codecs_are_loaded_before_they_are_needed() -> None:
    program = (
        "import sys, keepsight.export as e; e.OutputFolder; e.JsonLinesWriter; e.open_writers;"
        "print(*(m for m in ('torch', 'cv2', 'av', 'PIL', 'pycocotools') if m in sys.modules));"
        "e.VideoWriter; print(*(m for m in ('torch', 'av') if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.stdout.splitlines() == ["", "av"]
