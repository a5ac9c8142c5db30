"""Meta's video predictor, with `VideoTracker` behind it."""

import os
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from keepsight.api import VideoTracker
from keepsight.compat.overlaps import kept_apart
from keepsight.compat.passes import frame_order
from keepsight.compat.sam2.errors import NotPromptedError, UnreadableVideoError
from keepsight.compat.sam2.state import InferenceState
from keepsight.errors import FrameIndexError, PromptError, SourceError, UsageError
from keepsight.memory.policy import MemoryPolicy
from keepsight.nn.io import VideoNetwork
from keepsight.types import FrameResult
from keepsight.video import Source

__all__ = ["SAM2VideoPredictor"]

NO_OUTPUT = -1024.0  # Meta's logit where an object has no answer on a frame
BOX_LABELS = (2, 3)  # how scripts older than `box=` write a box: its corners as two points
JPEG_SUFFIXES = frozenset({".jpg", ".jpeg"})

Output = tuple[int, list[Any], Tensor]
"""Frame number, object ids, and mask logits (N, 1, H, W), float32, on the model's device."""


class SAM2VideoPredictor:
    """Meta's `SAM2VideoPredictor`, method for method.

    Every mask it gives is a logit at the video's resolution: object where above 0. An object that has no
    answer on a frame has -1024 everywhere. `inference_state` is what `init_state` returned.

    Args:
        model: a network from `keepsight.load_model`.
        policy: name of a memory policy, or a policy object.
        non_overlap_masks: where several objects claim a pixel, leave it to the one with the highest logit.
    """

    def __init__(
        self,
        model: VideoNetwork,
        *,
        policy: str | MemoryPolicy[Any] = "sam2",
        non_overlap_masks: bool = False,
    ) -> None:
        if not hasattr(model, "encode_image"):
            raise UsageError(
                f"SAM2VideoPredictor expects a loaded network, but got {model!r}. Use "
                f"build_sam2_video_predictor or SAM2VideoPredictor.from_pretrained for names and paths."
            )
        self._model = model
        self._policy = policy
        self._non_overlap_masks = non_overlap_masks

    @classmethod
    def from_pretrained(cls, model_id: str, **kwargs: Any) -> "SAM2VideoPredictor":
        """Loads a predictor from the Hugging Face hub; see `build_sam2_video_predictor_hf`."""
        from keepsight.compat.sam2.building import build_sam2_video_predictor_hf

        return build_sam2_video_predictor_hf(model_id, **kwargs)

    @property
    def device(self) -> torch.device:
        """Where the network computes and masks are returned."""
        return self._model.device

    @property
    def image_size(self) -> int:
        """The side of the network's square input, in pixels."""
        return self._model.input_spec.size

    def eval(self) -> "SAM2VideoPredictor":
        """Does nothing: networks here are always in evaluation mode."""
        return self

    def init_state(
        self,
        video_path: Source,
        offload_video_to_cpu: bool = False,
        offload_state_to_cpu: bool = False,
        async_loading_frames: bool = False,
    ) -> InferenceState:
        """Opens a video.

        Args:
            video_path: a folder of JPEGs, a video file, or another source that `VideoTracker` takes.
            offload_video_to_cpu: accepted; frames are decoded when needed and never all held.
            offload_state_to_cpu: accepted; memory on the device is bounded either way.
            async_loading_frames: accepted; frames are always decoded ahead by a thread.

        Raises:
            UnreadableVideoError: it cannot be read (also a NotImplementedError and a RuntimeError).
        """
        try:
            tracker = VideoTracker(
                _jpegs_alone(video_path),
                model=self._model,
                policy=self._policy,
                keep_logits=True,
                undo_depth=0,
            )
            return InferenceState(
                tracker,
                self.device,
                offload_video_to_cpu=offload_video_to_cpu,
                offload_state_to_cpu=offload_state_to_cpu,
            )
        except SourceError as error:
            raise UnreadableVideoError(str(error)) from error

    def add_new_points_or_box(
        self,
        inference_state: InferenceState,
        frame_idx: int,
        obj_id: Hashable,
        points: Any = None,
        labels: Any = None,
        clear_old_points: bool = True,
        normalize_coords: bool = True,
        box: Any = None,
    ) -> Output:
        """Says by points, a box or both which object is meant, or corrects its mask.

        Args:
            inference_state: the video.
            frame_idx: any of its frames.
            obj_id: a number or a string; a new one starts a new object.
            points: (N, 2) array or tensor.
            labels: (N,) 1 on the object, 0 not.
            clear_old_points: forget earlier points and box of this object on this frame.
            normalize_coords: coordinates are pixels of the video; if False, fractions of its width and
                height, 0..1.
            box: x1, y1, x2, y2; only together with `clear_old_points`.

        Raises:
            PromptError: it does not fit (also a ValueError). Nothing is changed.
            FrameIndexError: there is no such frame (also an IndexError).
        """
        if (points is None) != (labels is None):
            raise PromptError(
                "Expected points and labels together, but got one without the other. Give each point a label."
            )
        if box is not None and not clear_old_points:
            raise PromptError(
                "Expected a box as an object's first prompt on a frame, but got clear_old_points=False. "
                "Leave clear_old_points at True, or give points."
            )
        scale = np.ones(2, np.float32)
        if not normalize_coords:
            scale = np.asarray([inference_state["video_width"], inference_state["video_height"]], np.float32)
        said = _points_and_box(points, labels, box, scale)
        number = inference_state.number(obj_id)
        result = inference_state.tracker.prompt(frame_idx, number, replace=clear_old_points, **said)
        return self._joined(inference_state, obj_id, number, result)

    def add_new_points(self, *args: Any, **kwargs: Any) -> Output:
        """The older name of `add_new_points_or_box`."""
        return self.add_new_points_or_box(*args, **kwargs)

    def add_new_mask(
        self, inference_state: InferenceState, frame_idx: int, obj_id: Hashable, mask: Any
    ) -> Output:
        """Says by a mask which object is meant.

        Args:
            inference_state: the video.
            frame_idx: any of its frames.
            obj_id: a number or a string; a new one starts a new object.
            mask: (H, W) array or tensor of the video's size, not 0 on the object.

        Raises:
            PromptError: the mask is empty or of another size (also a ValueError). Nothing is changed.
            FrameIndexError: there is no such frame (also an IndexError).
        """
        number = inference_state.number(obj_id)
        result = inference_state.tracker.prompt(frame_idx, number, mask=_array(mask) != 0)
        return self._joined(inference_state, obj_id, number, result)

    def clear_all_prompts_in_frame(
        self, inference_state: InferenceState, frame_idx: int, obj_id: Hashable, need_output: bool = True
    ) -> Output | None:
        """Forgets what was said of an object on a frame, if anything was.

        An object of which nothing else was said is forgotten too, but keeps its place among `obj_ids`.

        Returns:
            The frame as it is known now; None unless `need_output`.

        Raises:
            UnknownObjectError: there is no such object.
            FrameIndexError: there is no such frame.
        """
        if frame_idx in inference_state.prompted_frames(obj_id):
            inference_state.tracker.unprompt(frame_idx, inference_state.known(obj_id))
        if not need_output:
            return None
        return frame_idx, inference_state["obj_ids"], self._known_masks(inference_state, frame_idx)

    def remove_object(
        self,
        inference_state: InferenceState,
        obj_id: Hashable,
        strict: bool = False,
        need_output: bool = True,
    ) -> tuple[list[Any], list[tuple[int, Tensor]]]:
        """Forgets an object; the others are not touched.

        Returns:
            The remaining object ids, and for every frame on which the object was prompted its number and
            the others' masks, (N, 1, H, W); no frames without `need_output` or if no object remains.

        Raises:
            NotPromptedError: `strict`, and there is no such object (also a RuntimeError).
        """
        state = inference_state
        if obj_id not in state.numbers:
            if strict:
                raise NotPromptedError(
                    f"Expected the id of an object to remove, one of {state['obj_ids']}, but got {obj_id!r}."
                )
            return state["obj_ids"], []
        frames = state.prompted_frames(obj_id)
        if len(state.numbers) == 1:
            self.reset_state(state)
            return state["obj_ids"], []
        if frames:
            state.tracker.remove(state.known(obj_id))
        state.leave(obj_id)
        shown = frames if need_output else ()
        return state["obj_ids"], [(frame, self._known_masks(state, frame)) for frame in shown]

    def reset_state(self, inference_state: InferenceState) -> None:
        """Forgets every object and all that was tracked; the video stays open."""
        inference_state.tracker.reset()
        inference_state.clear_objects()

    def propagate_in_video_preflight(self, inference_state: InferenceState) -> None:
        """Checks that something was said of every object; prompts need no other preparation here.

        Raises:
            NotPromptedError: of none, or not of every one (also a RuntimeError).
        """
        if not inference_state["obj_ids"]:
            raise NotPromptedError(
                "Expected points, a box or a mask for some object before tracking, but got none. "
                "Call add_new_points_or_box or add_new_mask first."
            )
        for obj_id in inference_state["obj_ids"]:
            if not inference_state.prompted_frames(obj_id):
                raise NotPromptedError(
                    f"Expected points, a box or a mask for object {obj_id!r}, but all were cleared. "
                    f"Prompt it again, or call remove_object."
                )

    def propagate_in_video(
        self,
        inference_state: InferenceState,
        start_frame_idx: int | None = None,
        max_frame_num_to_track: int | None = None,
        reverse: bool = False,
    ) -> Iterator[Output]:
        """Tracks all objects and yields every frame, the first one included.

        Args:
            inference_state: the video.
            start_frame_idx: where to start; the earliest prompted frame when omitted, `reverse` or not.
            max_frame_num_to_track: how many frames to go on after the first; to the video's end if omitted.
            reverse: track towards frame 0; from frame 0 itself nothing is yielded.

        Raises:
            NotPromptedError: see `propagate_in_video_preflight`; raised when the first frame is asked for.
            FrameIndexError: there is no such frame to start from.
        """
        state = inference_state
        self.propagate_in_video_preflight(state)
        start = start_frame_idx
        if start is None:
            start = min(frame for obj_id in state["obj_ids"] for frame in state.prompted_frames(obj_id))
        if reverse and start >= state["num_frames"]:
            raise FrameIndexError(
                f"Expected to start at a frame from 0 to {state['num_frames'] - 1}, but got {start}. "
                f"Leave start_frame_idx out, or choose a number in that range."
            )
        order = frame_order(start, max_frame_num_to_track, state["num_frames"], reverse=reverse)
        if not order:
            return
        for result in state.tracker.propagate(start, order.stop, reverse=reverse):
            yield result.index, state["obj_ids"], self._masks(state, result)

    def _joined(self, state: InferenceState, obj_id: Hashable, number: int, result: FrameResult) -> Output:
        state.join(obj_id, number)
        return result.index, state["obj_ids"], self._masks(state, result)

    def _known_masks(self, state: InferenceState, frame: int) -> Tensor:
        return self._masks(state, state.tracker.result(frame))

    def _masks(self, state: InferenceState, result: FrameResult) -> Tensor:
        """The logits of a frame's objects, one row per object id."""
        numbers = state.numbers.values()
        shape = (len(numbers), 1, state["video_height"], state["video_width"])
        masks = torch.full(shape, NO_OUTPUT, dtype=torch.float32)
        for row, number in enumerate(numbers):
            if number in result:
                masks[row, 0] = torch.from_numpy(result[number].logits)
        if self._non_overlap_masks:
            masks = kept_apart(masks)
        return masks.to(self.device)


