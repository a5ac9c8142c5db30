import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import keepsight as ks
from benchmarks.policies import KNOWN, cost_table, hypothesis_table, main, quality_table
from benchmarks.policy_runs import HINDSIGHT, Outcome, davis, figures, held_bytes, rendered
from keepsight.evaluation import Found, PackedMask, open_dataset
from keepsight.types import BoolArray

FRAMES = 8


@dataclass(frozen=True)
class Holder:
    tensors: tuple[torch.Tensor, ...]
    more: dict[str, object]


def square(at: int, side: int = 10) -> BoolArray:
    mask = np.zeros((40, 60), np.bool_)
    mask[at : at + side, at : at + side] = True
    return mask


def outcome(name: str, family: str, quality: float, live: list[int]) -> Outcome:
    told = {"J&F": quality, "J": quality, "F": quality, "presence AUC": None, "easy J": 0.9}
    accounts = {"sam2": told, "sam2long": told, "sam2long" + HINDSIGHT: told}
    seconds = {"sam2": [0.1] * len(live), "sam2long": [0.1 * n for n in live]}
    return Outcome(name, family, accounts, seconds, {"sam2long": live}, {"sam2": 1.0, "sam2long": 2.0})


def test_it_runs_end_to_end_and_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "runs.json"
    words = ["--frames", str(FRAMES), "--memory-frames", "0", "--json", str(kept)]
    main([*words, "--clips", "occluded"])
    first = json.loads(kept.read_text())
    assert [row["name"] for row in first["clips"]] == ["occluded-0"]
    assert first["clips"][0]["figures"]["sam2"]["J&F"] > 0.5
    assert set(first["clips"][0]["seconds"]) == set(KNOWN)
    main([*words, "--clips", "occluded", "scale"])
    second = json.loads(kept.read_text())
    assert second["clips"][0] == first["clips"][0]
    assert [row["name"] for row in second["clips"]] == ["occluded-0", "scale-0"]
    printed = capsys.readouterr().out
    assert "| occluded-0 |" in printed
    assert "| **scale** |" in printed
    with pytest.raises(SystemExit, match="Name another file"):
        main([*words[2:], "--frames", "4", "--clips", "occluded"])


def test_many_objects_are_followed_at_once(tmp_path: Path) -> None:
    kept = tmp_path / "runs.json"
    words = ["--frames", "3", "--memory-frames", "0", "--objects", "3", "--policies", "sam2"]
    main([*words, "--json", str(kept)])
    (row,) = json.loads(kept.read_text())["clips"]
    assert row["family"] == "3 objects"


@pytest.mark.slow
def test_memory_is_measured_in_a_process_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--frames", "3", "--memory-frames", "3", "--clips", "scale", "--policies", "sam2"])
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| sam2 |")]
    peak = float(row.split("|")[5])
    assert 0 < peak < 1000


def test_figures_follow_the_masks() -> None:
    truths = [{1: PackedMask.of(square(at))} for at in range(6)]
    right = [{1: Found(t[1], None, 0.9, 0.9)} for t in truths]
    lost = [{1: Found(PackedMask.of(square(28)), None, 0.9, 0.9)} for _ in truths]
    assert figures(right, truths, 3) == {
        "J&F": 1.0,
        "J": 1.0,
        "F": 1.0,
        "presence AUC": None,
        "easy J": 1.0,
    }
    assert figures(lost, truths, 0) == {"J&F": 0.0, "J": 0.0, "F": 0.0, "presence AUC": None, "easy J": None}


def test_presence_is_judged_where_the_object_is_absent_at_times() -> None:
    empty = PackedMask.of(np.zeros((40, 60), np.bool_))
    truths = [{1: PackedMask.of(square(5)) if i % 2 == 0 else empty} for i in range(6)]
    found = [{1: Found(t[1], None, 0.9, 0.9 if i % 2 == 0 else 0.1)} for i, t in enumerate(truths)]
    assert figures(found, truths, 0)["presence AUC"] == 1.0


def test_bytes_of_shared_tensors_are_counted_once_and_views_as_all_they_keep() -> None:
    whole = torch.zeros(1000)
    held = Holder((whole, whole, whole[:10]), {"packed": b"12345", "array": np.zeros(3, np.float64)})
    assert held_bytes(held) == 4000 + 5 + 24


def test_look_alikes_are_not_followed() -> None:
    (clip,) = rendered(["lookalikes"], 1, 1)
    assert [set(frame.truths) for frame in clip.frames()] == [{1}]


def test_sequences_of_davis_are_read(tmp_path: Path) -> None:
    for folder in ("JPEGImages", "Annotations"):
        (tmp_path / folder / "goat").mkdir(parents=True)
    for i in range(4):
        Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(tmp_path / f"JPEGImages/goat/{i:05}.jpg")
        Image.fromarray(square(i).astype(np.uint8) * 255).save(tmp_path / f"Annotations/goat/{i:05}.png")
    (clip,) = davis(open_dataset(tmp_path).sequences, 3)  # type: ignore[arg-type]  # DAVIS has masks
    frames = list(clip.frames())
    assert (clip.name, clip.length, len(frames)) == ("goat", 3, 3)
    (truth,) = frames[2].truths.values()
    assert np.array_equal(truth, square(2))


def test_tables_have_a_row_per_clip_and_means_per_family() -> None:
    rows = [
        outcome("a-0", "one", 0.5, [1, 1]),
        outcome("a-1", "one", 0.7, [1, 2]),
        outcome("b-0", "two", 0.9, [2]),
    ]
    lines = quality_table(rows).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| a-0",
        "| a-1",
        "| **one**",
        "| b-0",
        "| **two**",
        "| **all clips**",
    ]
    assert lines[4].startswith("| **one** | 0.900 | 0.600 | 0.600 | 0.600 |")
    assert "| sam2long | 100.0 | 1.00 | 2.0 | 34 | 5 |" in cost_table(
        rows, {"sam2long": {"peak": 34, "growth": 5}}
    )


def test_time_is_told_apart_by_whether_hypotheses_differ() -> None:
    text = hypothesis_table([outcome("a-0", "one", 0.5, [1, 1, 2, 2, 2])])
    assert "| sam2long | the same | 2 | 1.00 |" in text
    assert "| sam2long | different | 3 | 2.00 |" in text


def test_policies_known_are_the_packages_own() -> None:
    model = ks.load_model("pocket", device="cpu")
    assert "sam2" in KNOWN
    assert all(ks.Session(model, policy) for policy in KNOWN)
