"""The video's frames as JPEGs by number: decoded ahead, kept within a bound, never the whole video."""

import threading
from collections import Counter, OrderedDict

from keepsight.apps.annotator.errors import NoSuchError
from keepsight.errors import KeepsightError, SourceError
from keepsight.export.images import encode_jpeg
from keepsight.video import FrameSource

__all__ = ["FrameShelf"]

MOST_BYTES = 48 * 2**20  # half a minute of 854 x 480
AHEAD = 24  # frames decoded after the one asked for last, once a few were asked for in a row
FIRST_AHEAD = 3  # and after a jump, when somebody may be about to click, which needs the processor more
QUALITY = 90
WAIT_SECONDS = 30.0


class FrameShelf:
    """JPEGs of frames, made by one thread of its own from a source of its own.

    Whoever asks for a frame waits for it; the frames that follow in the same direction are made meanwhile.
    Going back is done in pieces: a piece is decoded forward once, from the keyframe before it.

    Args:
        source: an open source, closed with the shelf.
        frames: how many it has.
        most_bytes: what the JPEGs may take together; the ones asked for longest ago go first.
    """

    def __init__(self, source: FrameSource, frames: int, *, most_bytes: int = MOST_BYTES) -> None:
        self._source, self._frames, self._most = source, frames, most_bytes
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._bytes = self._largest = 0
        self._failed: dict[int, KeepsightError] = {}
        self._changed = threading.Condition()
        self._wanted: list[int] = []  # asked for and not there yet, the latest last
        self._waiting: Counter[int] = Counter()  # how many wait for a frame
        self._asked: int | None = None  # the one asked for last
        self._backward = False
        self._in_a_row = 0  # frames asked for one after the other, in one direction
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="keepsight-frames", daemon=True)
        self._thread.start()

    def jpeg(self, frame: int, gone: threading.Event | None = None) -> bytes:
        """A frame as a JPEG file.

        Args:
            frame: its number.
            gone: set, before `wake`, when nobody waits for it any more; it is not made then.

        Raises:
            NoSuchError: the video has no such frame.
            SourceError: it cannot be decoded, or nobody waits for it any more.
        """
        gone = gone or threading.Event()
        if not 0 <= frame < self._frames:
            raise NoSuchError(f"Expected a frame from 0 to {self._frames - 1}, but got {frame}.")
        with self._changed:
            self._note(frame)
            self._waiting[frame] += 1
            self._changed.wait_for(
                lambda: self._closed or gone.is_set() or frame in self._kept or frame in self._failed,
                WAIT_SECONDS,
            )
            self._waiting[frame] -= 1
            if frame in self._failed:
                raise SourceError(str(self._failed.pop(frame)))
            if frame not in self._kept:
                raise SourceError(f"Frame {frame} could not be decoded in time. Ask for it again.")
            self._kept.move_to_end(frame)
            return self._kept[frame]

    def wake(self) -> None:
        """Lets those who wait look whether they still have to."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Ends the thread and closes the source."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self._source.close()

    def _note(self, frame: int) -> None:
        step = 0 if self._asked is None else frame - self._asked
        if step:
            follows = abs(step) <= FIRST_AHEAD and (self._in_a_row < 2 or self._backward == (step < 0))
            self._in_a_row = self._in_a_row + 1 if follows else 0
            self._backward = follows and step < 0
        self._asked = frame
        if frame not in self._kept:
            self._wanted.append(frame)
        self._changed.notify_all()

    def _work(self) -> None:
        while (frame := self._next()) is not None:
            try:
                code = encode_jpeg(self._source.read(frame).image, QUALITY)
            except KeepsightError as error:
                with self._changed:
                    self._failed[frame] = error
                    self._changed.notify_all()
            else:
                self._keep(frame, code)

    def _next(self) -> int | None:
        """The frame to make next, waiting until there is one; None when the shelf closes."""
        with self._changed:
            while True:
                if self._closed:
                    return None
                frame = self._due()
                if frame is not None:
                    return frame
                self._changed.wait()

    def _due(self) -> int | None:
        if self._asked is None:
            return None
        missing = self._missing_ahead()
        self._wanted = [
            frame
            for frame in self._wanted
            if self._waiting[frame] and frame not in self._kept and frame not in self._failed
        ]
        if self._wanted:
            # Pages ask for neighbours all at once, over several connections: decoding runs forward only.
            latest = self._wanted[-1]
            frame = min(other for other in self._wanted if abs(other - latest) <= AHEAD)
            # Going back, the piece before the frame is made first for the same reason.
            return missing if self._backward and missing is not None and missing < frame else frame
        return missing

    def _missing_ahead(self) -> int | None:
        """The first frame not there of those that will be asked for if scrubbing goes on."""
        asked = self._asked or 0
        # Few very large frames fit: what is made ahead must not push out what was made just before.
        wanted = min(AHEAD, FIRST_AHEAD << min(self._in_a_row, 4))
        ahead = min(wanted, self._most // (3 * max(1, self._largest)))
        if self._backward:
            first = asked - asked % max(1, ahead)
            pieces = [range(first, asked + 1), range(max(0, first - ahead), first)]
        else:
            pieces = [range(asked, min(asked + max(1, ahead), self._frames))]
        for piece in pieces:
            for frame in piece:
                if frame not in self._kept and frame not in self._failed:
                    return frame
        return None

    def _keep(self, frame: int, code: bytes) -> None:
        with self._changed:
            self._largest = max(self._largest, len(code))
            self._bytes += len(code) - len(self._kept.pop(frame, b""))
            self._kept[frame] = code
            while self._bytes > self._most and len(self._kept) > 1:
                _, gone = self._kept.popitem(last=False)
                self._bytes -= len(gone)
            self._changed.notify_all()
