"""Where clicks are answered: one frame at a time, by a tracker that goes no further."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from keepsight.apps.annotator.project import Kind, Said
from keepsight.errors import PromptError
from keepsight.shapes import figure_to_prompt
from keepsight.types import Box, Mask, ObjectResult
from keepsight.video import FrameSource

if TYPE_CHECKING:
    from keepsight.api import VideoTracker
    from keepsight.nn.io import VideoNetwork

__all__ = ["Desk"]

_ID = 1


class Desk:
    """Answers clicks on frames of one video.

    What it remembers only saves time: the answer to the last clicks, which the next ones add to, and the
    frame encoded last. Told everything anew, after a restart, it says the same.

    Args:
        opened: opens the video.
    """

    def __init__(self, opened: Callable[[], FrameSource]) -> None:
        self._opened = opened
        self._tracker: VideoTracker | None = None
        self._network: VideoNetwork | None = None
        self._last: tuple[Kind, Said, ObjectResult] | None = None

    def answer(self, network: "VideoNetwork", kind: Kind, said: Said) -> ObjectResult:
        """What the network finds on a frame by all that was said of one object there.

        Args:
            network: a loaded model.
            kind: of the shape that the clicks correct, if they correct one.
            said: the clicks, from the first on.

        Raises:
            PromptError: nothing was said, or it does not fit the frame.
        """
        tracker = self._tracker_for(network)
        last, self._last = self._last, None
        result: ObjectResult | None = None
        known = 0
        if last is not None and last[0] == kind and _continues(last[1], said):
            known, result = len(last[1].points), last[2]
        else:
            tracker.reset()
            for prompt in _beginning(kind, said, tracker.info.height, tracker.info.width):
                result = tracker.prompt(said.frame, _ID, **prompt)[_ID]
        for point, label in zip(said.points[known:], said.labels[known:], strict=True):
            result = tracker.prompt(said.frame, _ID, points=[point], labels=[label])[_ID]
        if result is None:
            raise PromptError("Expected points or a box, but got neither. Click on the object.")
        self._last = kind, said, result
        return result

    def close(self) -> None:
        """Lets go of the video."""
        if self._tracker is not None:
            self._tracker.close()
        self._tracker = self._network = self._last = None

    def _tracker_for(self, network: "VideoNetwork") -> "VideoTracker":
        from keepsight.api import VideoTracker

        if self._tracker is None or self._network is not network:
            self.close()
            self._tracker = VideoTracker(self._opened(), model=network, undo_depth=0)
            self._network = network
        return self._tracker


def _continues(before: Said, now: Said) -> bool:
    """Whether the clicks answered last are the first of these."""
    count = len(before.points)
    return (
        (before.object, before.frame, before.box, before.base) == (now.object, now.frame, now.box, now.base)
        and now.points[:count] == before.points
        and now.labels[:count] == before.labels
    )


def _beginning(kind: Kind, said: Said, height: int, width: int) -> Iterator[dict[str, Any]]:
    """What comes before the points: the shape that is corrected, and a box."""
    if said.base is not None:
        shape = figure_to_prompt(kind, said.base.points, height, width)
        if isinstance(shape, Mask):
            yield {"mask": shape}
        elif isinstance(shape, Box):
            yield {"box": shape}
    if said.box is not None:
        yield {"box": said.box}
