"""The inference session that programs carry from call to call."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from keepsight.compat.sam3_tracker_video.clip import Clip, Video
from keepsight.compat.sam3_tracker_video.courses import Course, Policy, Recorded, Said, Streamed
from keepsight.compat.sam3_tracker_video.errors import InternalAttributeError
from keepsight.errors import PromptError, UsageError
from keepsight.nn.io import VideoNetwork
from keepsight.session.state import Answer
from keepsight.types import Box, Mask, Points

__all__ = ["Sam2VideoInferenceSession", "Sam3TrackerVideoInferenceSession"]

PADDING = -10  # the label of what only fills a list
CORNERS = (2, 3)  # the labels of a box's corners
INTERNAL = ("cache", "output_dict_per_obj", "frames_tracked_per_obj")


class Sam3TrackerVideoInferenceSession:
    """One video or stream and what was said of it, method for method transformers'.

    It holds the video it was given, inputs, and of its objects what `VideoTracker` or `Session` keep; nothing
    grows with the number of frames but what `add_new_frame` is given to keep.

    Args:
        video: (T, 3, S, S) prepared frames, or anything with a length that gives a (3, S, S) frame by number;
            None for a stream.
        video_height: of the video, in pixels.
        video_width: likewise.
        inference_device: where `get_frame` gives frames.
        inference_state_device: accepted; memory is bounded and stays with the model.
        video_storage_device: where frames that are handed in are kept.
        dtype: of frames.
        max_vision_features_cache_size: accepted; the features of the latest frame are kept.
    """

    def __init__(
        self,
        video: Video | None = None,
        video_height: int | None = None,
        video_width: int | None = None,
        inference_device: torch.device | str = "cpu",
        inference_state_device: torch.device | str = "cpu",
        video_storage_device: torch.device | str = "cpu",
        dtype: torch.dtype | str = "float32",
        max_vision_features_cache_size: int = 1,
    ) -> None:
        self.dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
        self.video_height, self.video_width = video_height, video_width
        self.inference_device = inference_device
        self.inference_state_device = inference_state_device
        self.video_storage_device = video_storage_device
        self.max_vision_features_cache_size = max_vision_features_cache_size
        self._clip = Clip(video, video_storage_device, self.dtype)
        self._streamed = 0  # frames that came by without being kept
        self._course: Course | None = None
        self._forget()

    def __getattr__(self, name: str) -> Any:
        if name in INTERNAL:
            raise InternalAttributeError(
                f"{name} is a part of transformers' session that keepsight does not have: memory is held by "
                f"keepsight.Session, in bounded size. Use get_output, and point_inputs_per_obj for inputs."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def obj_ids(self) -> list[Any]:
        """The objects, in the order in which they joined."""
        return list(self._numbers)

    @property
    def num_frames(self) -> int | None:
        """How many frames are held or came by; None before the first."""
        return (len(self._clip) + self._streamed) or None

    @property
    def processed_frames(self) -> Clip | None:
        """The frames that are held, by number; None where there are none."""
        return self._clip if len(self._clip) else None

    def obj_id_to_idx(self, obj_id: Hashable) -> int:
        """The place of an object; one that is new joins behind the others."""
        if obj_id not in self._numbers:
            number = len(self._numbers)
            self._numbers[obj_id] = number
            self.point_inputs_per_obj[number] = {}
            self.mask_inputs_per_obj[number] = {}
        return self._numbers[obj_id]

    def obj_idx_to_id(self, obj_idx: int) -> Any:
        """The id of the object in a place.

        Raises:
            KeyError: there is none.
        """
        return dict(enumerate(self._numbers))[obj_idx]

    def get_obj_num(self) -> int:
        """How many objects there are."""
        return len(self._numbers)

    def add_point_inputs(self, obj_idx: int, frame_idx: int, inputs: Mapping[str, Any]) -> None:
        """Says by points which object is meant; answered when the model is next run on the frame.

        Args:
            obj_idx: the object's place.
            frame_idx: the frame.
            inputs: "point_coords", (1, 1, N, 2) in pixels of the model's input, and "point_labels",
                (1, 1, N): 1 on the object, 0 not, 2 and 3 the corners of a box, -10 nothing.
        """
        self.point_inputs_per_obj[obj_idx][frame_idx] = dict(inputs)
        self._pending.add((obj_idx, frame_idx))

    def remove_point_inputs(self, obj_idx: int, frame_idx: int) -> None:
        """Takes back points that were not answered yet; answers stand."""
        taken = self.point_inputs_per_obj[obj_idx].pop(frame_idx, None)
        if taken is not None and frame_idx not in self.mask_inputs_per_obj[obj_idx]:
            self._settle(obj_idx, frame_idx)

    def add_mask_inputs(self, obj_idx: int, frame_idx: int, inputs: Tensor) -> None:
        """Says by a mask, (1, 1, S, S), which object is meant; answered when the model is next run there."""
        self.mask_inputs_per_obj[obj_idx][frame_idx] = inputs
        self._pending.add((obj_idx, frame_idx))

    def remove_mask_inputs(self, obj_idx: int, frame_idx: int) -> None:
        """Takes back a mask that was not answered yet; answers stand."""
        taken = self.mask_inputs_per_obj[obj_idx].pop(frame_idx, None)
        if taken is not None and frame_idx not in self.point_inputs_per_obj[obj_idx]:
            self._settle(obj_idx, frame_idx)

    def add_new_frame(self, pixel_values: Tensor, frame_idx: int | None = None) -> int:
        """Keeps a frame, (3, S, S) or (1, 3, S, S), and returns its number, the next one unless given."""
        number = (self.num_frames or 0) if frame_idx is None else frame_idx
        self._clip.add(pixel_values.reshape(pixel_values.shape[-3:]), number)
        return number

    def get_frame(self, frame_idx: int) -> Tensor:
        """A frame, (3, S, S), on the inference device.

        Raises:
            MissingFrameError: it is not held (also a KeyError).
        """
        return self._clip[frame_idx].to(self.inference_device)

    def store_output(
        self,
        obj_idx: int,
        frame_idx: int,
        output_key: str | None = None,
        output_value: Any = None,
        is_conditioning_frame: bool = True,
    ) -> None:
        """Notes a value, or a dictionary of them, for `get_output`; tracking does not read it."""
        place = (obj_idx, frame_idx, is_conditioning_frame)
        values = output_value if output_key is None else {output_key: output_value}
        self._stored.setdefault(place, {}).update(values)

    def get_output(
        self, obj_idx: int, frame_idx: int, output_key: str, is_conditioning_frame: bool = True
    ) -> Any:
        """What `store_output` noted, else what was found: "pred_masks" or "object_score_logits".

        Returns:
            None where the object has no answer on the frame, or where the frame is of the other kind.

        Raises:
            KeyError: there is no such value.
        """
        stored = self._stored.get((obj_idx, frame_idx, is_conditioning_frame))
        if stored is not None and output_key in stored:
            return stored[output_key]
        if self._is_conditioning(obj_idx, frame_idx) != is_conditioning_frame or self._course is None:
            return None
        answer = self._course.answers(frame_idx).get(obj_idx)
        if answer is None:
            return None
        found = {"pred_masks": answer.logits[None], "object_score_logits": presence_of(answer)[None]}
        return found[output_key]

    def reset_tracking_data(self) -> None:
        """Forgets objects, inputs and all that was tracked; frames stay."""
        self._forget()

    def reset_inference_session(self) -> None:
        """Forgets objects, inputs and all that was tracked; frames stay."""
        self._forget()

    def follow(
        self, network: VideoNetwork, policy: Policy, frame_idx: int, *, reverse: bool
    ) -> Mapping[int, Answer]:
        """Answers what was said of a held frame and finds all other objects on it; see `Model.forward`."""
        if self._course is None:
            if frame_idx not in self._clip:
                self._clip.read(frame_idx)  # which says why
            self._course = Recorded(network, policy, self._clip)
        return self._look(self._course, frame_idx, reverse=reverse)

    def follow_stream(
        self, network: VideoNetwork, policy: Policy, frame: Tensor, frame_idx: int | None, *, reverse: bool
    ) -> tuple[int, Mapping[int, Answer]]:
        """Takes a frame, keeps it only where the session holds frames, and finds all objects on it."""
        pixels = frame.reshape(frame.shape[-3:]).to(self.dtype)
        if len(self._clip):
            number = self.add_new_frame(pixels, frame_idx)
            return number, self.follow(network, policy, number, reverse=reverse)
        number = self._streamed if frame_idx is None else frame_idx
        course = self._course
        if not isinstance(course, Streamed):
            course = self._course = Streamed(network, policy, reverse=reverse)
        course.receive(number, pixels)
        found = self._look(course, number, reverse=reverse)
        self._streamed = max(self._streamed, number + 1)
        return number, found

    def conditioning_frames(self) -> list[int]:
        """The frames whose inputs were answered, ascending."""
        return sorted({frame for _, frame in self._answered})

    def _look(self, course: Course, frame: int, *, reverse: bool) -> Mapping[int, Answer]:
        fresh = {number for number, at in self._pending if at == frame}
        for obj_id, number in self._numbers.items():
            if number not in fresh and number not in course.known:
                raise UsageError(
                    f"Expected every object to have been prompted and answered before it is tracked, but "
                    f"object {obj_id!r} was not. Add its inputs, and run the model on their frame first."
                )
        said = {number: self._said(number, frame) for number in sorted(fresh)}
        found = course.look(frame, said, reverse=reverse)
        for number in fresh:
            self._settle(number, frame)
            self._answered.add((number, frame))
        return found

    def _said(self, number: int, frame: int) -> Said:
        mask = self.mask_inputs_per_obj[number].get(frame)
        if mask is not None and frame in self.point_inputs_per_obj[number]:
            raise PromptError(
                f"Expected points or a mask for an object on frame {frame}, but got both. Take one back."
            )
        if mask is not None:
            return {"mask": Mask(mask.reshape(mask.shape[-2:]).float().cpu().numpy() > 0)}
        inputs = self.point_inputs_per_obj[number][frame]
        xy = inputs["point_coords"].reshape(-1, 2).float().cpu().numpy()
        labels = inputs["point_labels"].reshape(-1).cpu().numpy()
        xy, labels = xy[labels != PADDING], labels[labels != PADDING]
        said: dict[str, Any] = {}
        if np.isin(labels, CORNERS).any():
            if tuple(labels[:2]) != CORNERS:
                raise PromptError(
                    f"Expected a box as its two corners, labels 2 and 3, before all points, but got labels "
                    f"{labels.tolist()}. Use input_boxes."
                )
            said["box"] = Box(*map(float, xy[:2].ravel()))
            xy, labels = xy[2:], labels[2:]
        if len(xy):
            said["points"] = Points(xy, labels)
        return said

    def _is_conditioning(self, number: int, frame: int) -> bool:
        return (number, frame) in self._answered

    def _settle(self, number: int, frame: int) -> None:
        """Nothing of the object waits for an answer on the frame any more."""
        self._pending.discard((number, frame))
        obj_id = self.obj_idx_to_id(number)
        if obj_id in self.obj_with_new_inputs and all(n != number for n, _ in self._pending):
            self.obj_with_new_inputs.remove(obj_id)

    def _forget(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self.point_inputs_per_obj: dict[int, dict[int, dict[str, Any]]] = {}
        self.mask_inputs_per_obj: dict[int, dict[int, Tensor]] = {}
        self.obj_with_new_inputs: list[Any] = []
        self._pending: set[tuple[int, int]] = set()
        self._answered: set[tuple[int, int]] = set()
        self._stored: dict[tuple[int, int, bool], dict[str, Any]] = {}
        self._course = None


class Sam2VideoInferenceSession(Sam3TrackerVideoInferenceSession):
    """The same under SAM 2's name."""


def presence_of(answer: Answer) -> Tensor:
    """An answer's presence logit, (1,), on the device of its mask."""
    return torch.tensor([answer.presence], device=answer.logits.device)
