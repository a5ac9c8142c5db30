"""Decoding ahead: a thread fills a bounded queue while the consumer works on earlier items.

Shutdown, in writing. The producing thread ends when its items end, when they raise, or when the queue
is closed; it never waits without being woken by `close`. The consumer sees every item produced before
an error, then the error itself. Leaving the loop, an exception in its body and `close` from any thread
all lead to `Prefetcher.close`, which wakes both sides, empties the queue and joins the thread.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Any, Generic, TypeVar

from keepsight.errors import SourceError

__all__ = ["Prefetcher", "ReadAhead"]

T = TypeVar("T")

_JOIN_SECONDS = 5.0


class _Outcome:
    """Keeps what a block raised, for another thread to raise again."""

    error: BaseException | None = None

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error
        return True


class Prefetcher(Generic[T]):
    """A bounded queue, filled by a thread of its own from the moment it is made.

    Args:
        items: what to produce; run and closed on the thread.
        depth: how many finished items may wait, at least 1.
        newest: when the queue is full, drop the oldest item instead of waiting (live sources, where a
            stale frame is worth less than a fresh one).
    """

    def __init__(self, items: Generator[T, None, None], depth: int, *, newest: bool = False) -> None:
        self._items = items
        self._newest = newest
        self._depth = depth
        self._queue: deque[T] = deque()
        self._changed = threading.Condition()
        self._finished = False
        self._closed = False
        self._outcome = _Outcome()
        # A daemon: a camera that never answers must not keep the interpreter from ending.
        self._thread = threading.Thread(target=self._produce, name="keepsight-decode", daemon=True)
        self._thread.start()

    def _produce(self) -> None:
        with self._outcome, contextlib.closing(self._items):
            for item in self._items:
                if not self._offer(item):
                    break
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def _offer(self, item: T) -> bool:
        with self._changed:
            if self._newest and len(self._queue) >= self._depth:
                self._queue.popleft()
            self._changed.wait_for(lambda: self._closed or len(self._queue) < self._depth)
            if not self._closed:
                self._queue.append(item)
                self._changed.notify_all()
            return not self._closed

    def take(self) -> T:
        """The next item, waiting for it.

        Raises:
            StopIteration: the items have ended.
            SourceError: the queue was closed.
            BaseException: whatever the items raised, once all earlier items are taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._finished or bool(self._queue))
            if self._closed:
                raise SourceError("This source was closed while its frames were being read. Open it again.")
            if self._queue:
                item = self._queue.popleft()
                self._changed.notify_all()
                return item
        if self._outcome.error is not None:
            raise self._outcome.error
        raise StopIteration

    def close(self) -> None:
        """Stop the thread and drop what waits. Harmless when repeated."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()
        self._thread.join(_JOIN_SECONDS)

    @property
    def running(self) -> bool:
        """Whether the producing thread is still alive."""
        return self._thread.is_alive()


class ReadAhead:
    """All the queues of one source, so that closing the source closes them.

    Args:
        depth: items decoded ahead of the consumer; 0 decodes in the consumer's own thread.
        newest: see `Prefetcher`.
    """

    def __init__(self, depth: int, *, newest: bool = False) -> None:
        self._depth = depth
        self._newest = newest
        self._open: set[Prefetcher[Any]] = set()
        self._closed = False

    def over(self, items: Generator[T, None, None]) -> Iterator[T]:
        """Iterate `items`, decoded ahead; the thread starts with the first item asked for.

        Raises:
            SourceError: the source was closed, before or meanwhile.
        """
        self.require_open()
        if self._depth == 0:
            yield from items
            return
        queue = Prefetcher(items, self._depth, newest=self._newest)
        self._open.add(queue)
        try:
            while True:
                try:
                    item = queue.take()
                except StopIteration:
                    return
                yield item
        finally:
            queue.close()
            self._open.discard(queue)

    def require_open(self) -> None:
        """Raises SourceError once `close` was called."""
        if self._closed:
            raise SourceError("This source is closed, so it has no frames to give. Open it again.")

    def close(self) -> None:
        """Close every queue; later reads raise SourceError."""
        self._closed = True
        for queue in list(self._open):
            queue.close()
