"""One run of `keepsight cvat track`: check everything, track, and only then write."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import NamedTuple, Protocol

from rich.console import Console

from keepsight.api import load_model
from keepsight.apps.cvat.job.course import Course, lay_out, span_of
from keepsight.apps.cvat.job.files import FileJob, Files
from keepsight.apps.cvat.job.frames import JobFrames
from keepsight.apps.cvat.job.labeled import Job
from keepsight.apps.cvat.job.merging import Changes, changes_of, check_attributes
from keepsight.apps.cvat.job.options import CvatTrackOptions
from keepsight.apps.cvat.job.selecting import Wanted, select
from keepsight.apps.cvat.job.server import ServerJob, connected
from keepsight.apps.cvat.job.tracking import Found, check_prompts, follow, reach_of
from keepsight.errors import UsageError
from keepsight.memory import make_policy
from keepsight.nn.io import VideoNetwork
from keepsight.terminal import Display

__all__ = ["Outcome", "Place", "run"]

Loader = Callable[..., VideoNetwork]


class Place(Protocol):
    """Where a job is, a server or files."""

    job: Job

    def size_of(self, numbers: Sequence[int]) -> tuple[int, int]:
        """The (width, height) of frames that all have to be there."""
        ...

    def open(self, numbers: Sequence[int], size: tuple[int, int]) -> JobFrames:
        """Those frames."""
        ...

    def check_place(self) -> None:
        """Refuses to begin what could not be written."""
        ...

    def write(self, changes: Changes) -> str:
        """Makes the changes and says where."""
        ...


class Outcome(NamedTuple):
    """What a run did, or would do.

    Attributes:
        job: the job as it was.
        courses: what was done with each object.
        notes: sentences about objects that were passed over, and the like.
        found: each object by frame; empty if nothing was tracked.
        changes: what was changed; None after a dry run.
        place: where it was written; empty after a dry run.
    """

    job: Job
    courses: tuple[Course, ...]
    notes: tuple[str, ...]
    found: tuple[Found, ...] = ()
    changes: Changes | None = None
    place: str = ""


def run(options: CvatTrackOptions, console: Console, load: Loader = load_model) -> Outcome:
    """Does what the options say.

    Args:
        options: as typed.
        console: where progress goes.
        load: loads the model; asked only after everything has been checked that needs none.

    Raises:
        KeepsightError: of the kind that fits. Nothing is written then, but for what the message says.
        KeyboardInterrupt: Ctrl-C while tracking; nothing is written.
    """
    make_policy(options.policy)  # A wrong name is told before anything is opened.
    with _place(options) as place:
        job, start = place.job, options.start_frame
        span = span_of(job.timeline, start, options.target_frame or (), job.name)
        selection = select(job, start, Wanted(options.label or (), options.id or ()))
        courses = lay_out(job, selection.subjects, span, options.convert_polygons_to_tracks)
        check_attributes(job, courses)
        reach = reach_of(courses, job.timeline.frames)
        size = place.size_of(reach.numbers)
        check_prompts(courses, size)
        planned = Outcome(job, tuple(courses), selection.notes)
        if options.dry_run:
            return planned
        place.check_place()
        found: list[Found] = [{} for _ in courses]
        if reach.steps:
            network = load(options.model, device=options.device, dtype=options.dtype)
            with place.open(reach.numbers, size) as source, Display(console, reach.steps) as display:
                found = follow(
                    courses,
                    source,
                    reach,
                    network,
                    options.policy,
                    options.polygon_tolerance,
                    display.watch,
                )
        changes = changes_of(job, courses, found, span)
        return planned._replace(found=tuple(found), changes=changes, place=place.write(changes))


@contextmanager
def _place(options: CvatTrackOptions) -> Iterator[Place]:
    offline = {
        "--annotations": options.annotations,
        "--video": options.video,
        "--output": options.output,
        "--labels": options.labels,
    }
    given = [name for name, value in offline.items() if value is not None]
    if (options.job is not None) + (options.task is not None) + bool(given) != 1:
        raise UsageError(
            "Expected one job: --job or --task on a server, or --annotations and --video, but got "
            f"{'several' if given or options.job else 'none'} of them."
        )
    if given:
        if options.annotations is None or options.video is None:
            raise UsageError("Expected --annotations and --video together, but got one of them only.")
        files = Files(
            options.annotations,
            options.video,
            options.output,
            options.overwrite,
            options.labels,
            options.video_start,
            options.video_step,
        )
        with closing(FileJob(files)) as place:
            yield place
        return
    with connected(options.server_host, options.auth, options.org, options.insecure) as client:
        frames = (options.start_frame, *(options.target_frame or ()))
        yield ServerJob(client, options.job, options.task, frames)
