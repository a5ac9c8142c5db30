"""Pictures to pixel values: images, segmentation maps, and videos whose frames are read when asked for."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from keepsight.compat.sam3_tracker_video.encoding import Encoding
from keepsight.compat.sam3_tracker_video.pixels import (
    MODES,
    NoPictureError,
    PictureError,
    layout_of,
    opened,
    picture_list,
    planes_of,
    resized,
    size_of,
)
from keepsight.errors import SourceError, UsageError
from keepsight.types import Frame
from keepsight.video import FrameSource, open_source
from keepsight.video.images import is_image
from keepsight.video.source import require_index

__all__ = ["ImagePreparation", "PreparedVideo", "SettingError"]


class SettingError(UsageError, TypeError):
    """A setting of a processor that is unknown or cannot be used."""


@dataclass
class ImagePreparation:
    """How pictures become pixel values: transformers' image processor in its own words.

    Call it with pictures, or hand it to a processor.

    Attributes:
        size: {"height": ..., "width": ...} of the model input; a number where both are the same.
        mask_size: likewise, of segmentation maps.
        image_mean: of the RGB channels, values 0..1.
        image_std: likewise.
        resample: 0 nearest, 2 bilinear, 3 bicubic.
        do_resize: bring pictures to `size`.
        do_rescale: multiply by `rescale_factor` first.
        rescale_factor: brings values to 0..1.
        do_normalize: subtract the mean and divide by the deviation.
        do_convert_rgb: repeat grey three times; lay what is transparent on white.

    Raises:
        SettingError: a size, mean or deviation is none, or `resample` is unknown (also a TypeError).
    """

    size: Any
    mask_size: Any
    image_mean: Any
    image_std: Any
    resample: int = 2
    do_resize: bool = True
    do_rescale: bool = True
    rescale_factor: float = 1 / 255
    do_normalize: bool = True
    do_convert_rgb: bool = True

    def __post_init__(self) -> None:
        self.size, self.mask_size = _size("size", self.size), _size("mask_size", self.mask_size)
        self.image_mean = _channels("image_mean", self.image_mean)
        self.image_std = _channels("image_std", self.image_std)
        if self.resample not in MODES:
            raise SettingError(f"Expected resample to be one of {sorted(MODES)}, but got {self.resample!r}.")

    @property
    def model_input_names(self) -> list[str]:
        """What the model reads of an answer."""
        return ["pixel_values"]

    def like(self, given: Any) -> "ImagePreparation":
        """These settings, changed to what another processor, or a dictionary of settings, says.

        Raises:
            SettingError: it says nothing of the kind.
        """
        if given is None:
            return replace(self)
        known = [field.name for field in fields(self)]
        said = given if isinstance(given, Mapping) else {name: getattr(given, name, None) for name in known}
        chosen: dict[str, Any] = {name: said[name] for name in known if said.get(name) is not None}
        if "size" not in chosen and not isinstance(given, Mapping):
            raise SettingError(
                f"Expected an image processor with size, image_mean and image_std, or a dictionary of these, "
                f"but got {type(given).__name__}. Leave it out for the model's own settings."
            )
        return replace(self, **chosen)

    def changed(self, **settings: Any) -> "ImagePreparation":
        """These settings with some changed; None changes nothing.

        Raises:
            SettingError: there is no such setting (also a TypeError).
        """
        unknown = settings.keys() - {field.name for field in fields(self)}
        if unknown:
            raise SettingError(
                f"Expected settings among {', '.join(field.name for field in fields(self))}, but got "
                f"{', '.join(sorted(unknown))}. Leave it out."
            )
        return self.like(settings)

    def __call__(
        self,
        images: Any,
        segmentation_maps: Any = None,
        *,
        return_tensors: str | None = None,
        device: torch.device | str | None = None,
        input_data_format: str | None = None,
        **settings: Any,
    ) -> Encoding:
        """Prepares pictures.

        Args:
            images: PIL images; uint8 or float arrays or tensors, (H, W, C) or (C, H, W) with 1, 3 or 4
                channels; stacks of these; paths of image files; lists of all these.
            segmentation_maps: PIL images or (H, W) arrays or tensors, one per picture.
            return_tensors: "pt" or "np" for one tensor or array per entry, None for lists.
            device: where pixel values are computed and returned.
            input_data_format: "channels_first" or "channels_last"; seen from the shapes if None.
            **settings: any attribute of this class, for this call.

        Returns:
            `pixel_values`, (B, 3, S, S) float32; `original_sizes`, (B, 2), height and width; and, of
            segmentation maps, `labels`, (B, M, M) int64.

        Raises:
            PictureError: what is given is no picture (also a ValueError and a TypeError).
            NoPictureError: the list is empty (also an IndexError).
            SettingError: there is no such setting (also a TypeError).
        """
        way = self.changed(**settings) if settings else self
        planes = [
            planes_of(picture, rgb=way.do_convert_rgb, layout=input_data_format)
            for picture in picture_list(images, 3)
        ]
        encoding = Encoding(
            pixel_values=[way.pixels(picture, device) for picture in planes],
            original_sizes=[(picture.shape[1], picture.shape[2]) for picture in planes],
        )
        if segmentation_maps is not None:
            maps = [planes_of(picture, rgb=False) for picture in picture_list(segmentation_maps, 2)]
            size = (way.mask_size["height"], way.mask_size["width"])
            encoding["labels"] = torch.stack(
                [resized(picture, size, MODES[0]).squeeze(0).long() for picture in maps]
            )
        return encoding.converted(return_tensors)

    def pixels(self, planes: Tensor, device: torch.device | str | None = None) -> Tensor:
        """(C, H, W) channels as pixel values on a device: (3, S, S) float32."""
        planes = planes if device is None else planes.to(device)
        if self.do_resize:
            planes = resized(planes, (self.size["height"], self.size["width"]), MODES[self.resample])
        if not self.do_normalize:
            return planes * self.rescale_factor if self.do_rescale else planes
        # The factor goes into mean and deviation, as the original computes it.
        factor = 1 / self.rescale_factor if self.do_rescale else 1.0
        mean = torch.tensor(self.image_mean, device=planes.device)[:, None, None] * factor
        std = torch.tensor(self.image_std, device=planes.device)[:, None, None] * factor
        return planes.to(torch.float32).sub(mean).div_(std).contiguous()


def _size(name: str, given: Any) -> dict[str, int]:
    if isinstance(given, int):
        return {"height": given, "width": given}
    sides: dict[str, Any] = {
        side: given.get(side) if isinstance(given, Mapping) else getattr(given, side, None)
        for side in ("height", "width")
    }
    if None in sides.values():
        raise SettingError(
            f"Expected {name} to be a number or {{'height': ..., 'width': ...}}, but got {given!r}."
        )
    return {side: int(length) for side, length in sides.items()}


def _channels(name: str, given: Any) -> tuple[float, ...]:
    values = (given,) * 3 if isinstance(given, int | float) else tuple(given)
    if len(values) != 3:
        raise SettingError(f"Expected {name} to be three numbers, one per RGB channel, but got {given!r}.")
    return values


class PreparedVideo:
    """A video's frames as pixel values, read and prepared when they are asked for.

    Frames asked for one after another, forward or backward, are decoded ahead.

    Args:
        video: a path, a URL, an open `FrameSource`; a list of paths of images, PIL images, arrays or
            tensors; an array or tensor (T, H, W, C) or (T, C, H, W); or a list of one such video.
        preparation: how pictures become pixel values.
        device: where that is computed.

    Raises:
        PictureError: it is no video, cannot be read, is live, or its frames differ in size (also a
            ValueError and a TypeError).
        NoPictureError: it has no frames (also an IndexError).
    """

    def __init__(
        self, video: Any, preparation: ImagePreparation, device: torch.device | str | None = None
    ) -> None:
        self._preparation, self._device = preparation, device
        self._layout: str | None = None
        self._frames = _frames_of(video)
        if isinstance(self._frames, FrameSource):
            self._walk = _Walk(self._frames)
            self.height, self.width = self._frames.info.height, self._frames.info.width
        else:
            self._layout = _layout(self._frames)
            self.height, self.width = _one_size(self._frames, self._layout)

    def __len__(self) -> int:
        return self._frames.count() if isinstance(self._frames, FrameSource) else len(self._frames)

    def __getitem__(self, index: int) -> Tensor:
        """Frame `index`, (3, S, S) float32 on the device.

        Raises:
            FrameIndexError: there is no such frame (also an IndexError).
            SourceError: it cannot be read, or the video was closed.
        """
        if isinstance(self._frames, FrameSource):
            planes = planes_of(self._walk.read(index).image, layout="channels_last")
        else:
            picture = self._frames[require_index(index, len(self._frames), "The video")]
            planes = planes_of(picture, layout=self._layout)
        return self._preparation.pixels(planes, self._device)

    def close(self) -> None:
        """Lets go of the file."""
        if isinstance(self._frames, FrameSource):
            self._walk.stop()
            self._frames.close()


class _Walk:
    """Reads frames by number, decoding ahead while they are asked for in turn."""

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self._last: Frame | None = None
        self._run: Iterator[Frame] | None = None
        self._step = 0

    def read(self, index: int) -> Frame:
        if self._last is None or self._last.index != index:
            self._last = self._next(index - self._last.index if self._last else 0, index)
        return self._last

    def _next(self, step: int, index: int) -> Frame:
        if step not in (1, -1):
            self.stop()
            return self._source.read(index)
        if self._run is None or step != self._step:
            forward = step == 1
            self._run = (
                self._source.frames(index) if forward else self._source.frames(0, index + 1, reverse=True)
            )
            self._step = step
        # Beyond the end, `read` says what there is.
        return next(self._run, None) or self._source.read(index)

    def stop(self) -> None:
        self._run = None


def _frames_of(video: Any) -> FrameSource | Sequence[Any]:
    """What the frames are read from: a source, or pictures by number."""
    if isinstance(video, FrameSource | str | os.PathLike):
        return _opened(video)
    if isinstance(video, Image.Image):
        return [video]
    if isinstance(video, np.ndarray | Tensor) and video.ndim in (3, 4, 5):
        return _stack(video)
    if isinstance(video, list | tuple):
        return _listed(video)
    raise PictureError(
        f"Expected a video: a path, a URL, pictures, or an array or tensor of shape (T, H, W, C), but got "
        f"{type(video).__name__}. Leave it out to hand in frames one by one."
    )


def _stack(video: Any) -> Sequence[Any]:
    """One frame, frames, or one video's frames."""
    frames: Sequence[Any] = [video] if video.ndim == 3 else _only(video) if video.ndim == 5 else video
    return frames


