"""Answers revised in hindsight, rendered frame by frame when they are asked for."""

from collections.abc import Callable, Iterator, Mapping

from keepsight.memory.policy import Revision
from keepsight.types import ObjectResult

__all__ = ["Hindsight"]


class Hindsight(Mapping[int, Mapping[int, ObjectResult]]):
    """By frame, then object id; a long video's masks never lie in memory all at once.

    Args:
        revised: what is to be rendered, by frame and object id.
        render: brings one frame's revisions to frame resolution.
    """

    def __init__(
        self,
        revised: Mapping[int, Mapping[int, Revision]],
        render: Callable[[Mapping[int, Revision]], Mapping[int, ObjectResult]],
    ) -> None:
        self._revised = revised
        self._render = render

    def __getitem__(self, frame: int) -> Mapping[int, ObjectResult]:
        return self._render(self._revised[frame])

    def __iter__(self) -> Iterator[int]:
        return iter(self._revised)

    def __len__(self) -> int:
        return len(self._revised)
