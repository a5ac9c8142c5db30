"""The one thread that uses the network: clicks at once, runs frame by frame between them."""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from keepsight.apps.annotator.errors import BusyError, ModelNotReadyError

if TYPE_CHECKING:
    from keepsight.nn.io import VideoNetwork

__all__ = ["Job", "JobEnd", "ModelState", "Worker"]

T = TypeVar("T")

JobEnd = Literal["done", "cancelled", "interrupted"]
ModelPhase = Literal["loading", "ready", "failed"]
MODELS_KEPT = 2
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class ModelState:
    """How it stands with the model that clicks are answered by."""

    name: str
    state: ModelPhase
    error: str | None = None


@dataclass(frozen=True)
class Job:
    """Something long, done a piece at a time.

    Attributes:
        name: as people read it.
        pieces: each item is one piece done; told to close, it ends where it is.
        ended: called once, on the worker's thread, with how it ended: "done", "cancelled" or "interrupted",
            and what went wrong if something did.
    """

    name: str
    pieces: Iterator[Any]
    ended: Callable[[JobEnd, BaseException | None], None]


class Worker:
    """Loads models and computes, on a thread of its own, from `start` to `close`.

    Shutdown, in writing. `close` makes the thread leave after the piece it is at: the job is told that it
    was interrupted, whoever waits for an answer gets an error, and the thread is joined. A model that is
    just being loaded, or a frame that takes very long, is not waited for: the thread is a daemon, and a run
    that is not told of its end is found to be interrupted when the project is opened again.

    Args:
        load: loads a model by name.
        model: the one to begin with.
        changed: called when the model's state changes, from the worker's thread.
    """

    def __init__(
        self,
        load: Callable[[str], "VideoNetwork"],
        model: str,
        changed: Callable[[ModelState], None] = lambda state: None,
    ) -> None:
        self._load, self._changed = load, changed
        self.model = ModelState(model, "loading")
        self._networks: dict[str, VideoNetwork] = {}
        self._asked: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._job: Job | None = None
        self._cancelled = threading.Event()
        self._closing = self._started = False
        self._starting = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="keepsight-worker", daemon=True)

    def start(self) -> None:
        """Begins by loading the model; nothing when it has begun already."""
        with self._starting:
            if not self._started:
                self._started = True
                self._thread.start()

    def close(self) -> None:
        """Ends after the piece in hand. Harmless when repeated."""
        self._closing = True
        self._asked.put(None)
        with self._starting:
            started, self._started = self._started, True
        if started and self._thread.is_alive():
            self._thread.join(0 if self.model.state == "loading" else STOP_SECONDS)

    @property
    def left_behind(self) -> bool:
        """Whether the thread goes on though the worker was closed."""
        return self._closing and self._thread.is_alive()

    def network(self, name: str) -> "VideoNetwork":
        """A model by name, loaded when it is needed; for use on the worker's thread.

        Raises:
            KeepsightError: it cannot be loaded.
        """
        network = self._networks.pop(name, None)
        if network is None:
            network = self._load(name)
        self._networks[name] = network
        while len(self._networks) > MODELS_KEPT:
            del self._networks[next(iter(self._networks))]
        return network

    def require_ready(self, name: str) -> None:
        """Refuses what needs the model to begin with before it is there; others are loaded when needed.

        Raises:
            ModelNotReadyError: it is still being loaded, or could not be.
        """
        if name == self.model.name and self.model.state != "ready":
            if self.model.state == "loading":
                raise ModelNotReadyError(f"The model {name} is still being loaded. Ask again soon.")
            raise ModelNotReadyError(f"The model {name} is not there: {self.model.error}")

    def ask(self, question: Callable[["VideoNetwork"], T]) -> T:
        """Asks something of the model and waits; during a job it is answered between two pieces.

        Raises:
            ModelNotReadyError: the model is still being loaded, or could not be.
        """
        self.require_ready(self.model.name)
        future: Future[T] = Future()

        def answer() -> None:
            if self._closing:
                future.set_exception(BusyError("keepsight is being stopped. Start it again."))
                return
            with _Caught() as caught:
                future.set_result(question(self.network(self.model.name)))
            if caught.error is not None:
                future.set_exception(caught.error)

        self._asked.put(answer)
        return future.result()

    def begin(self, job: Job) -> None:
        """Begins a job.

        Raises:
            BusyError: another one is going on.
        """
        self.require_free()
        self._cancelled.clear()
        self._job = job
        self._asked.put(lambda: None)

    def cancel(self) -> None:
        """Ends the job after the piece in hand."""
        self._cancelled.set()

    @property
    def busy(self) -> bool:
        """Whether a job is going on."""
        return self._job is not None

    def require_free(self) -> None:
        """Refuses a job while another one is going on.

        Raises:
            BusyError: it is.
        """
        job = self._job
        if job is not None:
            raise BusyError(f"{job.name} is going on. Wait until it is done, or cancel it first.")

    def breathe(self) -> None:
        """For a piece that takes long, between two frames: answers what was asked meanwhile.

        Raises:
            StoppedError: the job was cancelled, or the worker is closing; the piece must let it through.
        """
        while not self._asked.empty():
            asked = self._asked.get()
            if asked is not None:
                asked()
        if self._closing or self._cancelled.is_set():
            raise StoppedError

    def _work(self) -> None:
        self._load_first()
        while not self._closing:
            job = self._job
            try:
                asked = self._asked.get(block=job is None)
            except queue.Empty:
                asked = None
            if asked is not None:
                asked()
            elif job is not None:
                self._advance(job)
        self._leave()

    def _load_first(self) -> None:
        with _Caught() as caught:
            self.network(self.model.name)
        if caught.error is None:
            self.model = ModelState(self.model.name, "ready")
        else:
            self.model = ModelState(self.model.name, "failed", str(caught.error))
        with _Caught():
            self._changed(self.model)

    def _advance(self, job: Job) -> None:
        """One piece of a job, or its end."""
        if self._cancelled.is_set():
            self._end(job, "cancelled")
            return
        with _Caught() as caught:
            next(job.pieces)
        if isinstance(caught.error, StopIteration):
            self._end(job, "done")
        elif isinstance(caught.error, StoppedError):
            self._end(job, "cancelled" if self._cancelled.is_set() else "interrupted")
        elif caught.error is not None:
            self._end(job, "interrupted", caught.error)

    def _end(self, job: Job, how: JobEnd, error: BaseException | None = None) -> None:
        with _Caught() as caught:
            close = getattr(job.pieces, "close", None)
            if close is not None:
                close()
        self._job = None
        with _Caught():
            job.ended(how, error or caught.error)

    def _leave(self) -> None:
        if self._job is not None:
            self._end(self._job, "interrupted")
        while not self._asked.empty():
            asked = self._asked.get()
            if asked is not None:
                asked()


class StoppedError(Exception):
    """A long piece of a job is to end where it is."""


class _Caught:
    """Keeps what a block raised: the thread must outlive whatever a model or a disk does."""

    error: BaseException | None = None

    def __enter__(self) -> "_Caught":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        self.error = error
        return True