def _listed(video: Sequence[Any]) -> FrameSource | Sequence[Any]:
    if not video:
        raise NoPictureError(
            "Expected a video of at least one frame, but got an empty list. Give its frames."
        )
    if all(isinstance(item, str | os.PathLike) for item in video):
        if len(video) > 1 and all(is_image(Path(item)) for item in video):
            return _opened(video)
        return _frames_of(_only(video))
    if any(isinstance(item, list | tuple) or getattr(item, "ndim", 3) > 3 for item in video):
        return _frames_of(_only(video))
    return [opened(item) for item in video]


def _only(videos: Sequence[Any]) -> Any:
    if len(videos) != 1:
        raise PictureError(
            f"Expected one video, but got {len(videos)}: a session tracks through one. Open a session for "
            f"each."
        )
    return videos[0]


def _opened(video: Any) -> FrameSource:
    try:
        source = open_source(video)
    except SourceError as error:
        raise PictureError(str(error)) from error
    if source.info.live:
        source.close()
        raise PictureError(
            f"Expected a video with an end, but {source.info.name} is live. Leave it out, and hand in frames "
            f"one by one."
        )
    return source


def _layout(frames: Sequence[Any]) -> str | None:
    """Of frames that are arrays; four channels are believed in only where there are neither one nor three."""
    shape = tuple(getattr(frames[0], "shape", ()))
    if len(shape) != 3:
        return None
    try:
        return layout_of(shape, (1, 3))
    except PictureError:
        return layout_of(shape)


def _one_size(frames: Sequence[Any], layout: str | None) -> tuple[int, int]:
    first = size_of(frames[0], layout)
    for number, frame in enumerate(frames if isinstance(frames, list) else ()):
        size = size_of(frame, layout)
        if size != first:
            raise PictureError(
                f"Expected frames of one size, but frame 0 is {first[0]} high and {first[1]} wide, and frame "
                f"{number} {size[0]} and {size[1]}. Scale them to one size first."
            )
    return first
