"""The progress bar: frames done, frames per second, objects visible, time left."""

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from keepsight.types import FrameResult

__all__ = ["Display"]


class Display:
    """Shows how a run goes and counts what it did; a context manager.

    Args:
        console: where to; a console that is no terminal gets the last state only.
        total: the number of frames, or None where it is not known.

    Attributes:
        frames: results seen.
        seen: per object id, on how many frames it was visible.
    """

    def __init__(self, console: Console, total: int | None) -> None:
        self.frames = 0
        self.seen: dict[int, int] = {}
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TextColumn("{task.fields[objects]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("Tracking", total=total, speed="", objects="")

    def watch(self, result: FrameResult) -> None:
        """Counts one result and shows the new state."""
        self.frames += 1
        visible = [number for number, found in result.items() if found.visible]
        for number in result:
            self.seen[number] = self.seen.get(number, 0) + (number in visible)
        self._bar.update(
            self._task,
            advance=1,
            speed=f"{self.speed:.1f} frames/s" if self.speed else "",
            objects=f"{len(visible)} of {len(result)} objects visible",
        )

    @property
    def elapsed(self) -> float:
        """Seconds since the block was entered."""
        return self._bar.tasks[0].elapsed or 0.0

    @property
    def speed(self) -> float | None:
        """Frames per second so far, once there is enough to tell."""
        return self.frames / self.elapsed if self.frames > 1 and self.elapsed > 0 else None

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop_task(self._task)
        self._bar.stop()
