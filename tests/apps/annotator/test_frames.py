"""Frames as JPEGs by number."""

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from keepsight.apps.annotator.errors import NoSuchError
from keepsight.apps.annotator.frames import AHEAD, FIRST_AHEAD, FrameShelf
from keepsight.errors import SourceError
from keepsight.types import Frame
from keepsight.video import FrameSource, SourceInfo, open_source
from tests.apps.annotator.rooms import wait_for, write_clip
from tests.toy import blob_frame

FRAMES = 100


class Counting:
    """A source that counts what is read; it may be slow, and some frames may be broken."""

    info = SourceInfo(80, 48, FRAMES, None, "counted")

    def __init__(self, broken: tuple[int, ...] = ()) -> None:
        self.read_frames: list[int] = []
        self.broken = broken
        self.closed = False
        self.turn = threading.Event()
        self.turn.set()

    def read(self, index: int) -> Frame:
        assert self.turn.wait(60)
        self.read_frames.append(index)
        if index in self.broken:
            raise SourceError(f"Frame {index} is damaged.")
        return Frame(index, None, blob_frame(index))

    def close(self) -> None:
        self.closed = True


def shelf_over(source: Any, **options: int) -> FrameShelf:
    return FrameShelf(source, FRAMES, **options)


def decoded(code: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(code)))


@pytest.fixture
def counting() -> Iterator[tuple[Counting, FrameShelf]]:
    source = Counting()
    shelf = shelf_over(source)
    yield source, shelf
    source.turn.set()
    shelf.close()
    assert source.closed


def quiet(source: Counting) -> None:
    """Waits until nothing is read any more."""
    seen = -1
    while seen != len(source.read_frames):
        seen = len(source.read_frames)
        time.sleep(0.05)


def test_each_number_gives_its_frame(tmp_path: Path) -> None:
    shelf = FrameShelf(open_source(write_clip(tmp_path / "clip", 30)), 30)
    for index in (0, 29, 3, 4, 5, 28, 27, 0):
        image = decoded(shelf.jpeg(index))
        assert image.shape == (48, 80, 3)
        assert abs(image.astype(int) - blob_frame(index)).mean() < 6
    shelf.close()


@pytest.mark.parametrize("index", [-1, FRAMES, 2**40])
def test_a_frame_that_is_not_there_is_told(counting: tuple[Counting, FrameShelf], index: int) -> None:
    with pytest.raises(NoSuchError, match="Expected a frame from 0 to 99"):
        counting[1].jpeg(index)


def test_the_frames_that_follow_are_made_ready(counting: tuple[Counting, FrameShelf]) -> None:
    source, shelf = counting
    for index in range(10, 16):
        shelf.jpeg(index)
    quiet(source)
    assert source.read_frames == list(range(10, 15 + AHEAD))
    source.turn.clear()
    for index in range(10, 15 + AHEAD):
        shelf.jpeg(index)


def test_after_a_jump_few_frames_are(counting: tuple[Counting, FrameShelf]) -> None:
    source, shelf = counting
    for index in (10, 60, 30):
        shelf.jpeg(index)
        quiet(source)
    expected = {frame for index in (10, 60, 30) for frame in range(index, index + FIRST_AHEAD)}
    assert set(source.read_frames) == expected


def test_nothing_is_read_twice_while_it_is_kept(counting: tuple[Counting, FrameShelf]) -> None:
    source, shelf = counting
    for index in [*range(60), *range(59, -1, -1)]:
        shelf.jpeg(index)
    quiet(source)
    assert len(source.read_frames) == len(set(source.read_frames))


