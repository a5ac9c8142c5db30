"""What every loader is, and what all of them check and report alike."""

import gc
import pickle
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from keepsight.errors import KeepsightError
from keepsight.tracking_loader.results import (
    TrackingConfig,
    TrackingFrame,
    TrackingFramework,
    TrackingMask,
    TrackingResult,
)

__all__ = ["FAILURES", "Clip", "Loader", "Seen", "Tracker", "TrackingModelLoader"]

# What may go wrong inside a network or the packages that run one; anything else is a bug and stays itself.
FAILURES = (
    KeepsightError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.PickleError,
)


class TrackingModelLoader(ABC):
    """A tracker that is loaded, used on any number of clips, and unloaded.

    Args:
        config: which model, and where it runs.

    Raises:
        ValueError: the configuration asks for a framework that this tracker does not have.
    """

    def __init__(self, config: TrackingConfig) -> None:
        self.config = config

    @abstractmethod
    def load(self) -> None:
        """Loads the model; again after `unload` if wanted.

        Raises:
            RuntimeError: it cannot be loaded; the cause is chained.
        """

    @abstractmethod
    def track(
        self, frames: list[Image.Image], initial_masks: list[npt.NDArray[Any]], object_ids: list[int]
    ) -> TrackingResult:
        """Follows objects from their masks on the first frame through all frames.

        Args:
            frames: the clip, all of one size.
            initial_masks: per object its mask on the first frame, (H, W); everything above 0 is the object.
            object_ids: per object a number of its own.

        Raises:
            RuntimeError: `load` was not called before, or tracking failed; the cause is chained.
            ValueError: no frames, frames of differing size, masks of another shape than the frames or empty,
                ids given twice, or counts that differ; the message names the offender. Nothing is done then.
        """

    @abstractmethod
    def unload(self) -> None:
        """Lets go of the model and its memory; harmless when repeated."""


class Clip(NamedTuple):
    """A clip that has been checked.

    Attributes:
        frames: (H, W, 3) each, RGB once converted.
        masks: (H, W) bool by object id, on the first frame.
        width: of a frame, in pixels.
        height: of a frame, in pixels.
    """

    frames: Sequence[Image.Image]
    masks: Mapping[int, npt.NDArray[np.bool_]]
    width: int
    height: int

    def images(self) -> Iterator[npt.NDArray[np.uint8]]:
        """The frames as (H, W, 3) uint8 RGB arrays, one at a time."""
        for frame in self.frames:
            yield np.asarray(frame.convert("RGB"))


class Seen(NamedTuple):
    """One object on one frame: its (H, W) mask, confidence 0..1, and whether it is occluded."""

    mask: npt.NDArray[Any]
    confidence: float
    occluded: bool


class Tracker(Protocol):
    """A loaded model."""

    def follow(self, clip: Clip) -> Iterator[Mapping[int, Seen]]:
        """Every object by id, frame by frame."""

    def revised(self) -> Mapping[int, Mapping[int, Seen]]:
        """After the last frame: by frame and object id, what hindsight changes."""


class Loader(TrackingModelLoader):
    """What the four loaders share; a subclass says what cannot run it, and builds its tracker."""

    refusals: ClassVar[Mapping[TrackingFramework, str]] = {}
    """The frameworks that cannot run it, each with the reason."""

    def __init__(self, config: TrackingConfig) -> None:
        super().__init__(config)
        refused = self.refusals.get(TrackingFramework(config.framework), "")
        if refused:
            raise ValueError(f"{type(self).__name__}: {refused}")
        self._tracker: Tracker | None = None

    @abstractmethod
    def build(self, device: str) -> Tracker:
        """Loads the network onto a device."""

    def load(self) -> None:
        """Loads the model; again after `unload` if wanted.

        Raises:
            RuntimeError: it cannot be loaded; the cause is chained.
        """
        device = available(self.config.device)
        try:
            self._tracker = self.build(device)
        except FAILURES as error:
            wanted = self.config.checkpoint_path or self.config.model_id
            raise RuntimeError(f"{type(self).__name__} cannot load {wanted!r}: {error}") from error

    def track(
        self, frames: list[Image.Image], initial_masks: list[npt.NDArray[Any]], object_ids: list[int]
    ) -> TrackingResult:
        """Follows objects from their masks on the first frame through all frames.

        Args:
            frames: the clip, all of one size.
            initial_masks: per object its mask on the first frame, (H, W); everything above 0 is the object.
            object_ids: per object a number of its own.

        Raises:
            RuntimeError: `load` was not called before, or tracking failed; the cause is chained.
            ValueError: no frames, frames of differing size, masks of another shape than the frames or empty,
                ids given twice, or counts that differ; the message names the offender. Nothing is done then.
        """
        if self._tracker is None:
            raise RuntimeError(
                f"{type(self).__name__} expects load() before track(), but no model is loaded. Call it first."
            )
        clip = checked(frames, initial_masks, object_ids)
        start = time.perf_counter()
        try:
            found = list(_timed(self._tracker.follow(clip), list(clip.masks)))
            for number, objects in self._tracker.revised().items():
                _revise(found[number], objects)
        except FAILURES as error:
            raise RuntimeError(f"{type(self).__name__} failed while tracking: {error}") from error
        total = time.perf_counter() - start
        return TrackingResult(found, clip.width, clip.height, total, len(found) / total)

    def unload(self) -> None:
        """Lets go of the model and its memory; harmless when repeated."""
        import torch

        self._tracker = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _timed(found: Iterator[Mapping[int, Seen]], ids: Sequence[int]) -> Iterator[TrackingFrame]:
    before = time.perf_counter()
    for number, objects in enumerate(found):
        now = time.perf_counter()
        masks = [_mask(object_id, objects[object_id]) for object_id in ids]
        occlusions = {object_id: objects[object_id].occluded for object_id in ids}
        yield TrackingFrame(number, masks, occlusions, now - before)
        before = time.perf_counter()


