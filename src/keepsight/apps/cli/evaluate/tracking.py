"""One sequence through one session."""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from keepsight.evaluation import (
    BoxSequence,
    Found,
    MaskSequence,
    PackedMask,
    PromptKind,
    prompt_from_box,
    prompt_from_mask,
    without_overlap,
)
from keepsight.session import Session
from keepsight.types import ObjectResult, Prompt
from keepsight.video import open_source

__all__ = ["BOX_OBJECT", "Tracked", "track_sequence"]

BOX_OBJECT = 1
"""The number given to the one object of a sequence of boxes."""


class Tracked(NamedTuple):
    """What a session found.

    Attributes:
        found: per frame, by object id.
        seconds: spent in the session; decoding and scoring apart.
    """

    found: list[dict[int, Found]]
    seconds: float


def track_sequence(
    sequence: MaskSequence | BoxSequence,
    kind: PromptKind,
    open_session: Callable[[bool], Session],
    watch: Callable[[], None],
) -> Tracked:
    """Tracks all objects of a sequence together, from a prompt on the first frame.

    Args:
        sequence: frames and truth.
        kind: what of the truth is told.
        open_session: a new session; told whether results must carry logits, which overlaps are settled by.
        watch: called after each frame.

    Raises:
        SourceError: a frame cannot be read.
        AnnotationError: the truth of the first frame cannot be read.
        PromptError: a prompt does not fit.
    """
    prompts = _prompts(sequence, kind)
    session, with_masks = open_session(len(prompts) > 1), isinstance(sequence, MaskSequence)
    found: list[dict[int, Found]] = []
    seconds = 0.0
    with open_source(list(sequence.frames)) as source:
        for frame in source:
            begun = time.perf_counter()
            result = session.step(frame.image, prompts if frame.index == 0 else None)
            seconds += time.perf_counter() - begun
            found.append(_kept(result, with_masks))
            watch()
    seconds += _revise(found, session, with_masks)
    return Tracked([_settled(frame) for frame in found] if with_masks else found, seconds)


def _revise(found: list[dict[int, Found]], session: Session, with_masks: bool) -> float:
    """Puts in what a policy that weighs several hypotheses knows better in the end.

    Returns:
        The seconds that the session took for it.
    """
    begun, seconds = time.perf_counter(), 0.0
    revised = session.finish()
    for index in revised:
        objects = revised[index]  # rendered here
        seconds += time.perf_counter() - begun
        found[index] |= _kept(objects, with_masks)
        begun = time.perf_counter()
    return seconds


def _settled(frame: dict[int, Found]) -> dict[int, Found]:
    """A frame's masks without their overlaps, which hindsight may have changed."""
    results = {
        i: ObjectResult(one.mask.unpacked(), one.score, one.presence, True, one.mask.logits())
        for i, one in frame.items()
        if one.mask is not None
    }
    masks = without_overlap(results)
    return {i: frame[i]._replace(mask=PackedMask.of(mask)) for i, mask in masks.items()}


def _prompts(sequence: MaskSequence | BoxSequence, kind: PromptKind) -> dict[int, Prompt]:
    if isinstance(sequence, MaskSequence):
        return {i: prompt_from_mask(kind, mask) for i, mask in sequence.masks(0).items()}
    width, height = sequence.size
    return {BOX_OBJECT: prompt_from_box(kind, sequence.boxes[0], width, height)}


def _kept(objects: Mapping[int, ObjectResult], with_masks: bool) -> dict[int, Found]:
    """What scoring needs, in little memory."""
    return {
        i: Found(
            PackedMask.of(one.mask, one.logits) if with_masks else None,
            None if with_masks else one.box,
            one.score,
            one.presence,
        )
        for i, one in objects.items()
    }
