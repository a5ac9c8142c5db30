"""Tracking a whole video in one call."""

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from keepsight.api.models import ModelLike, loaded
from keepsight.errors import FrameIndexError, PromptError, UsageError
from keepsight.memory import make_policy
from keepsight.memory.policy import MemoryPolicy
from keepsight.session import Session
from keepsight.session.clicks import Clicks
from keepsight.types import Frame, FrameResult, Prompt
from keepsight.video import FrameSource, Source, open_source

__all__ = ["Prompter", "Prompts", "track"]

Prompts = Mapping[int, Prompt] | Mapping[int, Mapping[int, Prompt]]
"""By object id, for the first frame; or by frame number, then object id."""

Prompter = Callable[[FrameResult], Mapping[int, Prompt]]
"""Looks at a frame and at what was found on it, and says what more to track, by object id."""

EVERY_FRAME = slice(None)


class _Part(NamedTuple):
    """The frames to visit: from `start` up to, or if `reverse` down to, but without `stop`."""

    start: int | None
    stop: int | None
    reverse: bool

    @classmethod
    def of(cls, frames: slice) -> "_Part":
        if frames.step not in (None, 1, -1) or min(frames.start or 0, frames.stop or 0) < 0:
            raise UsageError(
                f"Expected frames as slice(start, stop) or slice(start, stop, -1) with frame numbers from "
                f"0, but got {frames}. Every frame between is tracked, so steps other than 1 and -1 have "
                f"no meaning."
            )
        return cls(frames.start, frames.stop, frames.step == -1)

    def starting(self, prompted: Collection[int], frame_count: int | None) -> "_Part":
        """With a start: the given one, the first prompted frame on the way, or the first frame on the way."""
        if self.start is not None:
            return self
        if not prompted:
            return self._replace(start=_last(frame_count) if self.reverse else 0)
        return self._replace(start=max(prompted) if self.reverse else min(prompted))

    def visits(self, frame: int) -> bool:
        sign = -1 if self.reverse else 1
        past_start = self.start is None or frame * sign >= self.start * sign
        return past_start and (self.stop is None or frame * sign < self.stop * sign)

    def frames_of(self, source: FrameSource) -> Iterator[Frame]:
        if source.info.live:
            return islice(iter(source), self.start or 0, self.stop)
        if self.reverse:
            return source.frames(
                0 if self.stop is None else self.stop + 1, (self.start or 0) + 1, reverse=True
            )
        return source.frames(self.start or 0, self.stop)


def track(
    source: Source,
    prompts: Prompts,
    *,
    prompter: Prompter | None = None,
    model: ModelLike = "pocket",
    policy: str | MemoryPolicy[Any] = "sam2",
    frames: slice = EVERY_FRAME,
    keep_logits: bool = False,
    mask_threshold: float = 0.0,
) -> Iterator[FrameResult]:
    """Tracks objects through a video, folder of images, camera or stream; one result per frame.

    This is `Session.step` over the source's frames, so a file gives what the same frames give live.
    Everything that can be checked is checked by this call, before the first result is asked for.

    Args:
        source: see `keepsight.video.open_source`.
        prompts: by object id for the first frame tracked, or by frame number and object id.
        prompter: asked on every frame, after it has been tracked, what more there is to track; an id that is
            new starts a new object on that frame, any other is a correction. With it, prompts may be empty;
            tracking then begins at the video's first frame (backward: at its last).
        model: a catalogue name, repository id, path, or a model already loaded.
        policy: name of a memory policy, or a policy object.
        frames: the part to track, as Python slices: `slice(10, 50)` is frames 10 to 49, `slice(50, 10, -1)`
            frames 50 to 11 backward, `slice(50, None, -1)` frames 50 to 0. Without a start, tracking begins
            at the earliest prompted frame (backward: the latest).
        keep_logits: whether results carry `.logits`.
        mask_threshold: mask logit above which a pixel belongs to the object.

    Raises:
        SourceError: the source cannot be read.
        FrameIndexError: a prompt or the start lies outside the video.
        PromptError: there is no prompt, or one does not fit the frame or lies outside `frames`.
        WeightsError, PolicyError, UsageError: as `load_model` and `Session`.
    """
    make_policy(policy)  # A wrong name is told before anything is opened or loaded.
    opened = open_source(source)
    try:
        part = _Part.of(frames)
        by_frame = _by_frame(prompts, part) if prompts or prompter is None else {}
        part = part.starting(by_frame, opened.info.frame_count)
        _check(by_frame, opened, part)
        session = Session(
            loaded(model),
            policy,
            start=part.start or 0,
            reverse=part.reverse,
            keep_logits=keep_logits,
            mask_threshold=mask_threshold,
        )
    except BaseException:
        opened.close()
        raise
    return _results(opened, session, by_frame, part, prompter)


def _results(
    source: FrameSource,
    session: Session,
    prompts: Mapping[int, Mapping[int, Prompt]],
    part: _Part,
    prompter: Prompter | None,
) -> Iterator[FrameResult]:
    with source:
        for frame in part.frames_of(source):
            result = session.step(frame, prompts.get(frame.index))
            more = prompter(result) if prompter is not None else None
            yield session.prompt(more) if more else result


def _last(frame_count: int | None) -> int:
    if frame_count is None:
        raise UsageError(
            "Expected to know where to begin backward, but this video does not say how many frames it has. "
            "Give the start of the slice, as in slice(50, None, -1)."
        )
    return frame_count - 1


def _by_frame(prompts: Prompts, part: _Part) -> dict[int, dict[int, Prompt]]:
    if not prompts:
        raise PromptError(
            "Expected at least one prompt, but got none. "
            "Say which object is meant, for example {1: Box(10, 20, 200, 300)}."
        )
    nested = [isinstance(value, Mapping) for value in prompts.values()]
    if all(nested):
        return {frame: dict(said) for frame, said in prompts.items() if isinstance(said, Mapping)}
    if any(nested):
        raise PromptError(
            "Expected prompts either by object id or by frame number and object id, but got both mixed. "
            "Write {frame: {object_id: prompt}} for all of them."
        )
    if part.start is None and part.reverse:
        raise PromptError(
            "Expected to know which frame the prompts are for, since tracking backward does not begin at "
            "frame 0. Give the start of the slice, or write {frame: {object_id: prompt}}."
        )
    plain: dict[int, Prompt] = {i: p for i, p in prompts.items() if not isinstance(p, Mapping)}
    return {part.start or 0: plain}


def _check(prompts: Mapping[int, Mapping[int, Prompt]], source: FrameSource, part: _Part) -> None:
    """Finds every prompt that does not fit before a frame is decoded."""
    info = source.info
    for frame, said in prompts.items():
        if frame < 0 or (info.frame_count is not None and frame >= info.frame_count):
            raise FrameIndexError(
                f"Expected prompts on frames 0 to {(info.frame_count or 1) - 1} of {info.name}, "
                f"but got one on frame {frame}."
            )
        if not part.visits(frame):
            raise PromptError(
                f"Expected prompts on frames that tracking visits, but frame {frame} lies outside "
                f"slice({part.start}, {part.stop}, {-1 if part.reverse else 1}). Change the slice."
            )
        for prompt in said.values():
            Clicks.of(prompt, (info.height, info.width))
