"""SAM 3's tracker, small and with random weights, under every policy, prompt and export that SAM 2.1 has."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import keepsight as ks
from keepsight.export import open_writers
from keepsight.nn.sam2 import VARIANTS, Sam2
from tests.oracle import MASK, SAM3_ENCODER, SAM3_SIZE, favour_presence, moving_texture, randomise

FRAMES = moving_texture(12)
PROMPTS: dict[int, ks.Points | ks.Box | ks.Mask | list[ks.Points | ks.Box]] = {
    1: ks.Points([(35, 45), (90, 15)], [1, 0]),
    2: ks.Box(20, 20, 60, 70),
    3: ks.Mask(MASK),
    4: [ks.Box(60, 10, 110, 60), ks.Points([(100, 80)], [0])],
}


@pytest.fixture(scope="module")
def network() -> Sam2:
    torch.set_num_threads(1)
    made = Sam2(replace(VARIANTS["sam3"], encoder=SAM3_ENCODER, image_size=SAM3_SIZE)).eval()
    randomise(made, seed=5)
    favour_presence(made, by=3.0)
    return made.requires_grad_(False)


@pytest.mark.parametrize("policy", ["sam2", "samurai", "sam2long"])
def test_every_policy_and_prompt_live_and_from_a_list(network: Sam2, policy: str) -> None:
    offline = list(ks.track(FRAMES, PROMPTS, model=network, policy=policy))
    session = ks.Session(network, policy=policy)
    for index, expected in enumerate(offline):
        found = session.step(FRAMES[index], PROMPTS if index == 0 else None)
        assert list(found) == list(expected) == [1, 2, 3, 4]
        for i in found:
            assert np.array_equal(found[i].mask, expected[i].mask)
            assert found[i].mask.shape == (90, 120)
    assert any(result[i].visible for result in offline[1:] for i in result)
    with ks.VideoTracker(FRAMES, model=network, policy=policy) as tracker:
        for frame in (2, 9, 4, 7, 0):  # one more prompted frame than SAM 3 recalls
            tracker.prompt(frame, 1, points=[(30 + 2 * frame, 45)])
        backward = list(tracker.propagate(reverse=True))
        assert [result.index for result in backward] == list(range(9, -1, -1))


@pytest.mark.parametrize("masks", ["png", "coco"])
def test_every_export(network: Sam2, tmp_path: Path, masks: str) -> None:
    with open_writers(tmp_path / "out", masks="coco" if masks == "coco" else "png") as writer:
        for result in ks.track(FRAMES[:4], PROMPTS, model=network):
            writer.write(result)
    written = {path.relative_to(tmp_path / "out").parts[0] for path in (tmp_path / "out").rglob("*")}
    assert {"tracked_detections.jsonl", "annotated_frames", "tracking_video.mp4"} <= written
    assert ("masks" in written, "annotations.json" in written) == (masks == "png", masks == "coco")
    lines = (tmp_path / "out/tracked_detections.jsonl").read_text().splitlines()
    assert len(lines) == 4
