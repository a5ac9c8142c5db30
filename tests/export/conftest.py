"""Results to write, and a disk that is full when asked."""

import resource
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction

import numpy as np
import pytest

from keepsight.export import ResultWriter
from keepsight.types import FrameResult, ObjectResult

Rect = tuple[int, int, int, int]


@pytest.fixture
def make_result() -> Callable[..., FrameResult]:
    """Builds a frame with one filled rectangle per object; None stands for an absent object."""

    def make(
        index: int,
        rects: Mapping[int, Rect | None],
        size: tuple[int, int] = (48, 64),
        time: Fraction | None = None,
        shade: int = 100,
    ) -> FrameResult:
        objects = {}
        for object_id, rect in rects.items():
            mask = np.zeros(size, dtype=bool)
            if rect is not None:
                x1, y1, x2, y2 = rect
                mask[y1:y2, x1:x2] = True
            objects[object_id] = ObjectResult(mask, 0.75, 0.5, bool(mask.any()))
        return FrameResult(index, time, np.full((*size, 3), shade, dtype=np.uint8), objects)

    return make


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """Inside the block the system refuses to let any file grow past so many bytes, as a full disk would."""

    @contextmanager
    def limit(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.fixture
def feed() -> Callable[..., None]:
    """Writes results inside `with`, then raises the error given, if any, still inside."""

    def write(
        writer: ResultWriter, results: Iterable[FrameResult], error: BaseException | None = None
    ) -> None:
        with writer:
            for result in results:
                writer.write(result)
            if error is not None:
                raise error

    return write
