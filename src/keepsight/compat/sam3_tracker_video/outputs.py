"""What the model answers."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

__all__ = ["Sam2VideoSegmentationOutput", "Sam3TrackerVideoSegmentationOutput"]


@dataclass(frozen=True, eq=False)
class Sam3TrackerVideoSegmentationOutput:
    """The objects of one frame, read by attribute, by name or by place, as transformers' outputs are.

    Attributes:
        object_ids: the objects, in the order of the rows.
        pred_masks: (N, 1, 4h, 4w) float32 mask logits at the network's resolution, on the model's device;
            -1024 where an object is absent. `post_process_masks` brings them to the video's size.
        object_score_logits: (N, 1) float32, above 0 where the object is present.
        frame_idx: the frame's number.
    """

    object_ids: list[Any]
    pred_masks: Tensor
    object_score_logits: Tensor
    frame_idx: int

    def keys(self) -> list[str]:
        """The names of what there is."""
        return [field.name for field in fields(self)]

    def to_tuple(self) -> tuple[Any, ...]:
        """All of it in order."""
        return tuple(getattr(self, name) for name in self.keys())

    def __getitem__(self, key: str | int | slice) -> Any:
        if isinstance(key, str):
            if key not in self.keys():
                raise KeyError(key)
            return getattr(self, key)
        return self.to_tuple()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())


class Sam2VideoSegmentationOutput(Sam3TrackerVideoSegmentationOutput):
    """The same under SAM 2's name."""
