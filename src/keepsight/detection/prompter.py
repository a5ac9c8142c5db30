"""A detector as the one who says what to track."""

from collections.abc import Iterable, Sequence
from itertools import count

import numpy as np
import numpy.typing as npt

from keepsight.detection.association import IOU_MATCH_THRESHOLD, overlaps
from keepsight.detection.yolo import Detection, Detector
from keepsight.errors import PromptError, UsageError
from keepsight.types import FrameResult, Mask, Prompt

__all__ = ["DetectionPrompter"]

ALL = "all"


class DetectionPrompter:
    """Prompts a tracker with the masks of what a detector finds; hand it to `keepsight.track(prompter=...)`.

    A detection starts a new object if its IoU with every mask on the frame, tracked or just started, is at
    most `IOU_MATCH_THRESHOLD`; what is tracked already is never prompted again. An object that the tracker
    holds to be hidden has no mask, so if the detector sees it, it becomes a new object.

    Args:
        detector: finds the instances.
        labels: names of the classes to track, or "all" for every class.
        every: look again on every n-th frame tracked; on the first only when omitted.
        names: names that objects have already, by object id; they are not given again, and the names given
            since are added to the mapping: the label and a number, as in "dog 1".
        taken: further ids that are not to be given.

    Attributes:
        names: the mapping handed in, or a new one.

    Raises:
        UsageError: the detector knows no such class, or `every` is below 1.
    """

    def __init__(
        self,
        detector: Detector,
        labels: Sequence[str] = (ALL,),
        *,
        every: int | None = None,
        names: dict[int, str] | None = None,
        taken: Iterable[int] = (),
    ) -> None:
        if every is not None and every < 1:
            raise UsageError(f"Expected to detect on every n-th frame with n from 1, but got {every}.")
        known = sorted(set(detector.labels.values()))
        unknown = [label for label in labels if label not in (ALL, *known)]
        if unknown or not labels:
            raise UsageError(
                f"Expected classes that the detector knows, or '{ALL}', but got "
                f"{', '.join(repr(label) for label in unknown) or 'none'}. It knows: {', '.join(known)}."
            )
        self.names = {} if names is None else names
        self._detector = detector
        self._wanted = set(known if ALL in labels else labels)
        self._every = every
        self._taken = {*taken, *self.names}
        self._frames = 0

    def __call__(self, result: FrameResult) -> dict[int, Prompt]:
        """The masks that start new objects on a frame.

        Args:
            result: the frame, and what is tracked on it already.

        Raises:
            PromptError: nothing is tracked, nothing is found, and no later frame will be looked at.
        """
        turn, self._frames = self._frames, self._frames + 1
        if turn % self._every if self._every else turn:
            return {}
        masks: list[npt.NDArray[np.bool_]] = [found.mask for found in result.values()]
        said: dict[int, Prompt] = {}
        for detection in self._detector.detect(result.image):
            if detection.label not in self._wanted or _covered(detection, masks):
                continue
            masks.append(detection.mask)
            said[self._new_id(result, detection.label)] = Mask(detection.mask)
        if not said and not result and self._every is None:
            raise PromptError(
                f"Expected to find {', '.join(sorted(self._wanted)[:5])} on frame {result.index}, but found "
                f"nothing. Lower the confidence, begin at another frame, or look on several frames."
            )
        return said

    def _new_id(self, result: FrameResult, label: str) -> int:
        number = next(free for free in count(1) if free not in self._taken and free not in result)
        self._taken.add(number)
        given = set(self.names.values())
        self.names[number] = next(name for name in (f"{label} {n}" for n in count(1)) if name not in given)
        return number


def _covered(detection: Detection, masks: Sequence[npt.NDArray[np.bool_]]) -> bool:
    return bool((overlaps([detection.mask], masks) > IOU_MATCH_THRESHOLD).any())
