"""A session: frames are handed in one by one, masks come out; the session counts the frames."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from keepsight.errors import PromptError, SourceError, UnknownObjectError, UsageError
from keepsight.memory import make_policy
from keepsight.memory.policy import MemoryPolicy, Revises, Revision
from keepsight.nn.io import ImageFeatures, VideoNetwork
from keepsight.session.clicks import Clicks
from keepsight.session.engine import Engine
from keepsight.session.hindsight import Hindsight
from keepsight.session.prepared import PreparedFrame
from keepsight.session.state import Answer, SessionState, Track
from keepsight.transforms import logits_to_frame
from keepsight.types import BoolArray, Frame, FrameResult, ImageArray, ObjectResult, Prompt
from keepsight.video.images import as_rgb

__all__ = ["Session"]

# Objects whose masks are brought to frame resolution at once; bounds what a 4K frame with fifty needs.
RENDER_BATCH = 4


class Session:
    """Tracks any number of objects through frames that are handed in one at a time.

    Per object it holds the prompted frames, the last six memory maps and the last fifteen pointers, and of
    the video the frame handed in last; nothing grows with the video.

    Args:
        model: a network from `keepsight.load_model`; it is not changed and may serve other sessions.
        policy: name of a memory policy, or a policy object.
        start: the number of the first frame that will be handed in.
        reverse: whether frames come in descending order.
        keep_logits: whether results carry `.logits`.
        mask_threshold: mask logit above which a pixel belongs to the object.

    Raises:
        PolicyError: the policy is unknown.
        UsageError: `model` is not a loaded model.

    Example:
        session = Session(load_model("pocket"))
        result = session.step(image, prompts={1: Box(10, 20, 200, 300)})
        result = session.step(next_image)
    """

    def __init__(
        self,
        model: VideoNetwork,
        policy: str | MemoryPolicy[Any] = "sam2",
        *,
        start: int = 0,
        reverse: bool = False,
        keep_logits: bool = False,
        mask_threshold: float = 0.0,
    ) -> None:
        if not hasattr(model, "encode_image"):
            raise UsageError(
                f"Session expects a loaded model, but got {model!r}. "
                f'Load it first: Session(keepsight.load_model("pocket")).'
            )
        self._engine: Engine[Any] = Engine(model, make_policy(policy, model))
        self._state: SessionState[Any] = SessionState(forward=not reverse)
        self._start = start
        self._keep_logits = keep_logits
        self._threshold = mask_threshold
        self._frame: Frame | None = None
        self._encoded: tuple[Frame, ImageFeatures] | None = None  # what was encoded last

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects tracked now, in the order in which they joined."""
        return tuple(self._state.tracks)

    @property
    def next_index(self) -> int:
        """The number that the next frame handed in will get."""
        if self._state.index is None:
            return self._start
        return self._state.index + (1 if self._state.forward else -1)

    def step(
        self,
        image: ImageArray | Image.Image | Frame,
        prompts: Mapping[int, Prompt] | None = None,
        *,
        time: Fraction | None = None,
    ) -> FrameResult:
        """Takes the next frame.

        Objects prompted here are found from their prompts, without memory, as the reference does on frames
        it has not tracked yet; all others are tracked. To correct what tracking found, look at the result
        and then call `prompt`.

        Args:
            image: (H, W, 3) uint8 RGB array (OpenCV gives BGR: turn it round first), or a PIL image. All
                frames of a session have one size. Of a `Frame` the picture and, unless `time` is given, the
                time are taken; the session counts for itself.
            prompts: by object id; an id that is new starts a new object.
            time: the frame's time in seconds, handed through to the result.

        Raises:
            SourceError: the image is no picture or not of the session's size.
            PromptError: a prompt does not fit the frame; the session is as it was before the call.
        """
        frame = _numbered(image, self.next_index, time)
        size = self._checked_size(frame.image)
        clicks = {i: Clicks.of(p, size) for i, p in _checked_ids(prompts).items()}
        with torch.inference_mode():
            tracked = {i: t for i, t in self._state.tracks.items() if i not in clicks}
            features = self._features(frame) if tracked or clicks else None
            tracks: dict[int, Track[Any]] = dict(self._state.tracks)
            if features is not None:
                tracks |= self._engine.advance(tracked, frame.index, features)
                tracks = self._engine.prompt(
                    tracks, frame.index, features, clicks, forward=self._state.forward
                )
            self._frame = frame
            self._state = SessionState(frame.index, self._state.forward, size, {}).with_tracks(tracks)
            return self.result()

    def prompt(
        self, prompts: Mapping[int, Prompt], *, replace: bool = False, feedback: bool = True
    ) -> FrameResult:
        """Says more about the frame handed in last, and returns its result anew.

        For an object already found there this is a correction: its last answer is fed back together with
        the new points, and the corrected mask becomes a conditioning memory that tracking never overwrites.

        Args:
            prompts: by object id; an id that is new starts a new object on this frame.
            replace: forget the earlier clicks of these objects on this frame, rather than add to them.
            feedback: build on the earlier answer; False for interfaces that do not. See `Engine.prompt`.

        Raises:
            UsageError: no frame has been handed in yet.
            PromptError: a prompt does not fit the frame; the session is as it was before the call.
        """
        if self._frame is None or self._state.size is None:
            raise UsageError("Expected a frame before a prompt, but none was handed in. Call step first.")
        index, size = self._frame.index, self._state.size
        clicks = {i: Clicks.of(p, size) for i, p in _checked_ids(prompts).items()}
        if not replace:
            clicks = {i: self._earlier(i, index, c) for i, c in clicks.items()}
        with torch.inference_mode():
            tracks = self._engine.prompt(
                self._state.tracks,
                index,
                self._features(self._frame),
                clicks,
                forward=self._state.forward,
                feedback=feedback,
            )
            self._state = self._state.with_tracks(tracks)
            return self.result()

    def remove(self, object_id: int) -> None:
        """Forgets an object; the others are not touched.

        Raises:
            UnknownObjectError: no such object is tracked.
        """
        if object_id not in self._state.tracks:
            raise UnknownObjectError(
                f"Expected the id of a tracked object, one of {sorted(self._state.tracks)}, "
                f"but got {object_id!r}."
            )
        self._state = self._state.without(object_id)

    def snapshot(self) -> SessionState[Any]:
        """The state as an immutable value; it shares its tensors with the session and costs nothing."""
        return self._state

    def restore(self, state: SessionState[Any], *, frame: Frame | None = None) -> None:
        """Goes back to a snapshot, of this session or of another with the same model and policy.

        Args:
            state: what `snapshot` returned. The next frame handed in is the one after it.
            frame: the snapshot's own frame, if `prompt` is to be called on it.
        """
        if not isinstance(state, SessionState):
            raise UsageError(f"Expected a state from Session.snapshot, but got {type(state).__name__}.")
        self._state, self._frame = state, frame

    def result(self) -> FrameResult:
        """The objects found on the frame handed in last.

        Raises:
            UsageError: no frame has been handed in since the session began or was restored.
        """
        if self._frame is None:
            raise UsageError("Expected a frame before a result, but none was handed in. Call step first.")
        frame = self._frame
        answers = {i: t.answer for i, t in self._state.tracks.items() if t.answer.frame == frame.index}
        size = (frame.image.shape[0], frame.image.shape[1])
        return FrameResult(frame.index, frame.time, frame.image, self._render(answers, size))

    def finish(self) -> Mapping[int, Mapping[int, ObjectResult]]:
        """What hindsight changes: by frame, then object id, the answers that no longer stand.

        Only a policy that weighs several accounts of the past ("sam2long") ever changes its mind; under the
        others this is empty. The session is not changed and may go on.

        Returns:
            In ascending order of frames; masks are rendered when a frame is asked for.
        """
        policy, size = self._engine.policy, self._state.size
        if not isinstance(policy, Revises) or size is None:
            return {}
        revised: dict[int, dict[int, Revision]] = {}
        for i, track in self._state.tracks.items():
            for revision in policy.hindsight(track.after):
                revised.setdefault(revision.frame, {})[i] = revision
        return Hindsight(dict(sorted(revised.items())), lambda answers: self._render(answers, size))

    def _render(
        self, answers: Mapping[int, Answer | Revision], size: tuple[int, int]
    ) -> dict[int, ObjectResult]:
        results = {}
        ids = list(answers)
        for batch in (ids[i : i + RENDER_BATCH] for i in range(0, len(ids), RENDER_BATCH)):
            logits = logits_to_frame([answers[i].logits for i in batch], size)
            masks = self._masks(logits)
            kept = logits.cpu().numpy() if self._keep_logits else None
            for row, i in enumerate(batch):
                answer = answers[i]
                results[i] = ObjectResult(
                    mask=masks[row],
                    score=answer.iou,
                    presence=1 / (1 + float(np.exp(-answer.presence))),
                    visible=answer.presence > self._engine.policy.presence_threshold
                    and bool(masks[row].any()),
                    logits=None if kept is None else kept[row],
                )
        return results

    def _masks(self, logits: Tensor) -> BoolArray:
        """Where logits (B, H, W) exceed the threshold; on a CPU by NumPy, three times as fast."""
        if logits.is_cpu:
            masks: BoolArray = logits.numpy() > self._threshold
            return masks
        return (logits > self._threshold).cpu().numpy()

    def _features(self, frame: Frame) -> ImageFeatures:
        """The frame encoded; clicks on one frame encode it once."""
        if self._encoded is None or not _same_picture(self._encoded[0], frame):
            if isinstance(frame, PreparedFrame):
                features = self._engine.network.encode_image(frame.pixels.to(self._engine.network.device))
            else:
                features = self._engine.encode(frame.image)
            self._encoded = frame, features
        return self._encoded[1]

    def _earlier(self, object_id: int, index: int, clicks: Clicks) -> Clicks:
        track = self._state.tracks.get(object_id)
        said = None if track is None else track.prompted.get(index)
        return clicks if said is None else said.clicks.then(clicks)

    def _checked_size(self, image: ImageArray) -> tuple[int, int]:
        size = (image.shape[0], image.shape[1])
        if self._state.size is not None and size != self._state.size:
            raise SourceError(
                f"Expected frame {self.next_index} to be {self._state.size[1]}x{self._state.size[0]} like "
                f"those before it, but got {size[1]}x{size[0]}. Resize the frames, or start a new session."
            )
        return size


def _numbered(image: ImageArray | Image.Image | Frame, index: int, time: Fraction | None) -> Frame:
    if isinstance(image, PreparedFrame):
        return PreparedFrame(index, time, image.image, image.pixels)
    if isinstance(image, Frame):
        return Frame(index, image.time if time is None else time, as_rgb(image.image, f"frame {index}"))
    return Frame(index, time, as_rgb(image, f"frame {index}"))


def _same_picture(a: Frame, b: Frame) -> bool:
    if a.index != b.index or type(a) is not type(b):
        return False
    if isinstance(a, PreparedFrame) and isinstance(b, PreparedFrame):
        return a.pixels is b.pixels or torch.equal(a.pixels, b.pixels)
    return a.image is b.image or np.array_equal(a.image, b.image)


def _checked_ids(prompts: Mapping[int, Prompt] | None) -> Mapping[int, Prompt]:
    prompts = prompts or {}
    for object_id in prompts:
        if isinstance(object_id, bool) or not isinstance(object_id, int | np.integer) or object_id < 0:
            raise PromptError(f"Expected object ids that are integers from 0, but got {object_id!r}.")
    return prompts
