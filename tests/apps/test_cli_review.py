"""`keepsight review` on a toy network: what is refused, what is ranked, what is written."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from keepsight.api import track
from keepsight.apps.cli.command import run
from keepsight.apps.cli.job import Engine
from keepsight.memory import make_policy
from keepsight.types import FrameResult
from tests.toy import ToyNetwork, blob_frame, centre

Call = Callable[..., "tuple[int, str, str]"]

LENGTH, GONE = 30, range(12, 18)
X, Y = centre(1, 0)
CLICK = ("--point", f"{X},{Y}")


class Toy:
    """An engine over the toy network that can stop before a frame."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.stop_at: int | None = None

    def load(self, name: str, **options: Any) -> ToyNetwork:
        self.loaded.append(name)
        return ToyNetwork()

    def track(self, *words: Any, **options: Any) -> Iterator[FrameResult]:
        for result in track(*words, **options):
            if result.index == self.stop_at:
                raise KeyboardInterrupt
            yield result

    def __call__(self) -> Engine:
        return Engine(make_policy, self.load, self.track)


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Thirty frames; the red square is hidden on six of them."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for index in range(LENGTH):
        frame = blob_frame(index, hidden=(1,) if index in GONE else ())
        Image.fromarray(frame).save(folder / f"{index:05d}.png")
    return folder


@pytest.fixture
def call(
    toy: Toy, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Call:
    """Runs `keepsight review` over the toy network: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def called(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            run(["review", *map(str, words)], engine=lambda: toy())
        code = left.value.code
        assert isinstance(code, int)
        out, err = capfd.readouterr()
        return code, out, err

    return called


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 2, "no --box"),
        (["--box", "1,2,3"], 2, "expected x1,y1,x2,y2"),
        ([*CLICK, "--policy", "psychic"], 2, "psychic"),
        ([*CLICK, "--start", "5", "--stop", "5"], 2, "--stop 5"),
        ([*CLICK, "--limit", "0"], 2, "--limit"),
        ([*CLICK, "--reverse"], 2, "--reverse"),
        (["--prompts", "gone.json"], 1, "gone.json"),
        (["--point", "500,1"], 1, "inside the frame of 80x48"),
        ([*CLICK, "--frame", "30"], 1, "frames 0 to 29"),
        ([*CLICK, "--json", "gone/review.json"], 1, "does not exist"),
        ([*CLICK, "--json", "clip"], 1, "a folder stands"),
    ],
)
def test_bad_input_is_told_before_a_model_is_loaded(
    call: Call, toy: Toy, clip: Path, words: list[str], code: int, says: str
) -> None:
    got, _, err = call(clip, *words)
    assert got == code
    assert says in err
    assert "Traceback" not in err
    assert toy.loaded == []


def test_a_source_is_needed(call: Call) -> None:
    code, _, err = call(*CLICK)
    assert code == 2
    assert "SOURCE" in err


def test_a_missing_source_leaves_with_1(call: Call) -> None:
    code, _, err = call("gone.mp4", *CLICK)
    assert code == 1
    assert "gone.mp4" in err


def test_what_is_suspect_is_ranked_with_its_reasons(call: Call, clip: Path, tmp_path: Path) -> None:
    code, out, _ = call(clip, "--box", f"{X - 6},{Y - 6},{X + 6},{Y + 6},fish", "--json", "review.json")
    assert code == 0
    assert "worst frame" in out
    assert "1 (fish)" in out
    assert "comes or goes" in out
    assert "Tracked 30 frames." in out
    written = json.loads((tmp_path / "review.json").read_text())
    (first, *_) = written["stretches"]
    assert (first["object"], first["name"]) == (1, "fish")
    assert first["start"] <= first["frame"] < first["stop"]
    assert GONE.start - 1 <= first["frame"] <= GONE.stop + 3
    assert written["complete"] is True
    (about,) = written["objects"]
    assert about["prompted"] == [0]
    assert [frame for frame, _ in about["risks"]] == list(range(LENGTH))
    assert dict(about["risks"])[0] == 0


def test_a_calm_clip_has_nothing_to_review(call: Call, clip: Path) -> None:
    code, out, _ = call(clip, *CLICK, "--stop", GONE.start)
    assert code == 0
    assert "There is nothing to review" in out
    assert "worst frame" not in out


def test_a_correction_among_the_prompts_ranks_anew(call: Call, clip: Path, tmp_path: Path) -> None:
    x, y = centre(1, 18)
    told = [
        {"frame": 0, "object": 1, "points": [[X, Y]], "labels": [1]},
        {"frame": 18, "object": 1, "points": [[x, y]], "labels": [1]},
    ]
    (tmp_path / "prompts.json").write_text(json.dumps(told))
    code, _, err = call(clip, "--prompts", "prompts.json", "--json", "review.json")
    assert code == 0, err
    written = json.loads((tmp_path / "review.json").read_text())
    assert written["objects"][0]["prompted"] == [0, 18]
    assert all(not s["start"] <= 18 < s["stop"] for s in written["stretches"])


def test_no_more_is_listed_than_asked_for(call: Call, clip: Path, tmp_path: Path) -> None:
    code, out, _ = call(clip, *CLICK, "--limit", "1", "--json", "review.json")
    assert code == 0
    found = len(json.loads((tmp_path / "review.json").read_text())["stretches"])
    assert found > 1
    assert f"{found}, 1 of them listed" in out


def test_both_ways_agree_where_the_square_is_followed(call: Call, clip: Path, tmp_path: Path) -> None:
    code, _, err = call(clip, *CLICK, "--both-ways", "--json", "review.json")
    assert code == 0, err
    written = json.loads((tmp_path / "review.json").read_text())
    assert written["both_ways"] is True
    assert all("ways disagree" not in s["reasons"][:1] for s in written["stretches"])


def test_a_stopped_run_ranks_what_was_tracked(call: Call, toy: Toy, clip: Path, tmp_path: Path) -> None:
    toy.stop_at = 20
    code, out, _ = call(clip, *CLICK, "--json", "review.json")
    assert code == 130
    assert "Stopped by Ctrl-C" in out
    assert "Tracked 20 frames" in out
    written = json.loads((tmp_path / "review.json").read_text())
    assert written["complete"] is False
    assert written["frames"] == 20


def test_an_earlier_ranking_is_replaced_whole(call: Call, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "review.json").write_text("x" * 100_000)
    assert call(clip, *CLICK, "--json", "review.json")[0] == 0
    json.loads((tmp_path / "review.json").read_text())
    assert not list(tmp_path.glob("*.new"))


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text there")
def test_names_that_are_no_text_are_written_and_read_back(call: Call, clip: Path, tmp_path: Path) -> None:
    odd, fish = clip.with_name(os.fsdecode(b"caf\xe9")), os.fsdecode(b"f\xe9")
    clip.rename(odd)
    code, out, err = call(odd, "--box", f"{X - 6},{Y - 6},{X + 6},{Y + 6},{fish}", "--json", "review.json")
    assert code == 0, err
    assert r"1 (f\udce9)" in out
    written = json.loads((tmp_path / "review.json").read_text())
    assert written["source"] == str(odd)
    assert written["objects"][0]["name"] == fish


def test_help_says_what_it_is_for(call: Call) -> None:
    code, out, _ = call("--help")
    assert code == 0
    assert "--both-ways" in out
