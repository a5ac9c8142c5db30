from pathlib import Path

import numpy as np
import pytest

from keepsight.apps.cli.demo_clip import CLIP_LENGTH, CLIP_SIZE, ClipFrame, clip_box, render_clip, write_clip


@pytest.fixture(scope="module")
def clip() -> list[ClipFrame]:
    return list(render_clip())


def test_the_fish_is_seen_mostly_hidden_and_seen_again(clip: list[ClipFrame]) -> None:
    sizes = [int(frame.truth.sum()) for frame in clip]
    hidden = [index for index, size in enumerate(sizes[:60]) if size < sizes[0] / 4]
    assert len(clip) == CLIP_LENGTH
    assert 5 <= len(hidden) <= 20
    assert hidden == list(range(hidden[0], hidden[-1] + 1))
    assert 0 < min(sizes) < sizes[0] / 8
    assert min(sizes[: hidden[0] - 12]) > 6000
    assert max(sizes[hidden[-1] + 12 : 60]) > 6000


def test_the_fish_moves_and_deforms(clip: list[ClipFrame]) -> None:
    first, last = clip_box(clip[0]), clip_box(clip[64])
    assert last[0] - first[0] > 300
    ratios = [(b[2] - b[0]) / (b[3] - b[1]) for b in (clip_box(clip[i]) for i in (0, 62, 71, 80))]
    assert max(ratios) / min(ratios) > 1.5


def test_frames_are_pictures_and_the_same_each_time(clip: list[ClipFrame]) -> None:
    width, height = CLIP_SIZE
    for frame in clip:
        assert frame.image.shape == (height, width, 3)
        assert frame.image.dtype == np.uint8
        assert frame.image.std() > 20
    again = list(render_clip(3))
    for one, other in zip(clip, again, strict=False):
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.truth, other.truth)


def test_the_written_clip_is_a_small_video_of_the_same_frames(clip: list[ClipFrame], tmp_path: Path) -> None:
    from keepsight.video import open_source

    path = tmp_path / "clip.mp4"
    truths = write_clip(path, iter(clip))
    assert path.stat().st_size < 2_000_000
    assert len(truths) == CLIP_LENGTH
    with open_source(path) as source:
        assert source.info.rate == 25
        read = [frame.image for frame in source]
    assert len(read) == CLIP_LENGTH
    errors = [np.abs(a.image.astype(int) - b).mean() for a, b in zip(clip, read, strict=True)]
    assert max(errors) < 12