def test_going_back_is_read_forward_in_pieces(counting: tuple[Counting, FrameShelf]) -> None:
    source, shelf = counting
    shelf.jpeg(90)
    quiet(source)
    before = len(source.read_frames)
    for index in range(89, 40, -1):
        shelf.jpeg(index)
    quiet(source)
    jumps = np.diff(source.read_frames[before:])
    assert (jumps != 1).sum() <= 2 * (50 // AHEAD + 4)  # pieces grow to their full length at first


def test_a_jump_does_not_wait_for_what_was_made_ready(counting: tuple[Counting, FrameShelf]) -> None:
    source, shelf = counting
    source.turn.clear()
    waiting = threading.Thread(target=shelf.jpeg, args=(5,))
    waiting.start()
    jumped = threading.Thread(target=shelf.jpeg, args=(70,))
    jumped.start()
    time.sleep(0.05)
    source.turn.set()
    jumped.join()
    waiting.join()
    assert source.read_frames.index(70) <= 2


def test_neighbours_asked_for_at_once_are_read_forward(counting: tuple[Counting, FrameShelf]) -> None:
    source, shelf = counting
    shelf.jpeg(0)
    quiet(source)
    source.turn.clear()
    people = [threading.Thread(target=shelf.jpeg, args=(index,)) for index in (45, 42, 44, 43, 40, 41)]
    for each in people:
        each.start()
    wait_for(lambda: len(shelf._wanted) == len(people))
    before = len(source.read_frames)
    source.turn.set()
    for each in people:
        each.join()
    read = source.read_frames[before:]
    assert (np.diff(read) < 0).sum() <= 1  # one may have been begun before the others were asked for


def test_what_nobody_waits_for_any_more_is_not_made(counting: tuple[Counting, FrameShelf]) -> None:
    source, shelf = counting
    source.turn.clear()
    gone = threading.Event()
    told: list[int] = []

    def ask(index: int) -> None:
        try:
            shelf.jpeg(index, gone)
        except SourceError:
            told.append(index)

    people = [threading.Thread(target=ask, args=(index,)) for index in (5, 30, 90)]
    for each in people:
        each.start()
    wait_for(lambda: len(shelf._wanted) == 3)
    gone.set()
    shelf.wake()
    for each in people:
        each.join(60)
    assert sorted(told) == [5, 30, 90]
    source.turn.set()
    shelf.jpeg(70)
    quiet(source)
    assert len({5, 30, 90} & set(source.read_frames)) <= 1  # one had been begun
    assert decoded(shelf.jpeg(30)).shape == (48, 80, 3)


def test_memory_is_bounded(counting: tuple[Counting, FrameShelf]) -> None:
    size = len(counting[1].jpeg(0))
    source = Counting()
    shelf = shelf_over(source, most_bytes=10 * size)
    for index in range(FRAMES):
        shelf.jpeg(index)
        assert shelf._bytes <= 10 * size
        assert shelf._bytes == sum(map(len, shelf._kept.values()))
    quiet(source)
    shelf.close()
    assert len(source.read_frames) <= 2 * FRAMES


def test_a_bound_below_one_frame_still_gives_frames() -> None:
    source = Counting()
    shelf = shelf_over(source, most_bytes=1)
    for index in (0, 1, 2, 50, 49, 48):
        shelf.jpeg(index)
    quiet(source)
    assert len(shelf._kept) <= 2
    shelf.close()


def test_a_broken_frame_is_told_and_the_others_are_there() -> None:
    source = Counting(broken=(3,))
    shelf = shelf_over(source)
    for index in (0, 1, 2, 4, 5):
        shelf.jpeg(index)
    for _ in range(2):
        with pytest.raises(SourceError, match=r"Frame 3 is damaged\."):
            shelf.jpeg(3)
    shelf.jpeg(4)
    shelf.close()


def test_many_may_ask_at_once(counting: tuple[Counting, FrameShelf]) -> None:
    _, shelf = counting
    wrong: list[int] = []

    def ask(seed: int) -> None:
        for index in np.random.default_rng(seed).integers(0, FRAMES, 40).tolist():
            if abs(decoded(shelf.jpeg(index)).astype(int) - blob_frame(index)).mean() > 6:
                wrong.append(index)

    people = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for each in people:
        each.start()
    for each in people:
        each.join(60)
        assert not each.is_alive()
    assert not wrong


def test_closing_wakes_whoever_waits() -> None:
    source = Counting()
    source.turn.clear()
    shelf = shelf_over(source)
    told: list[str] = []

    def ask() -> None:
        try:
            shelf.jpeg(7)
        except SourceError as error:
            told.append(str(error))

    waiting = threading.Thread(target=ask)
    waiting.start()
    wait_for(lambda: bool(shelf._wanted))
    with shelf._changed:
        shelf._closed = True
        shelf._changed.notify_all()
    waiting.join(60)
    assert len(told) == 1
    source.turn.set()
    shelf.close()


def test_the_source_is_the_shelfs_own(tmp_path: Path) -> None:
    source: FrameSource = open_source(write_clip(tmp_path / "clip", 3))
    FrameShelf(source, 3).close()
    with pytest.raises(SourceError, match="closed"):
        source.read(0)
