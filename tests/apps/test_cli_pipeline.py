import os
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from keepsight.apps.cli.pipeline import begun, one_interrupt, write_behind
from keepsight.types import FrameResult

IMAGE = np.zeros((2, 2, 3), np.uint8)


class TrackerError(Exception):
    pass


class WriterError(Exception):
    pass


def results(
    count: int, fail_at: int | None = None, error: type[BaseException] = TrackerError
) -> Iterator[FrameResult]:
    for index in range(count):
        if index == fail_at:
            raise error
        yield FrameResult(index, None, IMAGE)


def ignore(result: FrameResult) -> None:
    pass


def writer_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("keepsight-writer")]


def test_everything_is_written_in_order_and_in_another_thread() -> None:
    written: list[int] = []
    threads: set[str] = set()
    watched: list[int] = []

    def write(result: FrameResult) -> None:
        written.append(result.index)
        threads.add(threading.current_thread().name)

    write_behind(results(50), write, lambda result: watched.append(result.index))
    assert written == watched == list(range(50))
    assert threads.isdisjoint({threading.main_thread().name})
    assert writer_threads() == []


@pytest.mark.parametrize("error", [TrackerError, KeyboardInterrupt])
def test_what_was_drawn_before_the_tracker_failed_is_written(error: type[BaseException]) -> None:
    written: list[int] = []

    def write(result: FrameResult) -> None:
        time.sleep(0.01)  # so that results wait in the queue when the error comes
        written.append(result.index)

    with pytest.raises(error):
        write_behind(results(50, fail_at=7, error=error), write, ignore)
    assert written == list(range(7))
    assert writer_threads() == []


def test_a_writers_error_stops_the_tracker_and_is_raised() -> None:
    drawn: list[int] = []

    def write(result: FrameResult) -> None:
        if result.index == 3:
            raise WriterError("disk full")

    with pytest.raises(WriterError, match="disk full"):
        write_behind(results(10_000), write, lambda result: drawn.append(result.index), capacity=2)
    assert len(drawn) < 10_000
    assert writer_threads() == []


def test_when_both_fail_the_writers_error_wins_and_the_trackers_is_its_context() -> None:
    def write(result: FrameResult) -> None:
        raise WriterError

    def slow() -> Iterator[FrameResult]:
        yield FrameResult(0, None, IMAGE)
        time.sleep(0.05)
        raise TrackerError

    with pytest.raises(WriterError) as caught:
        write_behind(slow(), write, ignore)
    assert isinstance(caught.value.__context__, TrackerError)


def test_a_slow_writer_holds_the_tracker_back() -> None:
    release = threading.Event()
    drawn: list[int] = []
    written: list[int] = []

    def write(result: FrameResult) -> None:
        release.wait(10)
        written.append(result.index)

    runner = threading.Thread(
        target=write_behind, args=(results(100), write, lambda result: drawn.append(result.index), 3)
    )
    runner.start()
    time.sleep(0.3)
    waiting = len(drawn)
    release.set()
    runner.join(10)
    assert waiting <= 5  # one being written, three in the queue, one in hand
    assert written == list(range(100))


def test_begun_raises_the_first_error_before_its_block_and_closes_the_generator() -> None:
    entered = False
    with pytest.raises(TrackerError), begun(results(3, fail_at=0)):
        entered = True
    assert not entered

    closed: list[bool] = []

    def watched() -> Iterator[FrameResult]:
        try:
            yield from results(5)
        finally:
            closed.append(True)

    with begun(watched()) as drawn:
        assert [next(drawn).index, next(drawn).index] == [0, 1]
        assert closed == []
    assert closed == [True]
    with begun(iter(results(0))) as none:
        assert list(none) == []


def test_the_first_interrupt_is_raised_and_the_second_ignored() -> None:
    before = signal.getsignal(signal.SIGINT)
    with one_interrupt():
        with pytest.raises(KeyboardInterrupt):
            interrupt_and_wait()
        interrupt_and_wait()
    assert signal.getsignal(signal.SIGINT) is before


def interrupt_and_wait() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.05)
