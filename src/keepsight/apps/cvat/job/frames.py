"""A job's frames as a source for the tracker: those that are not deleted, one after another.

The tracker counts the frames that it sees, 0, 1, 2, ...; a job's own numbers stay out here.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import lru_cache
from math import gcd
from types import TracebackType
from typing import Protocol

from keepsight.errors import SourceError
from keepsight.types import Frame, ImageArray
from keepsight.video import FrameSource, SourceInfo
from keepsight.video.prefetch import ReadAhead
from keepsight.video.source import chosen_range, require_index

__all__ = ["FetchedPictures", "FilePictures", "JobFrames", "Pictures"]

AHEAD = 4  # frames fetched before they are asked for
KEPT = 8  # frames kept, since the start frame is asked for several times


class Pictures(Protocol):
    """Where the images of numbered frames come from."""

    def read(self, number: int) -> ImageArray:
        """One image."""
        ...

    def walk(self, numbers: Sequence[int]) -> Iterator[ImageArray]:
        """Several, ascending or descending."""
        ...

    def close(self) -> None:
        """Lets go of files and threads."""
        ...


class FilePictures:
    """Frames of a video file or a folder of images, by their number in it.

    Args:
        source: opened by the caller, closed here.
    """

    def __init__(self, source: FrameSource) -> None:
        self._source = source

    def read(self, number: int) -> ImageArray:
        """See `Pictures.read`."""
        return self._source.read(number).image

    def walk(self, numbers: Sequence[int]) -> Iterator[ImageArray]:
        """See `Pictures.walk`; what lies between is decoded at most, not kept."""
        chosen, reverse = set(numbers), len(numbers) > 1 and numbers[0] > numbers[-1]
        first, last = min(numbers), max(numbers)
        step = gcd(*(number - first for number in numbers)) or 1
        for frame in self._source.frames(first, last + 1, step, reverse=reverse):
            if frame.index in chosen:
                yield frame.image

    def close(self) -> None:
        """See `Pictures.close`."""
        self._source.close()


class FetchedPictures:
    """Frames that are fetched one by one; the last few are kept.

    Args:
        fetch: gives the image of a frame.
    """

    def __init__(self, fetch: Callable[[int], ImageArray]) -> None:
        self._fetch = lru_cache(maxsize=KEPT)(fetch)
        self._ahead = ReadAhead(AHEAD)

    def read(self, number: int) -> ImageArray:
        """See `Pictures.read`."""
        return self._fetch(number)

    def walk(self, numbers: Sequence[int]) -> Iterator[ImageArray]:
        """See `Pictures.walk`; the next ones are fetched while the caller works."""
        return self._ahead.over(self._each(numbers))

    def close(self) -> None:
        """See `Pictures.close`."""
        self._ahead.close()

    def _each(self, numbers: Sequence[int]) -> Generator[ImageArray, None, None]:
        for number in numbers:
            yield self._fetch(number)


class JobFrames:
    """The frames of a job that are to be tracked, a `FrameSource`.

    Args:
        pictures: where the images are; closed with this.
        numbers: what the pictures call the frames, in order.
        size: (width, height) of all of them.
        name: for messages.
    """

    def __init__(self, pictures: Pictures, numbers: Sequence[int], size: tuple[int, int], name: str) -> None:
        self._pictures = pictures
        self._numbers = numbers
        self._info = SourceInfo(*size, len(numbers), rate=None, name=name)

    @property
    def info(self) -> SourceInfo:
        """Size, count and name."""
        return self._info

    def __enter__(self) -> "JobFrames":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def frames(
        self, start: int = 0, stop: int | None = None, step: int = 1, *, reverse: bool = False
    ) -> Iterator[Frame]:
        """See `FrameSource.frames`."""
        chosen = chosen_range(start, stop, step)
        if start:
            require_index(start, len(self._numbers), self._info.name)
        chosen = range(chosen.start, min(chosen.stop, len(self._numbers)), step)
        order = chosen[::-1] if reverse else chosen
        return self._walk(order) if order else iter(())

    def read(self, index: int) -> Frame:
        """See `FrameSource.read`."""
        place = require_index(index, len(self._numbers), self._info.name)
        return self._frame(place, self._pictures.read(self._numbers[place]))

    def count(self) -> int:
        """The number of frames."""
        return len(self._numbers)

    def close(self) -> None:
        """See `FrameSource.close`."""
        self._pictures.close()

    def _walk(self, order: range) -> Iterator[Frame]:
        images = self._pictures.walk([self._numbers[place] for place in order])
        for place, image in zip(order, images, strict=False):
            yield self._frame(place, image)

    def _frame(self, place: int, image: ImageArray) -> Frame:
        width, height = self._info.width, self._info.height
        if image.shape[:2] != (height, width):
            raise SourceError(
                f"Expected frame {self._numbers[place]} of {self._info.name} to have {width} x {height} "
                f"pixels like the others, but it has {image.shape[1]} x {image.shape[0]}."
            )
        return Frame(place, None, image)
