"""The frames that an inference session holds, prepared for the network."""

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol

import torch
from torch import Tensor

from keepsight.compat.sam3_tracker_video.errors import MissingFrameError
from keepsight.session import PreparedFrame
from keepsight.video import SourceInfo

__all__ = ["Clip", "Video"]


class Video(Protocol):
    """Prepared frames by number, (3, S, S) each: a tensor, or frames that are read when asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Tensor: ...


class Clip:
    """Frames by number; a `FrameSource` of prepared frames for `VideoTracker`.

    Args:
        video: frames from 0 on, or None.
        device: where frames that are handed in are kept.
        dtype: of the frames given out.
    """

    def __init__(self, video: Video | None, device: torch.device | str, dtype: torch.dtype) -> None:
        self._video = video
        self._device, self._dtype = device, dtype
        self._added: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self._video or ()) + len(self._added)

    def __contains__(self, index: object) -> bool:
        return index in self._added or (isinstance(index, int) and 0 <= index < len(self._video or ()))

    def __getitem__(self, index: int) -> Tensor:
        """Frame `index`, (3, S, S).

        Raises:
            MissingFrameError: there is none.
        """
        if index in self._added:
            return self._added[index]
        if self._video is None or index not in self:
            raise MissingFrameError(
                f"Expected the number of a frame that the inference session holds ({self._held()}), but got "
                f"{index}. Give the video to init_video_session, or hand the frame in with add_new_frame."
            )
        return self._video[index].to(self._dtype)

    def add(self, pixels: Tensor, index: int) -> None:
        """Keeps a frame, (3, S, S), in the place of any earlier one of the number."""
        self._added[index] = pixels.to(self._device, self._dtype)

    @property
    def info(self) -> SourceInfo:
        """The frames' size; see `FrameSource.info`."""
        size = self[next(iter(self._added), 0)].shape[-1]
        return SourceInfo(size, size, len(self), None, "the inference session's video")

    def __enter__(self) -> "Clip":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[PreparedFrame]:
        return self.frames()

    def frames(
        self, start: int = 0, stop: int | None = None, step: int = 1, *, reverse: bool = False
    ) -> Iterator[PreparedFrame]:
        """The frames of a range; see `FrameSource.frames`."""
        order = range(start, len(self) if stop is None else stop, step)
        return (self.read(index) for index in (reversed(order) if reverse else order))

    def read(self, index: int) -> PreparedFrame:
        """One frame; see `FrameSource.read`."""
        return PreparedFrame.of(index, self[index])

    def count(self) -> int:
        """How many frames there are now."""
        return len(self)

    def close(self) -> None:
        """Lets go of frames that were handed in."""
        self._added.clear()

    def _held(self) -> str:
        return f"{len(self)} of them" if len(self) else "none"
