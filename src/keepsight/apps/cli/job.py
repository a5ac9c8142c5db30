"""One run of `keepsight track`: check everything, then track and write."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rich.console import Console

from keepsight.apps.cli.annotations import read_annotation
from keepsight.apps.cli.detecting import Detecting, Prompter, detecting_from, load_prompter
from keepsight.apps.cli.options import MaskFormat, TrackOptions
from keepsight.apps.cli.pipeline import begun, one_interrupt, write_behind
from keepsight.apps.cli.prompts import Entry, PromptPlan, check_plan, make_plan, mask_entries, typed_entries
from keepsight.errors import FrameIndexError, UsageError
from keepsight.terminal import Display
from keepsight.types import FrameResult

if TYPE_CHECKING:
    from keepsight.export import ResultWriter

__all__ = ["Engine", "Summary", "TrackJob", "default_engine", "job_from", "plan_from", "run_job"]

MASKS: dict[MaskFormat, Literal["png", "coco", "none"]] = {
    MaskFormat.png: "png",
    MaskFormat.coco: "coco",
    MaskFormat.none: "none",
}


@dataclass(frozen=True)
class TrackJob:
    """What to do, every choice made."""

    source: str
    output_dir: Path
    model: str = "pocket"
    config: str | None = None
    policy: str = "sam2"
    start: int | None = None
    stop: int | None = None
    reverse: bool = False
    device: str = "auto"
    dtype: str = "auto"
    mask_threshold: float = 0.0
    masks: Literal["png", "coco", "none"] = "png"
    frames: bool = False
    video: bool = True
    rate: Fraction | None = None
    overwrite: bool = False
    detecting: Detecting | None = None


class Engine(NamedTuple):
    """The part of keepsight that sees: handed in, so that tests can bring their own.

    Attributes:
        make_policy: `keepsight.memory.make_policy`.
        load_model: `keepsight.load_model`.
        track: `keepsight.track`.
        load_prompter: `keepsight.apps.cli.detecting.load_prompter`.
    """

    make_policy: Callable[[str], Any]
    load_model: Callable[..., Any]
    track: Callable[..., Iterator[FrameResult]]
    load_prompter: Callable[[Detecting, str, dict[int, str], Collection[int]], Prompter] = load_prompter


class Summary(NamedTuple):
    """What a run did.

    Attributes:
        frames: tracked and written.
        seconds: it took, loading apart.
        seen: per object id, on how many frames it was visible.
        interrupted: whether Ctrl-C ended it.
    """

    frames: int
    seconds: float
    seen: Mapping[int, int]
    interrupted: bool


def default_engine() -> Engine:
    """Keepsight's own engine; asking for it loads PyTorch."""
    from keepsight.api import load_model, track
    from keepsight.memory import make_policy

    return Engine(make_policy, load_model, track)


def job_from(options: TrackOptions) -> TrackJob:
    """Settles what was left open on the command line.

    Raises:
        UsageError: something missing, said twice or contradicting itself.
    """
    script = options.image_dir is not None
    source = _one("the source", SOURCE=options.source, image_dir=options.image_dir)
    if source is None:
        raise UsageError("Expected something to track: a video, an image folder, a camera number or a URL.")
    model = _one("the model", model=options.model, local_checkpoint_path=options.local_checkpoint_path)
    if options.make_video and options.video is False:
        raise UsageError("--make-video and --no-video contradict each other; leave one out.")
    if options.no_save_annotated_frames and options.frames:
        raise UsageError("--frames and --no-save-annotated-frames contradict each other; leave one out.")
    _check_span(options)
    return TrackJob(
        source=source,
        output_dir=options.output_dir or Path("sam2_output" if script else "keepsight_output"),
        model=model or "pocket",
        config=options.model_config_yaml,
        policy=options.policy,
        start=options.start,
        stop=options.stop,
        reverse=options.reverse,
        device=options.device,
        dtype=options.dtype,
        mask_threshold=options.mask_threshold,
        masks=MASKS[options.masks or (MaskFormat.none if script else MaskFormat.png)],
        frames=_either(options.frames, script and not options.no_save_annotated_frames),
        video=_either(options.video, options.make_video or not script),
        rate=_rate(options.video_fps, script),
        overwrite=options.overwrite,
        detecting=detecting_from(options),
    )


def _one(what: str, **named: str | None) -> str | None:
    given = {name: value for name, value in named.items() if value is not None}
    if len(given) > 1:
        raise UsageError(f"{what.capitalize()} is given twice ({', '.join(given)}); leave one out.")
    return next(iter(given.values()), None)


def _either(said: bool | None, otherwise: bool) -> bool:
    return otherwise if said is None else said


