"""Prompts for a session, each object's made and checked before any of them is given to it."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from keepsight.errors import PromptError

__all__ = [
    "announce",
    "frame_size",
    "joined",
    "listed_ids",
    "mask_inputs",
    "point_inputs",
    "require_points",
    "size_pair",
]

CORNER_LABELS = (2, 3)
NO_POINT = -1  # the label with which networks fill up
LABELS = frozenset({0, 1, *CORNER_LABELS})


def listed_ids(obj_ids: Any) -> list[Hashable]:
    """One id, or a list, tuple, array or tensor of them, as a list."""
    if isinstance(obj_ids, Tensor | np.ndarray):
        return list(obj_ids.reshape(-1).tolist())
    return list(obj_ids) if isinstance(obj_ids, list | tuple) else [obj_ids]


def size_pair(size: Any) -> tuple[int, int]:
    """(height, width) of a list, a tuple or a tensor.

    Raises:
        PromptError: it is not two lengths.
    """
    lengths = np.asarray(size).reshape(-1).tolist()
    if len(lengths) != 2 or not all(isinstance(n, int | float) and n > 0 for n in lengths):
        raise PromptError(
            f"Expected original_size to be the height and width of the video, but got {size!r}. "
            f"Write (height, width)."
        )
    return int(lengths[0]), int(lengths[1])


def frame_size(session: Any, original_size: Any) -> tuple[int, int]:
    """(height, width) of a session's frames: as given, else as the session knows it.

    Raises:
        PromptError: neither says it.
    """
    if original_size is not None:
        return size_pair(original_size)
    if session.video_height is None or session.video_width is None:
        raise PromptError(
            "Expected the size of the frames, but original_size must be provided when adding points "
            " or boxes on a first streamed frame. Write original_size=(height, width)."
        )
    return session.video_height, session.video_width


def point_inputs(
    points: Tensor | None, labels: Tensor | None, boxes: Tensor | None, obj_ids: Sequence[Any], pad: int
) -> list[dict[str, Tensor]]:
    """What a session keeps of each object's points and box on one frame.

    Args:
        points: (1, O, N, 2) in pixels of the model input, or None.
        labels: (1, O, N), or None; what has the label `pad` or -1 is no point and is left out, so that an
            object's answer does not depend on how many points others have.
        boxes: (1, O, 4), or None; their corners go before the points, with labels 2 and 3.
        obj_ids: the O objects.
        pad: label of padding.

    Returns:
        Per object "point_coords", (1, 1, N, 2) float32, and "point_labels", (1, 1, N).

    Raises:
        PromptError: there are not O objects of one image in each, a label is unknown, or a box is empty or
            inverted.
    """
    count = len(obj_ids)
    for name, given in (("points", points), ("labels", labels), ("boxes", boxes)):
        if given is not None and given.shape[:2] != (1, count):
            raise PromptError(
                f"Expected {name} of one image, for as many objects as there are object ids ({count}), but "
                f"got {given.shape[1]} in each of {given.shape[0]} image(s). Give each id one entry."
            )
    coordinates = torch.zeros(1, count, 0, 2) if points is None else points
    marks = torch.zeros(1, count, 0, dtype=torch.int32) if labels is None else labels
    if boxes is not None:
        coordinates = torch.cat([boxes.reshape(1, count, 2, 2), coordinates], dim=2)
        _require_boxes(boxes)
        corners = torch.tensor(CORNER_LABELS, dtype=torch.int32).repeat(1, count, 1)
        marks = torch.cat([corners, marks], dim=2)
    unknown = set(marks.flatten().tolist()) - LABELS - {NO_POINT, pad}
    if unknown:
        raise PromptError(
            f"Expected labels 1 (on the object), 0 (not the object), 2 and 3 (corners of a box), but got "
            f"{', '.join(map(str, sorted(unknown)))}. Change them."
        )
    return [_inputs_of(coordinates[:, row], marks[:, row], pad) for row in range(count)]


def _require_boxes(boxes: Tensor) -> None:
    if not (boxes[..., 2:] > boxes[..., :2]).all():
        raise PromptError(
            "Expected boxes with x1 < x2 and y1 < y2 (left, top, right, bottom), but got one that is empty "
            "or inverted. Swap its corners, or convert it from x, y, width, height."
        )


def _inputs_of(coordinates: Tensor, marks: Tensor, pad: int) -> dict[str, Tensor]:
    said = (marks[0] != pad) & (marks[0] != NO_POINT)
    return {"point_coords": coordinates[:, None, said], "point_labels": marks[:, None, said]}


def joined(session: Any, obj_id: Hashable, frame_idx: int, prompt: dict[str, Tensor]) -> dict[str, Tensor]:
    """A prompt behind what the session keeps of the same object on the same frame."""
    kept = None
    if obj_id in session.obj_ids:
        kept = session.point_inputs_per_obj[session.obj_id_to_idx(obj_id)].get(frame_idx)
    if kept is None:
        return prompt
    return {name: torch.cat([kept[name].to(given.device), given], dim=2) for name, given in prompt.items()}


def require_points(obj_ids: Iterable[Hashable], prompts: Iterable[dict[str, Tensor]]) -> None:
    """Checks that something is said of every object.

    Raises:
        PromptError: an object has neither a point nor a box.
    """
    for obj_id, prompt in zip(obj_ids, prompts, strict=True):
        if not prompt["point_labels"].numel():
            raise PromptError(
                f"Expected a point or a box for each object, but object {obj_id!r} got none. Leave its "
                f"id out."
            )


def mask_inputs(
    masks: Any, obj_ids: Sequence[Hashable], target: int, device: torch.device | str
) -> list[Tensor]:
    """Masks of the model input's size, one per object: (1, 1, S, S) float32, 0 and 1.

    Args:
        masks: one mask, or a list of one per object.
        obj_ids: the objects.
        target: S.
        device: where the result lives.

    Raises:
        PromptError: there is not one mask per object, or one has other dimensions than (H, W).
    """
    given = masks if isinstance(masks, list | tuple) else [masks]
    if len(given) != len(obj_ids):
        raise PromptError(
            f"Expected one mask per object id ({len(obj_ids)}), but got {len(given)}. "
            f"Give a list with a mask for each id."
        )
    return [_square(mask, target, device) for mask in given]


def _square(mask: Any, target: int, device: torch.device | str) -> Tensor:
    values = mask if isinstance(mask, Tensor) else torch.from_numpy(np.asarray(mask).astype(np.bool_))
    if not 2 <= values.dim() <= 4 or values.shape[:-2].numel() != 1:
        raise PromptError(
            f"Expected a mask of shape (H, W), or with dimensions of length 1 before it, four at most, but "
            f"got {tuple(values.shape)}. Give each object its own mask."
        )
    plane = values.reshape(1, 1, *values.shape[-2:]).to(device).float()
    if plane.shape[-2:] != (target, target):
        plane = F.interpolate(plane, (target, target), mode="bilinear", align_corners=False, antialias=True)
    return (plane >= 0.5).float()


def announce(session: Any, obj_ids: Iterable[Hashable]) -> None:
    """Adds objects to those of which something new was said."""
    session.obj_with_new_inputs = list(dict.fromkeys([*session.obj_with_new_inputs, *obj_ids]))
