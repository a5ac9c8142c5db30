"""Which frames a run goes through, and from where it goes on."""

from dataclasses import dataclass

from keepsight.apps.annotator.errors import BusyError
from keepsight.apps.annotator.project import Run, RunSpec
from keepsight.errors import UsageError

__all__ = ["Pass", "checked", "passes_of", "remaining", "require_whole"]


@dataclass(frozen=True)
class Pass:
    """A walk in one direction: from the frame beside `origin` to `last`, both included."""

    origin: int
    last: int

    @property
    def reverse(self) -> bool:
        """Whether it goes towards the beginning."""
        return self.last < self.origin

    @property
    def frames(self) -> int:
        """How many frames it has."""
        return abs(self.last - self.origin)

    def __contains__(self, frame: int) -> bool:
        return (self.last <= frame < self.origin) if self.reverse else (self.origin < frame <= self.last)


def checked(spec: RunSpec, frames: int) -> RunSpec:
    """A run's request, if a video of so many frames has what it asks for.

    Raises:
        UsageError: the start or the target lies outside, or the target on the wrong side of the start.
    """
    for what, frame in (("start", spec.frame), ("target frame", spec.target)):
        if not 0 <= frame < frames:
            raise UsageError(f"Expected a {what} from 0 to {frames - 1}, but got {frame}.")
    wrong = {
        "forward": spec.target <= spec.frame and f"after frame {spec.frame} to track forward",
        "backward": spec.target >= spec.frame and f"before frame {spec.frame} to track backward",
        "both": spec.target == spec.frame and f"other than frame {spec.frame}",
    }[spec.direction]
    if wrong:
        raise UsageError(f"Expected a target frame {wrong}, but got {spec.target}. Choose another one.")
    return spec


def require_whole(run: Run, frames: int) -> None:
    """Refuses to go on with a run in a video that has become shorter than the run is long.

    Raises:
        BusyError: a video of so many frames lacks one that the run began at, has reached or goes to.
    """
    last = max(run.spec.frame, run.spec.target, run.reached or 0)
    if last >= frames:
        raise BusyError(
            f"Expected a video of at least {last + 1} frames to go on with the run, but it has {frames} now. "
            f"Put the whole video back first, or leave the run as it is."
        )


def passes_of(spec: RunSpec, frames: int) -> list[Pass]:
    """The walks of a run, first forward, then back.

    In both directions it goes as far each way as the target lies from the start, within the video. That may
    have become shorter since: where the run began and where it was to go there were frames then.
    """
    reach = abs(spec.target - spec.frame)
    end = max(frames - 1, spec.frame, spec.target)
    passes = []
    if spec.direction in ("forward", "both"):
        passes.append(Pass(spec.frame, min(spec.frame + reach, end)))
    if spec.direction in ("backward", "both"):
        passes.append(Pass(spec.frame, max(spec.frame - reach, 0)))
    return [each for each in passes if each.frames]


def remaining(passes: list[Pass], reached: int | None) -> list[Pass]:
    """What is left of a run's walks after the last frame that was written."""
    if reached is None:
        return passes
    for number, each in enumerate(passes):
        if reached in each:
            rest = Pass(reached, each.last)
            return ([rest] if rest.frames else []) + passes[number + 1 :]
    return passes
