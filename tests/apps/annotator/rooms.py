"""A studio over a short clip and a toy network, and ways to look into it."""

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from keepsight.apps.annotator.clip import Clip
from keepsight.apps.annotator.project import Fingerprint, Project, RunSpec, Shape, open_project
from keepsight.apps.annotator.run import Running
from keepsight.apps.annotator.studio import Studio
from keepsight.errors import KeepsightError
from keepsight.video import open_source
from tests.toy import ToyNetwork, blob_frame, centre, place

__all__ = [
    "FRAMES",
    "PRINT",
    "SIZE",
    "Stepping",
    "box_of",
    "clicked",
    "contents",
    "finished",
    "opened_studio",
    "spec_of",
    "track",
    "write_clip",
]

SIZE = (48, 80)  # height, width
FRAMES = 24
PRINT = Fingerprint(FRAMES, 80, 48, 1000)
PATIENCE = 60.0


def write_clip(
    folder: Path, frames: int = FRAMES, hidden: Mapping[int, tuple[int, ...]] | None = None
) -> Path:
    """A folder of frames with three coloured squares; some are hidden on some frames."""
    folder.mkdir(parents=True)
    for index in range(frames):
        Image.fromarray(blob_frame(index, (hidden or {}).get(index, ()))).save(folder / f"{index:05d}.png")
    return folder


class Stepping(ToyNetwork):
    """A toy network that computes a frame only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self._turns = threading.Semaphore(0)
        self.free = True
        self.waiting = False

    def hold(self) -> None:
        """From now on every frame waits."""
        self.free = False

    def go(self, frames: int = 1) -> None:
        """Lets so many frames pass."""
        self.waiting = False
        for _ in range(frames):
            self._turns.release()

    def release(self) -> None:
        """Lets everything pass from now on."""
        self.free = True
        self.go()

    def encode_image(self, pixels: Any) -> Any:
        if not self.free:
            self.waiting = True
            assert self._turns.acquire(timeout=PATIENCE)
            self.waiting = False
        return super().encode_image(pixels)


@contextmanager
def opened_studio(
    folder: Path, frames: int = FRAMES, network: ToyNetwork | None = None, file: Path | None = None
) -> Iterator[Studio]:
    """A studio over a folder of frames, its toy network loaded."""
    toy = network or ToyNetwork()
    info = open_source(folder).info
    project = open_project(
        file or folder.with_name(folder.name + ".keepsight"),
        Fingerprint(frames, info.width, info.height, 1000),
        folder,
    )
    studio = Studio(project, Clip(info, frames, partial(open_source, folder)), lambda name: toy)
    told: list[str] = []
    stop = studio.listen(lambda event: told.append(event["type"]))
    studio.start()
    wait_for(lambda: told.count("model") == 1 and told.count("review") == len(project.subjects()))
    stop()
    try:
        yield studio
    finally:
        studio.close()


def wait_for(there: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Waits until something is so."""
    until = time.monotonic() + patience
    while not there():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.002)


def clicked(studio: Studio, kind: Any = "mask", i: int = 1, frame: int = 0, **form: Any) -> int:
    """A new object, clicked on square `i`; its id."""
    subject, _ = studio.add_subject(kind, **form)
    studio.prompt(subject.id, frame, [centre(i, frame)], [1], None)
    return subject.id


def spec_of(
    objects: tuple[int, ...], frame: int, target: int, direction: Any = "forward", **more: Any
) -> RunSpec:
    values = {"model": "", "policy": "", "convert": False, **more}
    return RunSpec(objects, frame, target, direction, **values)


def finished(studio: Studio, patience: float = PATIENCE) -> None:
    """Waits for the run to end, and for everybody to be told."""
    wait_for(lambda: studio.runs.current is None, patience)
    studio.worker.ask(lambda network: None)


def track(studio: Studio, *request: Any, **more: Any) -> Running:
    """A run, from beginning to end."""
    running = studio.begin_run(spec_of(*request, **more))
    finished(studio)
    return running


def box_of(shape: Shape) -> tuple[float, ...]:
    """Left, top, right, bottom of a shape of any kind; a mask's last two are its last pixel's edges."""
    if len(shape.points) == 4:
        return shape.points
    *_, left, top, right, bottom = shape.points
    return left, top, right + 1, bottom + 1


def square(i: int, frame: int) -> tuple[int, int, int, int]:
    """Where square `i` lies on a frame."""
    x, y = place(i, frame)
    return x, y, x + 12, y + 12


def contents(project: Project | Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the tables that history watches."""
    path = project if isinstance(project, Path) else project.path
    link = sqlite3.connect(path)
    try:
        return {
            table: link.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
            for table in ("objects", "prompts", "shapes")
        }
    finally:
        link.close()


def refusal(act: Callable[[], Any]) -> str:
    """What an act is refused with."""
    try:
        act()
    except KeepsightError as error:
        return str(error)
    raise AssertionError("it was not refused")


def copy_of(file: Path, to: Path) -> Path:
    """A copy of a closed project."""
    shutil.copy(file, to)
    return to
