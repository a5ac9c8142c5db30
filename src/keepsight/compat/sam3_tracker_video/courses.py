"""How an inference session walks through its frames: over a video at will, or along a stream."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from torch import Tensor

from keepsight.api import VideoTracker
from keepsight.api.notebook import prompt_of
from keepsight.compat.sam3_tracker_video.clip import Clip
from keepsight.compat.sam3_tracker_video.errors import MissingFrameError
from keepsight.errors import UsageError
from keepsight.memory.policy import MemoryPolicy
from keepsight.nn.io import VideoNetwork
from keepsight.session import PreparedFrame, Session
from keepsight.session.state import Answer

__all__ = ["Course", "Policy", "Recorded", "Said", "Streamed"]

Policy = str | MemoryPolicy[Any]
Said = Mapping[str, Any]
"""All that was said of an object on a frame: the `points`, `box` or `mask` of `VideoTracker.prompt`."""


class Course(Protocol):
    """Objects, known by numbers, on frames."""

    @property
    def known(self) -> frozenset[int]:
        """The objects of which something was said."""

    def look(self, frame: int, said: Mapping[int, Said], *, reverse: bool) -> Mapping[int, Answer]:
        """Answers what is said of a frame and finds all other known objects on it."""

    def answers(self, frame: int) -> Mapping[int, Answer]:
        """What was found on a frame."""


class Recorded:
    """Any frame in any order, over the frames that the session holds.

    Args:
        network: computes.
        policy: name of a memory policy, or a policy object.
        clip: the frames.
    """

    def __init__(self, network: VideoNetwork, policy: Policy, clip: Clip) -> None:
        require_size(network, clip.info.width)
        self._tracker = VideoTracker(clip, model=network, policy=policy, undo_depth=0)

    @property
    def known(self) -> frozenset[int]:
        """The objects of which something was said."""
        return frozenset(self._tracker.object_ids)

    def look(self, frame: int, said: Mapping[int, Said], *, reverse: bool) -> Mapping[int, Answer]:
        """Answers what is said of a frame and finds all other known objects on it.

        Raises:
            MissingFrameError: there is no such frame.
            PromptError: what was said does not fit the frame.
        """
        for number, prompt in said.items():
            self._tracker.prompt(frame, number, **prompt, replace=True, feedback=False)
        if any(frame not in self._tracker.prompted_frames(number) for number in self.known):
            stop = frame - 1 if reverse else frame + 1
            for _ in self._tracker.propagate(frame, stop, reverse):
                pass
        return self.answers(frame)

    def answers(self, frame: int) -> Mapping[int, Answer]:
        """What was found on a frame."""
        return self._tracker.answers(frame)


class Streamed:
    """Frame after frame, of which only the latest is held.

    Args:
        network: computes.
        policy: name of a memory policy, or a policy object.
        reverse: whether frames come in descending order.
    """

    def __init__(self, network: VideoNetwork, policy: Policy, *, reverse: bool) -> None:
        self._network = network
        self._session = Session(network, policy, reverse=reverse)
        self._reverse = reverse
        self._coming: PreparedFrame | None = None

    @property
    def known(self) -> frozenset[int]:
        """The objects of which something was said."""
        return frozenset(self._session.object_ids)

    def receive(self, frame: int, pixels: Tensor) -> None:
        """Takes the frame that is looked at next; numbers may be left out."""
        require_size(self._network, pixels.shape[-1])
        self._coming = PreparedFrame.of(frame, pixels)

    def look(self, frame: int, said: Mapping[int, Said], *, reverse: bool) -> Mapping[int, Answer]:
        """Answers what is said of the latest frame and finds all other known objects on it.

        Raises:
            MissingFrameError: the frame is not the latest.
            UsageError: the direction changed.
            PromptError: what was said does not fit the frame.
        """
        if reverse != self._reverse:
            raise UsageError(
                f"Expected a stream to go on as it began, with reverse={self._reverse}, but got "
                f"reverse={reverse}. Give the video to init_video_session to walk it both ways."
            )
        state = self._session.snapshot()
        prompts = {i: prompt_of(s.get("points"), None, s.get("box"), s.get("mask")) for i, s in said.items()}
        if self._coming is not None and self._coming.index == frame:
            if frame != state.index:
                before = frame + 1 if reverse else frame - 1
                self._session.restore(replace(state, index=before))
                self._session.step(self._coming, prompts)
                self._coming = None
                return self.answers(frame)
            self._session.restore(state, frame=self._coming)
        if frame != state.index:
            raise MissingFrameError(
                f"Expected the latest streamed frame, number {state.index}, but got {frame}: frames of a "
                f"stream are not kept. Give the video to init_video_session to go back."
            )
        if prompts:
            self._session.prompt(prompts, replace=True, feedback=False)
        return self.answers(frame)

    def answers(self, frame: int) -> Mapping[int, Answer]:
        """What was found on a frame; nothing on any but the latest."""
        tracks = self._session.snapshot().tracks
        return {i: track.answer for i, track in tracks.items() if track.answer.frame == frame}


def require_size(network: VideoNetwork, size: int) -> None:
    """Checks that frames were prepared for this network.

    Raises:
        UsageError: they were not.
    """
    if size != network.input_spec.size:
        raise UsageError(
            f"Expected pixel values of {network.input_spec.size} x {network.input_spec.size}, as the model "
            f"takes them, but got {size} x {size}. Use the processor of the same checkpoint."
        )