def _rate(said: float | None, script: bool) -> Fraction | None:
    if said is None:
        return Fraction(10) if script else None
    if not 0 < said <= 1000:
        raise UsageError(f"--video-fps: expected frames per second above 0 and up to 1000, but got {said:g}.")
    return Fraction(said).limit_denominator(1001)


def _check_span(options: TrackOptions) -> None:
    start, stop = options.start, options.stop
    if start is None or stop is None:
        return
    if (stop >= start) if options.reverse else (stop <= start):
        side = "below" if options.reverse else "above"
        raise UsageError(
            f"--stop {stop}: expected a frame {side} --start {start}, as it is not tracked itself."
        )


def plan_from(options: TrackOptions) -> PromptPlan:
    """Everything the command line says about the objects.

    Raises:
        UsageError: nothing said, or a `--box` or `--point` of another form.
        AnnotationError: an annotation file that cannot be understood.
        PromptError: a mask that cannot be used, or prompts that contradict each other.
    """
    entries: list[Entry] = []
    for path in options.mask or []:
        entries += mask_entries(path, options.frame, f"--mask {path}")
    for file in (options.prompts, options.json_annotation):
        entries += [] if file is None else read_annotation(file, options.frame)
    entries += typed_entries(options.box or [], options.point or [], options.frame)
    if not entries and options.detect is not None:
        return PromptPlan()
    if not entries:
        raise UsageError(
            "Expected to be told what to track, but got no --box, --point, --mask, --prompts or --detect. "
            "For example: --box 10,20,200,300"
        )
    return make_plan(entries)


def run_job(job: TrackJob, plan: PromptPlan, engine: Callable[[], Engine], console: Console) -> Summary:
    """Checks, tracks, writes.

    Args:
        job: what to do.
        plan: the prompts.
        engine: asked only after everything has been checked that needs no model.
        console: where progress goes.

    Raises:
        KeepsightError: of the kind that fits; before any file is touched where it can be known.
    """
    from keepsight.export import OutputFolder, open_writers
    from keepsight.video import open_source

    place = _place(job.source)
    with open_source(place) as source:
        info = source.info
    check_plan(plan, info.width, info.height, info.frame_count)
    total = span(job, plan, info.frame_count)
    folder = OutputFolder(job.output_dir, job.overwrite)
    seeing = engine()
    seeing.make_policy(job.policy)  # A wrong name is told before anything is loaded.
    prompter = None
    if job.detecting is not None:
        # The table of names is shared: writers see the names of objects that are found while tracking.
        prompter = seeing.load_prompter(job.detecting, job.device, plan.names, plan.ids)
    model = seeing.load_model(job.model, config=job.config, device=job.device, dtype=job.dtype)
    results = seeing.track(
        place,
        plan.prompts,
        model=model,
        policy=job.policy,
        frames=slice(job.start, job.stop, -1 if job.reverse else 1),
        mask_threshold=job.mask_threshold,
        prompter=prompter,
    )
    writers = partial(
        open_writers,
        folder,
        masks=job.masks,
        frames=job.frames,
        video=job.video,
        rate=job.rate,
        names=plan.names,
        file_name=info.file_names.__getitem__ if info.file_names else None,
    )
    return _drive(results, writers, Display(console, total))


def _drive(
    results: Iterator[FrameResult], writers: "Callable[[], ResultWriter]", display: Display
) -> Summary:
    interrupted = False
    with one_interrupt(), display:
        try:
            with begun(results) as drawn, writers() as writer:
                write_behind(drawn, writer.write, display.watch)
        except KeyboardInterrupt:
            interrupted = True
    return Summary(display.frames, display.elapsed, display.seen, interrupted)


def _place(source: str) -> str | int:
    """A camera's number as a number, unless a file is called so."""
    return int(source) if source.isdecimal() and not Path(source).exists() else source


def span(job: TrackJob, plan: PromptPlan, frame_count: int | None) -> int | None:
    """How many frames a run will give, or None where nobody knows.

    Raises:
        FrameIndexError: `start` lies outside the video.
        UsageError: no frame is left between start and stop.
    """
    first = job.start
    if first is None and plan.prompts:
        first = max(plan.prompts) if job.reverse else min(plan.prompts)
    elif first is None:
        first = (frame_count or 1) - 1 if job.reverse else 0
    if frame_count is not None and first >= frame_count:
        raise FrameIndexError(f"--start {first}: the video has the frames 0 to {frame_count - 1}.")
    if job.reverse:
        last = -1 if job.stop is None else job.stop
    elif frame_count is None:
        return None if job.stop is None else job.stop - first
    else:
        last = frame_count if job.stop is None else min(job.stop, frame_count)
    count = first - last if job.reverse else last - first
    if count <= 0:
        raise UsageError(
            f"Nothing to track from frame {first} {'back ' if job.reverse else ''}to {last}: choose another "
            f"--start, --stop or --frame."
        )
    return count