def _points_and_box(points: Any, labels: Any, box: Any, scale: npt.NDArray[np.float32]) -> dict[str, Any]:
    """The arguments of `VideoTracker.prompt`, in pixels."""
    said: dict[str, Any] = {}
    if box is not None:
        said["box"] = tuple((_array(box).astype(np.float32).reshape(2, 2) * scale).ravel().tolist())
    if points is None:
        return said
    xy = _array(points).astype(np.float32).reshape(-1, 2) * scale
    marks = _array(labels).reshape(-1)
    if tuple(marks[:2]) == BOX_LABELS and box is None:
        said["box"] = tuple(xy[:2].ravel().tolist())
        xy, marks = xy[2:], marks[2:]
    if len(xy) or "box" not in said:
        said |= {"points": xy, "labels": marks}
    return said


def _array(value: Any) -> npt.NDArray[Any]:
    """A tensor on any device, a list or an array, as an array."""
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)


def _jpegs_alone(video: Source) -> Source:
    """A folder's JPEGs in the order of their numbers, as Meta's loader takes no other file of it."""
    if not isinstance(video, str | os.PathLike) or not Path(video).is_dir():
        return video
    found = [path for path in Path(video).iterdir() if path.suffix.lower() in JPEG_SUFFIXES]
    if not all(path.stem.isdecimal() for path in found):
        return video
    return sorted(found, key=lambda path: int(path.stem)) or video
