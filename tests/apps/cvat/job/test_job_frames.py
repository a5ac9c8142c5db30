"""A job's frames as a source: the right image under every number, whichever way one goes."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepsight.apps.cvat.job.frames import FetchedPictures, FilePictures, JobFrames, Pictures
from keepsight.errors import FrameIndexError, SourceError
from keepsight.types import ImageArray
from keepsight.video import FrameSource, open_source

COUNT = 24


def image(number: int) -> ImageArray:
    return np.full((4, 6, 3), number, np.uint8)


def pictures(kind: str) -> Pictures:
    if kind == "file":
        return FilePictures(open_source([image(number) for number in range(COUNT)]))
    return FetchedPictures(image)


@pytest.mark.parametrize("kind", ["file", "fetched"])
@given(
    numbers=st.sets(st.integers(0, COUNT - 1), min_size=1).map(sorted),
    start=st.integers(0, COUNT),
    stop=st.none() | st.integers(0, COUNT),
    step=st.integers(1, 3),
    reverse=st.booleans(),
)
def test_frames_are_those_of_the_range(
    kind: str, numbers: list[int], start: int, stop: int | None, step: int, reverse: bool
) -> None:
    with JobFrames(pictures(kind), numbers, (6, 4), "job") as source:
        assert isinstance(source, FrameSource)
        if start and start >= len(numbers):
            with pytest.raises(FrameIndexError):
                source.frames(start, stop, step, reverse=reverse)
            return
        places = [*range(start, len(numbers) if stop is None else min(stop, len(numbers)), step)]
        expected = [(place, numbers[place]) for place in (reversed(places) if reverse else places)]
        seen = [(f.index, int(f.image[0, 0, 0])) for f in source.frames(start, stop, step, reverse=reverse)]
        assert seen == expected
        assert [int(source.read(place).image[0, 0, 0]) for place in range(len(numbers))] == numbers
        assert (source.count(), source.info.frame_count) == (len(numbers), len(numbers))


def test_frames_are_fetched_ahead_and_few_are_kept() -> None:
    asked: list[int] = []
    ahead = threading.Event()

    def fetch(number: int) -> ImageArray:
        asked.append(number)
        if number == 3:
            ahead.set()
        return image(number)

    with JobFrames(FetchedPictures(fetch), range(COUNT), (6, 4), "job") as source:
        frames: Iterator[object] = source.frames()
        next(frames)
        assert ahead.wait(10)  # though only one was taken
        assert max(asked) < 12  # and not all of them
        source.read(0)
        source.read(0)
        assert asked.count(0) == 1
        for _ in frames:
            pass
        source.read(0)
        assert asked.count(0) == 2  # it was let go of


def test_an_image_of_another_size_is_named(tmp_path: Path) -> None:
    source = JobFrames(FetchedPictures(image), [5, 7], (60, 40), "job 7")
    with pytest.raises(SourceError, match="frame 7 of job 7 to have 60 x 40 pixels like the others"):
        source.read(1)
    with pytest.raises(SourceError, match="frame 5"):
        next(iter(source))
    source.close()
