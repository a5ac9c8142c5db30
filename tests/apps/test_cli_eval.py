from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from keepsight.apps.cli.command import run
from keepsight.apps.cli.job import Engine, default_engine
from keepsight.errors import UnknownModelError
from keepsight.memory import make_policy
from keepsight.nn.io import ImageFeatures
from keepsight.session import Session
from keepsight.types import ObjectResult
from tests.evaluation.tiny import labels, make_davis, make_got, make_lasot, make_otb
from tests.toy import ToyNetwork

DAVIS = Path(__file__).parents[3] / "shared" / "data" / "davis" / "val"

Call = Callable[..., "tuple[int, str, str]"]


class Toy(ToyNetwork):
    """The toy network, with weights of a sort, that can be interrupted."""

    def __init__(self, weight: float = 1.0, stop_at: int | None = None) -> None:
        super().__init__()
        self.weight = weight
        self.stop_at = stop_at
        self.images = 0

    def encode_image(self, pixels: Tensor) -> ImageFeatures:
        if self.images == self.stop_at:
            raise KeyboardInterrupt
        self.images += 1
        return super().encode_image(pixels)

    def state_dict(self) -> dict[str, Tensor]:
        return {"scale": Tensor([self.weight]), "count": Tensor([1.0])[0]}


class Bench:
    """An engine over the toy network."""

    def __init__(self) -> None:
        self.toy = Toy()
        self.loaded: list[dict[str, Any]] = []

    def load_model(self, name: str, **options: Any) -> Toy:
        if name == "nonesuch":
            raise UnknownModelError("The catalogue has no model 'nonesuch'.")
        self.loaded.append({"name": name, **options})
        return self.toy

    def __call__(self) -> Engine:
        def track(*_: Any, **__: Any) -> Any:
            raise AssertionError("an evaluation opens sessions of its own")

        return Engine(make_policy, self.load_model, track)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def call(
    bench: Bench, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Call:
    """Runs `keepsight eval` in a folder of its own: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def called(*words: object, engine: Callable[[], Engine] = bench) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            run(["eval", *(str(word) for word in words)], engine=engine)
        code = left.value.code
        assert isinstance(code, int)
        out, err = capfd.readouterr()
        return code, out, err

    return called


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    return make_davis(tmp_path / "davis", ["calm", "wild"], 4)


def results(folder: Path | str = "keepsight_eval") -> list[Any]:
    return [json.loads(line) for line in (Path(folder) / "results.jsonl").read_text().splitlines()]


def without_times(lines: list[Any]) -> list[Any]:
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--prompt", "scribble"], "--prompt: expected mask, box, point, but got 'scribble'"),
        (["--prompt", "mask,scribble"], "'scribble'"),
        (["--sequence", "gone"], "(calm, wild), but got 'gone'"),
        (["--split", "test-dev"], "but got 'test-dev'"),
        (["--output", "table.xls"], "ends in .csv or .json"),
        (["--policy", "psychic"], "psychic"),
        (["--policy", "sam2,psychic"], "psychic"),
        (["--model", "nonesuch"], "nonesuch"),
        (["--nonesuch"], "nonesuch"),
    ],
)
def test_wrong_use_leaves_with_2_and_one_sentence(
    call: Call, davis: Path, words: list[str], says: str
) -> None:
    code, _, err = call(davis, *words)
    assert code == 2
    assert says in err
    assert "Traceback" not in err
    assert not Path("keepsight_eval").exists()


def test_a_dataset_must_be_named(call: Call) -> None:
    assert call()[0] == 2


def test_bad_input_leaves_with_1_before_a_model_is_loaded(call: Call, bench: Bench, davis: Path) -> None:
    code, _, err = call("gone")
    assert (code, "gone" in err) == (1, True)
    code, _, err = call(davis, "--output", Path("nowhere") / "table.csv")
    assert (code, "does not exist" in err) == (1, True)
    (davis / "Annotations" / "wild" / "00002.png").write_bytes(b"no picture")
    code, _, err = call(davis)
    assert (code, "00002.png" in err) == (1, True)
    assert "Traceback" not in err
    assert bench.loaded == []
    assert not Path("keepsight_eval").exists()


def test_box_datasets_have_no_mask_to_prompt_with(call: Call, tmp_path: Path) -> None:
    code, _, err = call(make_otb(tmp_path / "otb"), "--prompt", "mask")
    assert code == 2
    assert "OTB has boxes only" in err


def test_a_davis_run_prints_and_writes_its_figures(call: Call, bench: Bench, davis: Path) -> None:
    code, out, err = call(
        davis, "--prompt", "mask,box", "--prompt", "point", "--output", "t.csv", "--output", "t.json"
    )
    assert code == 0, err
    for title in ("from the first frame's mask", "first frame's box", "first frame's point", "Spearman"):
        assert title in out
    assert bench.loaded == [{"name": "pocket", "config": None, "device": "auto", "dtype": "auto"}]
    header, *lines = results()
    settings = header["keepsight_eval"]
    assert (settings["model"], settings["layout"], settings["dtype"]) == ("pocket", "DAVIS", "float32")
    assert settings["dataset"] == str(davis.resolve())
    assert [(line["sequence"], line["prompt"], line["policy"]) for line in lines] == [
        (name, prompt, "sam2") for name in ("calm", "wild") for prompt in ("mask", "box", "point")
    ]
    assert list(lines[0]["objects"]) == ["1", "2"]
    assert len(lines[0]["objects"]["1"]["region"]) == 2  # of four frames the first and the last are left out
    assert len(lines[0]["objects"]["1"]["confidence"]["overlaps"]) == 3

    document = json.loads(Path("t.json").read_text())
    assert document["settings"] == settings
    assert [(entry["prompt"], entry["policy"]) for entry in document["runs"]] == [
        ("mask", "sam2"),
        ("box", "sam2"),
        ("point", "sam2"),
    ]
    with Path("t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    of_mask = [row for row in rows if row["prompt"] == "mask"]
    assert [(row["sequence"], row["object"]) for row in of_mask] == [
        ("calm", "1"),
        ("calm", "2"),
        ("wild", "1"),
        ("wild", "2"),
        ("mean", ""),
    ]
    means = document["runs"][0]["mean"]
    assert means["objects"] == 4
    for name in ("J", "F", "J&F", "J recall", "F decay"):
        assert means[name] == pytest.approx(np.mean([float(row[name]) for row in of_mask[:-1]]))
        assert float(of_mask[-1][name]) == pytest.approx(means[name])
    assert 0.4 < means["J"] <= 1
    assert means["score_iou_spearman"] is None  # the toy is always equally sure
    assert means["presence_auc"] is None  # no object is ever absent


def test_policies_stand_side_by_side(call: Call, davis: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from keepsight.memory import POLICIES

    monkeypatch.setitem(POLICIES, "twin", POLICIES["sam2"])  # type: ignore[arg-type, unused-ignore]
    code, out, err = call(davis, "--policy", "sam2", "--policy", "twin", "--sequence", "wild")
    assert code == 0, err
    row = next(line.split() for line in out.splitlines() if line.strip().startswith("wild"))
    assert len(row) == 1 + 2 * 4  # the name, and J, F, J&F and the speed of each
    assert row[1:4] == row[5:8]
    assert [line["policy"] for line in results()[1:]] == ["sam2", "twin"]


def test_a_stopped_run_goes_on_where_it_was(call: Call, bench: Bench, davis: Path) -> None:
    assert call(davis, "--output-dir", "whole", "--output", "whole.json")[0] == 0
    bench.toy = Toy(stop_at=5)  # in the second sequence
    code, out, _ = call(davis, "--output", "part.csv")
    assert code == 130
    assert "1 of 2 done" in out
    assert Path("part.csv").exists()
    assert [line["sequence"] for line in results()[1:]] == ["calm"]
    with Path("keepsight_eval", "results.jsonl").open("a") as file:
        file.write('{"sequence": "wild", "pro')  # cut off as a power cut would
    bench.toy = Toy()
    code, out, _ = call(davis, "--output", "part.json")
    assert code == 0
    assert bench.toy.images == 4  # only the second sequence
    assert without_times(results()) == without_times(results("whole"))
    # A third time there is nothing left to do, and the figures are the same.
    bench.toy = Toy()
    assert call(davis, "--output", "again.json")[0] == 0
    assert bench.toy.images == 0
    assert Path("again.json").read_text() == Path("part.json").read_text()
    # More prompts come to what is there.
    assert call(davis, "--prompt", "box", "--prompt", "mask")[0] == 0
    assert bench.toy.images == 8
    bench.toy = Toy()
    assert call(davis, "--no-resume")[0] == 0
    assert bench.toy.images == 8
    assert without_times(results()) == without_times(results("whole"))


def test_runs_of_different_settings_do_not_mix(call: Call, bench: Bench, davis: Path, tmp_path: Path) -> None:
    assert call(davis)[0] == 0
    before = Path("keepsight_eval", "results.jsonl").read_bytes()
    code, _, err = call(davis, "--model", "other.pt")
    assert code == 1
    assert "model was 'pocket' and now is 'other.pt'" in err
    bench.toy = Toy(weight=2.0)  # the same name, other weights
    code, _, err = call(davis)
    assert code == 1
    assert "weights was" in err
    bench.toy = Toy()
    code, _, err = call(make_davis(tmp_path / "elsewhere", ["calm"], 4))
    assert code == 1
    assert "dataset was" in err
    assert Path("keepsight_eval", "results.jsonl").read_bytes() == before


@pytest.mark.parametrize("text", ["", "no JSON\n", "[]\n", '{"keepsight_eval": 5}\n', '{"other": {}}\n'])
def test_a_results_file_that_is_none(call: Call, davis: Path, text: str) -> None:
    Path("keepsight_eval").mkdir()
    Path("keepsight_eval", "results.jsonl").write_text(text)
    code, _, err = call(davis)
    assert code == 1
    assert "--no-resume" in err
    assert Path("keepsight_eval", "results.jsonl").read_text() == text


def test_a_damaged_record_is_named(call: Call, davis: Path) -> None:
    assert call(davis)[0] == 0
    path = Path("keepsight_eval", "results.jsonl")
    header, first, second = path.read_text().splitlines()
    path.write_text("\n".join([header, first[:50], second, ""]))
    code, _, err = call(davis)
    assert code == 1
    assert "line 2" in err


@pytest.mark.parametrize(
    ("make", "shown"), [(make_lasot, "Pnorm"), (make_otb, "Pnorm"), (make_got, "SR0.75")]
)
def test_box_benchmarks(call: Call, tmp_path: Path, make: Callable[..., Path], shown: str) -> None:
    code, out, err = call(make(tmp_path / "boxes"), "--prompt", "box,point", "--output", "t.json")
    assert code == 0, err
    assert shown in out
    for entry in json.loads(Path("t.json").read_text())["runs"]:
        assert entry["mean"]["objects"] == 1
        assert entry["mean"]["P"] == 1
        assert 0.4 < entry["mean"]["AO"] <= 1
    assert [line["prompt"] for line in results()[1:]] == ["box", "point"]


def test_absent_frames_of_box_benchmarks(call: Call, tmp_path: Path) -> None:
    make_lasot(tmp_path / "boxes", 8, absent=[3, 4])
    assert call(tmp_path / "boxes", "--output", "t.json")[0] == 0
    (entry,) = json.loads(Path("t.json").read_text())["runs"]
    assert entry["mean"]["presence_auc"] == 1
    (line,) = results()[1:]
    assert len(line["objects"]["1"]["overlaps"]) == 6
    assert line["objects"]["1"]["confidence"]["visible"].count(False) == 2


def test_what_a_policy_finds_in_hindsight_is_what_is_scored(
    call: Call, davis: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finish(_: Session) -> dict[int, dict[int, ObjectResult]]:
        return {
            index: {i: ObjectResult(labels(index, (1, 2)) == i, 0.7, 0.9, True) for i in (1, 2)}
            for index in (1, 2)
        }

    monkeypatch.setattr(Session, "finish", finish)
    assert call(davis, "--sequence", "calm", "--output", "t.json")[0] == 0
    (line,) = results()[1:]
    for entry in line["objects"].values():
        assert entry["region"] == [1, 1]
        assert entry["contour"] == [1, 1]
        assert entry["confidence"]["scores"][:2] == [0.7, 0.7]


def test_hindsight_of_one_object_is_weighed_against_the_others(
    call: Call, davis: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finish(_: Session) -> dict[int, dict[int, ObjectResult]]:
        """Object 1 takes the whole of frame 1, with more, or less, conviction than object 2 has there."""
        everything = np.ones((48, 80), np.bool_)
        return {1: {1: ObjectResult(everything, 0.7, 0.9, True, np.full((48, 80), conviction, np.float32))}}

    monkeypatch.setattr(Session, "finish", finish)
    for conviction, overlaps in ((100.0, (144 / 3840, 0.0)), (0.01, (0.04, 0.5))):
        assert call(davis, "--sequence", "calm", "--output-dir", str(conviction))[0] == 0
        (line,) = results(str(conviction))[1:]
        found = [line["objects"][i]["region"][0] for i in ("1", "2")]
        if conviction > 1:
            assert found == pytest.approx(overlaps, abs=1e-6)
        else:
            assert found[0] < overlaps[0]
            assert found[1] > overlaps[1]


@pytest.mark.skipif(not DAVIS.is_dir(), reason="the project's shared data (davis/val) is not here")
def test_pocket_on_the_beginning_of_a_davis_sequence(call: Call, tmp_path: Path) -> None:
    for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        folder = tmp_path / "davis" / kind / "480p" / "dog"
        folder.mkdir(parents=True)
        for index in range(5):
            name = f"{index:05d}.{suffix}"
            (folder / name).symlink_to(DAVIS / kind / "480p" / "dog" / name)
    line = (tmp_path / "davis", "--device", "cpu", "--dtype", "float32", "--output", "t.json")
    code, _, err = call(*line, engine=default_engine)
    assert code == 0, err
    (entry,) = json.loads(Path("t.json").read_text())["runs"]
    assert entry["mean"]["frames"] == 5
    assert entry["mean"]["J"] > 0.7
    assert entry["mean"]["F"] > 0.5
