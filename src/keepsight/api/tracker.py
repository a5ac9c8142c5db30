"""A tracker over a video that can be walked at will: annotate, correct, go back."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy.typing as npt

from keepsight.api.models import ModelLike, loaded
from keepsight.api.notebook import BACKWARD, FORWARD, Notebook, Said, Subject, prompt_of
from keepsight.errors import FrameIndexError, PromptError, SourceError, UnknownObjectError, UsageError
from keepsight.memory import make_policy
from keepsight.memory.policy import MemoryPolicy
from keepsight.session import Session, SessionState
from keepsight.session.state import Answer, Track
from keepsight.types import Box, Frame, FrameResult, Mask, Points
from keepsight.video import FrameSource, Source, SourceInfo, open_source

__all__ = ["VideoTracker"]

UNDO_DEPTH = 50


class VideoTracker:
    """Random access: prompt any frame, track any part in either direction, correct, undo.

    Prompts are conditioning memories from the moment they are given; tracking never overwrites them. Going
    back to a frame takes the state kept nearest before it and computes what lies between anew. Each pass
    remembers frames of its own direction only, so a pass gives what it would have given alone.

    Args:
        source: a video file, folder, glob or list of images, or a source already open; not a camera.
        model: a catalogue name, repository id, path, or a loaded model.
        policy: name of a memory policy, or a policy object.
        device: where to load the model, if it is named.
        dtype: the type to load it in.
        keep_logits: whether results carry `.logits`.
        mask_threshold: mask logit above which a pixel belongs to the object.
        undo_depth: how many prompts and removals can be taken back; each keeps states of its own.

    Raises:
        SourceError: the source cannot be read or is live.
        WeightsError, PolicyError: as `load_model` and `Session`.
    """

    def __init__(
        self,
        source: "Source | FrameSource",
        *,
        model: ModelLike = "pocket",
        policy: str | MemoryPolicy[Any] = "sam2",
        device: str = "auto",
        dtype: str = "auto",
        keep_logits: bool = False,
        mask_threshold: float = 0.0,
        undo_depth: int = UNDO_DEPTH,
    ) -> None:
        make_policy(policy)  # A wrong name is told before anything is opened or loaded.
        self._source = open_source(source)
        try:
            if self._source.info.live:
                raise SourceError(
                    f"Expected a video that can be walked at will, but {self._source.info.name} is live. "
                    f"Use keepsight.track or Session.step for cameras and streams."
                )
            network = loaded(model, device=device, dtype=dtype)
            self._policy = make_policy(policy, network)
            self._session = Session(
                network,
                self._policy,
                keep_logits=keep_logits,
                mask_threshold=mask_threshold,
            )
        except BaseException:
            self._source.close()
            raise
        self._book = Notebook.empty()
        self._past: deque[Notebook] = deque(maxlen=undo_depth)

    def __enter__(self) -> "VideoTracker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the video and of all kept states."""
        self._source.close()
        self._past.clear()
        self._book = Notebook.empty()

    @property
    def info(self) -> SourceInfo:
        """Size, rate and length of the video."""
        return self._source.info

    @property
    def frame_count(self) -> int:
        """The exact number of frames; of a file that does not state it, found by walking through it once."""
        return self._source.count()

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects prompted so far, in the order in which they joined."""
        return tuple(self._book.subjects)

    def prompted_frames(self, object_id: int) -> tuple[int, ...]:
        """The frames on which something was said of an object, in ascending order.

        Raises:
            UnknownObjectError: there is no such object.
        """
        return tuple(sorted(self._subject(object_id).said))

    def result(self, frame: int) -> FrameResult:
        """What is known on a frame now: every object that was prompted or tracked there.

        Raises:
            FrameIndexError: there is no such frame.
        """
        picture = self._source.read(frame)
        self._session.restore(self._state_at(frame), frame=picture)
        return self._session.result()

    def answers(self, frame: int) -> Mapping[int, Answer]:
        """What the network itself said on a frame: mask logits at its own resolution and presence logits.

        Returns:
            By object id; the objects that `result` has. Nothing is rendered.

        Raises:
            FrameIndexError: there is no such frame, if it takes tracking anew to tell.
        """
        tracks = self._state_at(frame).tracks
        return {i: track.answer for i, track in tracks.items() if track.answer.frame == frame}

    def prompt(
        self,
        frame: int,
        object_id: int,
        *,
        points: npt.ArrayLike | Points | None = None,
        labels: npt.ArrayLike | None = None,
        box: Box | tuple[float, float, float, float] | None = None,
        mask: npt.ArrayLike | Mask | None = None,
        replace: bool = False,
        feedback: bool = True,
    ) -> FrameResult:
        """Says which object is meant, or corrects what was found.

        On a frame that was tracked for this object, the prompt corrects the mask found there; on any other
        it is answered from the frame alone. Either way the answer becomes a conditioning memory, used the
        next time frames are tracked; results already given for other frames stay until then.

        Args:
            frame: any frame of the video.
            object_id: an integer of your choice; a new one starts a new object.
            points: (N, 2) pixel positions, or `Points`.
            labels: (N,) 1 on the object, 0 not; all 1 when omitted.
            box: (x1, y1, x2, y2) in pixels, or `Box`; may come together with points.
            mask: (H, W) of the frame's size, or `Mask`; stands alone.
            replace: forget earlier clicks on this object and frame, rather than add to them.
            feedback: build on the mask answered here before; False for interfaces that do not.

        Returns:
            The frame's result at once, with every object that is known on it.

        Raises:
            FrameIndexError: there is no such frame.
            PromptError: nothing was said, or it does not fit the frame. Nothing is changed.
        """
        prompt = prompt_of(points, labels, box, mask)
        picture = self._source.read(frame)
        self._session.restore(self._state_at(frame), frame=picture)
        result = self._session.prompt({object_id: prompt}, replace=replace, feedback=feedback)
        self._remember()
        self._note_prompt(frame, object_id)
        return result

    def unprompt(self, frame: int, object_id: int) -> FrameResult:
        """Forgets what was said of an object on one frame.

        Where tracking has passed over the frame, what it finds there without the prompt takes the answer's
        place. An object of which nothing else was said is forgotten.

        Args:
            frame: a frame on which the object was prompted.
            object_id: the object.

        Returns:
            The frame's result, with every object that is still known on it.

        Raises:
            UnknownObjectError: there is no such object.
            PromptError: nothing was said of it on this frame.
        """
        subject = self._subject(object_id)
        if frame not in subject.said:
            raise PromptError(
                f"Expected a frame on which object {object_id} was prompted, one of {sorted(subject.said)}, "
                f"but got {frame}."
            )
        picture, state = self._source.read(frame), self._state_at(frame)
        self._remember()
        said = {f: s for f, s in subject.said.items() if f != frame}
        subjects = {i: s for i, s in self._book.subjects.items() if i != object_id or said}
        if said:
            subjects[object_id] = replace(subject, said=MappingProxyType(said))
        self._book = replace(self._book, subjects=subjects)
        state = self._unanswered(self._book.informed(self._policy, state), object_id, picture)
        self._session.restore(state, frame=picture)
        self._keep(state, pinned=True)
        return self._session.result()

    def propagate(
        self, start: int | None = None, stop: int | None = None, reverse: bool = False
    ) -> Iterator[FrameResult]:
        """Tracks all objects and yields one result per frame.

        Args:
            start: the first frame; the earliest prompted frame when omitted, the latest if `reverse`.
                If the frame before it was tracked in the same direction, tracking continues from there.
            stop: the frame to stop before, in the direction of tracking; the video's end when omitted.
            reverse: track towards the beginning.

        Raises:
            UsageError: no object has been prompted yet.
            FrameIndexError: `start` lies outside the video.
        """
        prompted = [f for subject in self._book.subjects.values() for f in subject.said]
        if not prompted:
            raise UsageError("Expected a prompt before propagate, but got none. Call tracker.prompt first.")
        if start is None:
            start = max(prompted) if reverse else min(prompted)
        if start < 0:
            raise FrameIndexError(f"Expected to start at a frame from 0, but got {start}.")
        return self._propagate(start, stop, reverse=reverse)

    def remove(self, object_id: int) -> None:
        """Forgets an object and everything said of it.

        Raises:
            UnknownObjectError: there is no such object.
        """
        subject = self._subject(object_id)
        self._remember()
        subjects = {i: s for i, s in self._book.subjects.items() if s is not subject}
        self._book = replace(self._book, subjects=subjects)

    def reset(self) -> None:
        """Forgets every object and all that was tracked, for good: there is nothing left to undo."""
        self._past.clear()
        self._book = Notebook.empty()

    def undo(self) -> None:
        """Takes back the last `prompt`, `unprompt` or `remove`, with all that was tracked since.

        Raises:
            UsageError: there is nothing to take back.
        """
        if not self._past:
            raise UsageError("Expected a prompt or a removal to take back, but there is none (left).")
        self._book = self._past.pop()

    def _propagate(self, start: int, stop: int | None, *, reverse: bool) -> Iterator[FrameResult]:
        state, subjects = self._state_before(start, reverse=reverse), self._book.subjects
        way = BACKWARD if reverse else FORWARD
        earlier = start + 1 if reverse else start - 1
        continues = self._book.way(earlier) == way
        if reverse:
            frames = self._source.frames(0 if stop is None else stop + 1, start + 1, reverse=True)
        else:
            frames = self._source.frames(start, stop)
        last = None
        try:
            for frame in frames:
                if self._book.subjects is not subjects:
                    # A prompt was given since the last result; it counts from here on.
                    state, subjects = self._state_before(frame.index, reverse=reverse), self._book.subjects
                self._session.restore(state)
                result = self._session.step(frame)
                last = state = self._session.snapshot()
                begins = frame.index == start and not continues
                if frame.index == start:
                    # A pass that ended there goes on: passes of one frame must not keep every frame.
                    self._book.archive.release(earlier)
                self._keep(state, pinned=begins or self._book.is_prompted(frame.index))
                self._book = self._book.marked(frame.index, way)
                yield result
        finally:
            if last is not None and last.index is not None:
                self._keep(last, pinned=False)
                self._book.archive.hold(last.index)

    def _state_before(self, frame: int, *, reverse: bool) -> SessionState[Any]:
        """The state to start a pass from: what tracking left on the frame before, and all prompts."""
        earlier = frame + 1 if reverse else frame - 1
        way = BACKWARD if reverse else FORWARD
        if self._book.way(earlier) == way:
            return self._book.informed(self._policy, self._recomputed(earlier))
        return self._book.informed(self._policy, SessionState(earlier, not reverse, self._size()))

    def _state_at(self, frame: int) -> SessionState[Any]:
        """The state on a frame: kept, computed anew, or, where nothing was tracked, empty."""
        if frame in self._book.archive or self._book.way(frame):
            return self._book.informed(self._policy, self._recomputed(frame))
        return self._book.informed(self._policy, SessionState(frame, True, self._size()))

    def _recomputed(self, frame: int) -> SessionState[Any]:
        """The kept state of a frame, or the nearest one before it carried on to the frame."""
        archive = self._book.archive
        if frame in archive:
            return self._book.living(archive.get(frame), frame)
        way = self._book.way(frame)
        step = -1 if way == BACKWARD else 1
        nearest = frame - step
        while self._book.way(nearest) == way and nearest not in archive:
            nearest -= step
        if self._book.way(nearest) == way:
            state = self._book.living(archive.get(nearest), nearest)
        else:  # A pass in the other direction has overwritten what lay before; prompts are all there is.
            state = self._book.informed(self._policy, SessionState(nearest, way == FORWARD, self._size()))
        for index in range(nearest + step, frame + step, step):
            self._session.restore(state)
            self._session.step(self._source.read(index))
            state = self._session.snapshot()
        return state

    def _unanswered(self, state: SessionState[Any], object_id: int, picture: Frame) -> SessionState[Any]:
        """The state on a frame as if nothing had been said there of one object."""
        track = state.tracks.get(object_id)
        if track is None:
            return state
        if not track.answer.tracked or track.before is None:
            return self._book.informed(self._policy, state.without(object_id))
        previous = picture.index - (1 if state.forward else -1)
        tracks = {object_id: Track(None, track.before, track.answer, track.prompted)}
        self._session.restore(SessionState(previous, state.forward, state.size).with_tracks(tracks))
        self._session.step(picture)
        return state.with_tracks({**state.tracks, **self._session.snapshot().tracks})

    def _note_prompt(self, frame: int, object_id: int) -> None:
        state = self._session.snapshot()
        track = state.tracks[object_id]
        entry = next(e for e in track.after.bank.conditioning if e.frame == frame)
        subject = self._book.subjects.get(object_id) or Subject(object(), {})
        said = {**subject.said, frame: Said(track.prompted[frame], entry)}
        self._book = replace(
            self._book,
            subjects={**self._book.subjects, object_id: replace(subject, said=MappingProxyType(said))},
        )
        self._keep(state, pinned=True)

    def _keep(self, state: SessionState[Any], *, pinned: bool) -> None:
        if state.index is None:
            return
        archive = self._book.archive
        archive.put(state, pinned=pinned)
        births = {frame: known for frame, known in self._book.births.items() if frame in archive}
        births[state.index] = {i: s.birth for i, s in self._book.subjects.items()}
        self._book = replace(self._book, births=births)

    def _remember(self) -> None:
        """Makes the present what undo returns to, and goes on with an archive of its own."""
        self._past.append(self._book)
        self._book = replace(self._book, archive=self._book.archive.fork())

    def _subject(self, object_id: int) -> Subject:
        subject = self._book.subjects.get(object_id)
        if subject is None:
            raise UnknownObjectError(
                f"Expected the id of a prompted object, one of {sorted(self._book.subjects)}, "
                f"but got {object_id!r}."
            )
        return subject

    def _size(self) -> tuple[int, int]:
        return self._source.info.height, self._source.info.width
