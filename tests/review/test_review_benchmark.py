"""The benchmark of corrections, on a toy network: what is counted, and that choosers choose as they say."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

import keepsight
from benchmarks import review
from benchmarks.review import Clip, Gains, at_random, by_oracle, by_queue, gains_of, main, summary
from keepsight.evaluation import PackedMask
from keepsight.nn.io import ImageFeatures
from keepsight.types import BoolArray
from tests.toy import ToyNetwork, blob_frame, place

LENGTH = 14
HIDDEN = range(5, 8)


def truth(index: int) -> BoolArray:
    mask = np.zeros((48, 80), np.bool_)
    x, y = place(1, index)
    mask[y : y + 12, x : x + 12] = index not in HIDDEN
    return mask


def clip() -> Clip:
    images = [blob_frame(index, hidden=(1,) if index in HIDDEN else ()) for index in range(LENGTH)]
    return Clip("blob", images, [PackedMask.of(truth(index)) for index in range(LENGTH)], ToyNetwork())


def test_frames_without_the_object_and_the_first_are_not_corrected() -> None:
    assert clip().correctable == [i for i in range(1, LENGTH) if i not in HIDDEN]
    assert by_queue(clip(), []) in clip().correctable


def test_each_set_of_corrections_is_tracked_once_and_each_frame_encoded_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoded: list[Tensor] = []
    encode = ToyNetwork.encode_image

    def counted(network: ToyNetwork, pixels: Tensor) -> ImageFeatures:
        encoded.append(pixels)
        return encode(network, pixels)

    monkeypatch.setattr(ToyNetwork, "encode_image", counted)
    tried = clip()
    assert tried.tracked([3, 9]).quality == tried.tracked([9, 3]).quality
    tried.tracked([4])
    assert len(encoded) == LENGTH


def test_the_random_way_repeats_itself_by_seed_and_never_a_frame() -> None:
    tried = clip()
    for seed in range(5):
        chosen = review._corrections(tried, at_random(seed), 5)
        assert chosen == review._corrections(tried, at_random(seed), 5)
        assert len({*chosen} & {*tried.correctable}) == 5


def test_the_oracle_is_never_behind_the_queue_on_the_first_correction() -> None:
    tried = clip()
    assert tried.tracked([by_oracle(tried, [])]).quality >= tried.tracked([by_queue(tried, [])]).quality


def test_gains_are_counted_from_before() -> None:
    gains = gains_of(clip(), seeds=2, budget=2)
    assert set(gains.gained) == {"queue", "random", "oracle"}
    assert [len(rows) for rows in gains.gained.values()] == [1, 2, 1]
    first = gains.chosen["queue"][0][0]
    assert gains.gained["queue"][0][0] == clip().tracked([first]).quality - gains.before


def test_the_table_has_means_and_ratios() -> None:
    rows = [
        Gains(
            name,
            10,
            0.5,
            {"queue": [[q, 2 * q]], "random": [[0.1, 0.1], [0.0, 0.1]], "oracle": [[0.4, 0.6]]},
            {"queue": [[3, 4]], "random": [[1, 2], [5, 6]], "oracle": [[7, 8]]},
        )
        for name, q in (("a", 0.1), ("b", 0.2))
    ]
    text = summary(rows)
    assert "J before: 0.5000, 2 objects" in text
    assert "| 1 | 0.1500 | 0.0500 | 0.4000 | 3.00 | 8.00 |" in text
    assert "| 2 | 0.3000 | 0.1000 | 0.6000 | 3.00 | 6.00 |" in text
    assert "| b | 10 | 0.500 | 0.200 0.400 |" in text


def test_it_runs_end_to_end_and_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("blob", "drop"):
        for part in ("JPEGImages", "Annotations"):
            (tmp_path / part / name).mkdir(parents=True)
        for i in range(6):
            Image.fromarray(blob_frame(i)).save(tmp_path / "JPEGImages" / name / f"{i:05d}.png")
            label = truth(i % 5).astype(np.uint8) * 255
            Image.fromarray(label).save(tmp_path / "Annotations" / name / f"{i:05d}.png")
    monkeypatch.setattr(keepsight, "load_model", lambda name, **options: ToyNetwork())
    kept = tmp_path / "gains.json"
    words = ["--dataset", str(tmp_path), "--seeds", "1", "--budget", "1", "--json", str(kept)]
    main([*words, "--sequences", "blob"])
    first = json.loads(kept.read_text())
    main(words)
    both = json.loads(kept.read_text())
    assert [row["name"] for row in both["objects"]] == ["blob", "drop"]
    assert both["objects"][0] == first["objects"][0]
    assert "| drop |" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="Name another file"):
        main([*words, "--policy", "samurai"])