def _mask(object_id: int, seen: Seen) -> TrackingMask:
    return TrackingMask(seen.mask.astype(np.uint8), float(np.clip(seen.confidence, 0, 1)), object_id)


def _revise(frame: TrackingFrame, objects: Mapping[int, Seen]) -> None:
    frame.masks = [
        _mask(mask.object_id, objects[mask.object_id]) if mask.object_id in objects else mask
        for mask in frame.masks
    ]
    frame.occlusions |= {object_id: seen.occluded for object_id, seen in objects.items()}


def available(device: str) -> str:
    """The device asked for, or with a warning the CPU, where CUDA is asked for and there is none."""
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        warnings.warn(
            f"device {device!r} is asked for, but torch finds no CUDA here; the CPU is used.", stacklevel=3
        )
        return "cpu"
    return device


def checked(
    frames: Sequence[Image.Image], masks: Sequence[npt.NDArray[Any]], object_ids: Sequence[int]
) -> Clip:
    """A clip that a tracker may rely on.

    Raises:
        ValueError: see `TrackingModelLoader.track`.
    """
    width, height = _one_size(frames)
    if len(masks) != len(object_ids) or not len(masks):
        raise ValueError(
            f"Expected one initial mask per object id and at least one object, but got {len(masks)} masks "
            f"and {len(object_ids)} ids."
        )
    by_id: dict[int, npt.NDArray[np.bool_]] = {}
    for place, (object_id, mask) in enumerate(zip(object_ids, masks, strict=True)):
        if isinstance(object_id, bool) or not isinstance(object_id, int | np.integer):
            raise ValueError(f"Expected object ids that are integers, but got {object_id!r}.")
        if object_id in by_id:
            raise ValueError(f"Expected an id of its own for every object, but {object_id} is given twice.")
        name = f"initial_masks[{place}] (object {object_id})"
        by_id[int(object_id)] = _as_mask(mask, (height, width), name)
    return Clip(frames, by_id, width, height)


def _one_size(frames: Sequence[Image.Image]) -> tuple[int, int]:
    if not len(frames):
        raise ValueError("Expected at least one frame, but the list of frames is empty.")
    for number, frame in enumerate(frames):
        if not isinstance(frame, Image.Image):
            raise ValueError(
                f"Expected frames that are PIL images, but frames[{number}] is of type "
                f"{type(frame).__name__}. Convert it with PIL.Image.fromarray."
            )
        if frame.size != frames[0].size:
            raise ValueError(
                f"Expected all frames to be {frames[0].width}x{frames[0].height} like the first, but "
                f"frames[{number}] is {frame.width}x{frame.height}."
            )
    return frames[0].size


def _as_mask(mask: npt.NDArray[Any], size: tuple[int, int], name: str) -> npt.NDArray[np.bool_]:
    array = np.asarray(mask)
    if array.shape != size:
        raise ValueError(f"Expected {name} to have the frames' shape (H, W) = {size}, but got {array.shape}.")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"Expected {name} to hold numbers, but its type is {array.dtype}.")
    marked: npt.NDArray[np.bool_] = array > 0
    if not marked.any():
        raise ValueError(f"Expected {name} to mark the object, but no pixel of it is above 0.")
    return marked
