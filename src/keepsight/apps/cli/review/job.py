"""One run of `keepsight review`: check everything, track, and rank what was seen."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console

from keepsight.apps.cli.job import Engine, TrackJob, job_from, plan_from, span
from keepsight.apps.cli.options import TrackOptions
from keepsight.apps.cli.pipeline import begun, one_interrupt
from keepsight.apps.cli.prompts import PromptPlan, check_plan
from keepsight.apps.cli.review.options import ReviewOptions
from keepsight.errors import OutputError, UsageError
from keepsight.terminal import Display
from keepsight.types import BoolArray, FrameResult

if TYPE_CHECKING:
    from keepsight.evaluation import PackedMask
    from keepsight.review import ReviewQueue

__all__ = ["ReviewJob", "Reviewed", "review_from", "run_review"]


@dataclass(frozen=True)
class ReviewJob:
    """What to do, every choice made.

    Attributes:
        track: what to track, and how.
        plan: the prompts.
        both_ways: whether to track back as well.
    """

    track: TrackJob
    plan: PromptPlan
    both_ways: bool


class Reviewed(NamedTuple):
    """What a run found.

    Attributes:
        queue: that watched it.
        frames: tracked forward.
        interrupted: whether Ctrl-C ended it.
    """

    queue: "ReviewQueue"
    frames: int
    interrupted: bool


def review_from(options: ReviewOptions) -> ReviewJob:
    """Settles what was left open on the command line.

    Raises:
        UsageError: something missing or contradicting itself.
        AnnotationError: a file of prompts that cannot be understood.
        PromptError: a mask that cannot be used, or prompts that contradict each other.
        OutputError: the file for the ranking cannot be written.
    """
    if options.json is not None:
        _check_output(options.json)
    track = TrackOptions(
        source=options.source,
        box=options.box,
        point=options.point,
        mask=options.mask,
        prompts=options.prompts,
        frame=options.frame,
        model=options.model,
        model_config_yaml=options.config,
        policy=options.policy,
        start=options.start,
        stop=options.stop,
        device=options.device,
        dtype=options.dtype,
    )
    return ReviewJob(job_from(track), plan_from(track), options.both_ways)


def _check_output(path: Path) -> None:
    if not path.parent.is_dir():
        raise OutputError(f"--json {path}: the folder '{path.parent}' does not exist. Create it first.")
    if path.is_dir():
        raise OutputError(f"--json {path}: a folder stands where the file belongs. Choose another name.")


def run_review(job: ReviewJob, engine: Callable[[], Engine], console: Console) -> Reviewed:
    """Tracks and watches.

    Args:
        job: what to do.
        engine: asked only after everything has been checked that needs no model.
        console: where progress goes.

    Raises:
        KeepsightError: of the kind that fits.
    """
    from keepsight.review import ReviewQueue
    from keepsight.video import open_source

    track = job.track
    with open_source(track.source) as source:
        info = source.info
    if info.live:
        raise UsageError(
            f"Expected a video that has an end and can be gone back to, but {info.name} is live. Record it "
            f"first."
        )
    check_plan(job.plan, info.width, info.height, info.frame_count)
    total = span(track, job.plan, info.frame_count)
    seeing = engine()
    seeing.make_policy(track.policy)  # A wrong name is told before anything is loaded.
    model = seeing.load_model(track.model, config=track.config, device=track.device, dtype=track.dtype)
    results = seeing.track(
        track.source,
        job.plan.prompts,
        model=model,
        policy=track.policy,
        frames=slice(track.start, track.stop, 1),
    )
    queue, shelf, display = ReviewQueue(), _Shelf(), Display(console, total)
    for frame, number in job.plan.origins:
        queue.corrected(number, frame)
    interrupted = False
    with one_interrupt():
        try:
            with display, begun(results) as drawn:
                for result in drawn:
                    queue.observe(result)
                    if job.both_ways:
                        shelf.put(result)
                    display.watch(result)
            if shelf.frames:
                _compare(queue, shelf, track, model, console)
        except KeyboardInterrupt:
            interrupted = True
    return Reviewed(queue, display.frames, interrupted)


def _compare(queue: "ReviewQueue", shelf: "_Shelf", track: TrackJob, model: Any, console: Console) -> None:
    """Tracks back, and tells the queue how far the ways agree."""
    from keepsight.api import VideoTracker
    from keepsight.review import track_back

    with (
        VideoTracker(track.source, model=model, policy=track.policy, undo_depth=0) as tracker,
        Display(console, len(shelf.frames)) as display,
    ):
        agreements = track_back(
            tracker,
            shelf.get,
            queue.object_ids,
            first=min(shelf.frames),
            last=max(shelf.frames),
            watch=display.watch,
        )
    for object_id, values in agreements.items():
        queue.compared(object_id, values)


class _Shelf:
    """The masks of a whole clip in little memory."""

    def __init__(self) -> None:
        self._masks: dict[tuple[int, int], PackedMask] = {}
        self.frames: list[int] = []

    def put(self, result: FrameResult) -> None:
        from keepsight.evaluation import PackedMask

        self.frames.append(result.index)
        for object_id, found in result.items():
            self._masks[object_id, result.index] = PackedMask.of(found.mask)

    def get(self, object_id: int, frame: int) -> BoolArray | None:
        packed = self._masks.get((object_id, frame))
        return None if packed is None else packed.unpacked()
