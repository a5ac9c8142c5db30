"""Writing beside tracking: a bounded queue between the tracker and the writers.

Shutdown, in every case: the queue is ended, what lies in it is written, the writer's thread is joined,
the files are completed, the tracker's generator is closed (which stops decoding), and only then an error
is raised. A writer's error wins over the tracker's, which then is its context.
"""

import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from queue import Full, Queue
from types import FrameType

from keepsight.types import FrameResult

__all__ = ["begun", "one_interrupt", "write_behind"]

PATIENCE = 0.05  # seconds between two looks at whether a writer that takes nothing has died


def write_behind(
    results: Iterable[FrameResult],
    write: Callable[[FrameResult], None],
    watch: Callable[[FrameResult], None],
    capacity: int = 4,
) -> None:
    """Draws results in this thread and writes them, in order, in another.

    Args:
        results: the tracker's results, drawn one at a time.
        write: called in the writer's thread, once per result.
        watch: called in this thread as each result arrives, for progress.
        capacity: how many results may wait to be written.

    Raises:
        BaseException: whatever `results`, `write` or `watch` raised (`KeyboardInterrupt` included),
            after everything drawn before has been written.
    """
    with _writer(write, capacity) as put:
        for result in results:
            watch(result)
            if not put(result):
                break


@contextmanager
def begun(results: Iterator[FrameResult]) -> Iterator[Iterator[FrameResult]]:
    """Draws the first result, so that a prompt or model that fails does so before any file is touched.

    Leaving the block closes `results`, if it is a generator.
    """
    try:
        first = list(islice(results, 1))
        yield chain(first, results)
    finally:
        if isinstance(results, Generator):
            results.close()


@contextmanager
def _writer(write: Callable[[FrameResult], None], capacity: int) -> Iterator[Callable[[FrameResult], bool]]:
    queue: Queue[FrameResult | None] = Queue(capacity)

    def drain() -> None:
        for result in iter(queue.get, None):
            write(result)

    with ThreadPoolExecutor(1, thread_name_prefix="keepsight-writer") as pool:
        written = pool.submit(drain)
        try:
            yield lambda result: _put(queue, result, written)
        finally:
            _put(queue, None, written)
            written.result()


def _put(queue: "Queue[FrameResult | None]", item: FrameResult | None, written: "Future[None]") -> bool:
    """Whether the item was taken; False once the writer has stopped."""
    while not written.done():
        try:
            queue.put(item, timeout=PATIENCE)
        except Full:
            continue
        return True
    return False


@contextmanager
def one_interrupt() -> Iterator[None]:
    """The first Ctrl-C inside raises `KeyboardInterrupt`; later ones are ignored until the block is left.

    An impatient second Ctrl-C would otherwise cut off the writers while they finish their files.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
