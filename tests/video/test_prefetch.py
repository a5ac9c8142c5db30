import gc
import itertools
import threading
import time
from collections.abc import Callable, Generator, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepsight.errors import SourceError
from keepsight.video.prefetch import Prefetcher, ReadAhead

WAIT = 5.0


class BrokenError(Exception):
    pass


def until(condition: Callable[[], bool]) -> bool:
    """Whether `condition` comes true within five seconds."""
    end = time.monotonic() + WAIT
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    return condition()


def decoding_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "keepsight-decode"]


@pytest.fixture(autouse=True)
def _no_thread_survives() -> Iterator[None]:
    yield
    gc.collect()
    assert until(lambda: not decoding_threads())


class Tape:
    """Numbers from 0, noting how many were made and whether the maker was closed, and by which thread."""

    def __init__(self, length: int | None = None, *, fails: bool = False) -> None:
        self.made = 0
        self.closed_by: str | None = None
        self._length, self._fails = length, fails

    def play(self) -> Generator[int, None, None]:
        try:
            for number in itertools.count() if self._length is None else range(self._length):
                self.made += 1
                yield number
            if self._fails:
                raise BrokenError("tape torn")
        finally:
            self.closed_by = threading.current_thread().name


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 40), st.integers(0, 5))
def test_everything_arrives_in_order(length: int, depth: int) -> None:
    assert list(ReadAhead(depth).over(Tape(length).play())) == list(range(length))


def test_producer_waits_when_the_queue_is_full() -> None:
    tape = Tape()
    items = ReadAhead(3).over(tape.play())
    assert next(items) == 0
    assert until(lambda: tape.made == 5)  # one taken, three waiting, one in hand
    time.sleep(0.02)
    assert tape.made == 5
    items.close()  # type: ignore[attr-defined]
    assert tape.closed_by == "keepsight-decode"


@pytest.mark.parametrize("depth", [0, 1, 3, 50])
def test_error_in_the_producer_comes_after_what_was_made(depth: int) -> None:
    seen: list[int] = []
    items = ReadAhead(depth).over(Tape(10, fails=True).play())
    with pytest.raises(BrokenError, match="tape torn"):
        seen.extend(items)
    assert seen == list(range(10))


@pytest.mark.parametrize("depth", [1, 3])
def test_error_in_the_consumer_ends_the_producer(depth: int) -> None:
    tape = Tape()

    def consume() -> None:
        for number in ReadAhead(depth).over(tape.play()):
            if number == 4:
                raise BrokenError("consumer gave up")

    with pytest.raises(BrokenError, match="gave up"):
        consume()
    gc.collect()
    assert until(lambda: tape.closed_by == "keepsight-decode")


def test_errors_on_both_sides_at_once() -> None:
    tape = Tape(3, fails=True)

    def consume() -> None:
        for _ in ReadAhead(1).over(tape.play()):
            raise BrokenError("consumer first")

    with pytest.raises(BrokenError, match="consumer first"):
        consume()
    gc.collect()
    assert until(lambda: tape.closed_by is not None)


def test_leaving_the_loop_ends_the_producer() -> None:
    tape = Tape()
    for number in ReadAhead(2).over(tape.play()):
        if number == 3:
            break
    assert until(lambda: tape.closed_by == "keepsight-decode")


def test_close_while_the_queue_is_full() -> None:
    tape, ahead = Tape(), ReadAhead(2)
    items = ahead.over(tape.play())
    next(items)
    assert until(lambda: tape.made == 4)
    ahead.close()
    assert tape.closed_by == "keepsight-decode"
    with pytest.raises(SourceError, match="closed"):
        next(items)
    with pytest.raises(SourceError, match="closed"):
        next(ahead.over(tape.play()))


def test_close_wakes_a_waiting_consumer() -> None:
    gate = threading.Event()

    def slow() -> Generator[int, None, None]:
        gate.wait(WAIT)
        yield 1

    queue = Prefetcher(slow(), 1)
    caught: list[str] = []

    def consume() -> None:
        try:
            queue.take()
        except SourceError as error:
            caught.append(str(error))

    consumer = threading.Thread(target=consume)
    consumer.start()
    closer = threading.Thread(target=queue.close)
    closer.start()
    consumer.join(WAIT)
    assert len(caught) == 1
    gate.set()
    closer.join(WAIT)
    assert not queue.running


def test_unused_iterator_starts_no_thread() -> None:
    ReadAhead(2).over(Tape().play())
    assert not decoding_threads()


def test_newest_items_win_when_time_is_short() -> None:
    tape = Tape(100)
    items = ReadAhead(3, newest=True).over(tape.play())
    first = next(items)
    assert until(lambda: tape.closed_by is not None)
    assert list(items) == [number for number in (97, 98, 99) if number > first]
