"""The inference state that Meta's scripts carry from call to call."""

from collections.abc import Hashable
from itertools import count
from typing import Any

import torch

from keepsight.api import VideoTracker
from keepsight.compat.sam2.errors import StateKeyError
from keepsight.errors import UnknownObjectError

__all__ = ["InferenceState"]


class InferenceState(dict[str, Any]):
    """One video and what was said of it; read like Meta's dictionary.

    Its entries: `num_frames`, `video_height`, `video_width`, `obj_ids` (list, in the order of joining),
    `obj_id_to_idx`, `obj_idx_to_id`, `device`, `storage_device`, `offload_video_to_cpu` and
    `offload_state_to_cpu`. They are for reading; tracking does not look at them.

    Args:
        tracker: the video.
        device: where masks are returned.
        offload_video_to_cpu: kept for reading.
        offload_state_to_cpu: kept for reading.
    """

    def __init__(
        self,
        tracker: VideoTracker,
        device: torch.device,
        *,
        offload_video_to_cpu: bool,
        offload_state_to_cpu: bool,
    ) -> None:
        super().__init__(
            num_frames=tracker.frame_count,
            video_height=tracker.info.height,
            video_width=tracker.info.width,
            device=device,
            storage_device=torch.device("cpu") if offload_state_to_cpu else device,
            offload_video_to_cpu=offload_video_to_cpu,
            offload_state_to_cpu=offload_state_to_cpu,
        )
        self.tracker = tracker
        self._numbers: dict[Hashable, int] = {}
        self._fresh = count()
        self._publish()

    def __missing__(self, key: str) -> Any:
        raise StateKeyError(
            f"Expected an entry of the inference state that keepsight has, one of {', '.join(sorted(self))}, "
            f"but got {key!r}. Frames and memory are held by keepsight.VideoTracker, in bounded size."
        )

    @property
    def numbers(self) -> dict[Hashable, int]:
        """The tracker's own number of every object id, in the order of joining."""
        return dict(self._numbers)

    def number(self, obj_id: Hashable) -> int:
        """The tracker's number of an object; the next free one if it is new.

        A new object joins with `join`, once its first prompt has been accepted.
        """
        return self._numbers[obj_id] if obj_id in self._numbers else next(self._fresh)

    def known(self, obj_id: Hashable) -> int:
        """The tracker's number of an object.

        Raises:
            UnknownObjectError: there is no such object.
        """
        if obj_id not in self._numbers:
            raise UnknownObjectError(
                f"Expected the id of a prompted object, one of {list(self._numbers)}, but got {obj_id!r}."
            )
        return self._numbers[obj_id]

    def prompted_frames(self, obj_id: Hashable) -> tuple[int, ...]:
        """The frames on which something was said of an object, ascending; none once all was cleared."""
        number = self.known(obj_id)
        return self.tracker.prompted_frames(number) if number in self.tracker.object_ids else ()

    def join(self, obj_id: Hashable, number: int) -> None:
        """Adds an object behind the others, unless it is there."""
        self._numbers.setdefault(obj_id, number)
        self._publish()

    def leave(self, obj_id: Hashable) -> None:
        """Takes an object out; those behind it move up."""
        del self._numbers[obj_id]
        self._publish()

    def clear_objects(self) -> None:
        """Takes all objects out."""
        self._numbers.clear()
        self._publish()

    def _publish(self) -> None:
        self["obj_ids"] = list(self._numbers)
        self["obj_id_to_idx"] = {obj_id: row for row, obj_id in enumerate(self._numbers)}
        self["obj_idx_to_id"] = dict(enumerate(self._numbers))
