"""A run over a long clip: memory stays where it is, and so does the time that a frame takes."""

import ctypes
import multiprocessing
import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keepsight.apps.annotator.clip import Clip
from keepsight.apps.annotator.frames import FrameShelf
from keepsight.apps.annotator.project import Fingerprint, open_project
from keepsight.apps.annotator.studio import Studio
from keepsight.export import VideoWriter
from keepsight.types import FrameResult
from keepsight.video import open_source
from tests.apps.annotator.rooms import finished, spec_of, wait_for
from tests.toy import ToyNetwork, blob_frame, centre

FRAMES = 2000
SCALE = 5  # 400 x 240 pixels: a frame that is kept by mistake is 288 kB
EARLY, LATE = 600, 1990  # by the first, every store of bounded size is full
MOST_MIB = 12.0


def resident_mib() -> float:
    # What was freed and waits in glibc to be used again comes and goes by twenty MiB: it is given back first.
    getattr(ctypes.CDLL(None), "malloc_trim", lambda keep: None)(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_memory_stays_flat_over_a_long_run(tmp_path: Path) -> None:
    # In a process of its own: what other tests left to be reused or given back would be measured as well.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        early, late = process.submit(resident_during_a_run, tmp_path).result()
    assert late - early < MOST_MIB, (early, late)


def resident_during_a_run(folder: Path) -> tuple[float, float]:
    """Follows two objects through a long clip, and says how much memory was held on frames EARLY and LATE."""
    path = folder / "long.mp4"
    cell = np.ones((SCALE, SCALE, 1), np.uint8)
    with VideoWriter(path, rate=Fraction(25), draw=lambda result: np.asarray(result.image)) as writer:
        for index in range(FRAMES):
            writer.write(FrameResult(index, None, np.kron(blob_frame(index), cell)))
    info = open_source(path).info
    project = open_project(
        folder / "a.keepsight", Fingerprint(FRAMES, info.width, info.height, path.stat().st_size), path
    )
    studio = Studio(project, Clip(info, FRAMES, partial(open_source, path)), lambda name: ToyNetwork())
    shelf = FrameShelf(open_source(path), FRAMES, most_bytes=2**22)
    studio.start()
    wait_for(lambda: studio.worker.model.state == "ready")
    numbers = []
    for i in (1, 3):
        subject, _ = studio.add_subject("mask")
        x, y = centre(i, 0)
        studio.prompt(subject.id, 0, [(SCALE * x, SCALE * y)], [1], None)
        numbers.append(subject.id)
    memory: dict[int, float] = {}

    def watch(event: dict[str, Any]) -> None:
        if event["type"] == "run" and event["shapes"]:
            frame = event["shapes"][0]["frame"]
            shelf.jpeg(frame)  # as a page does that follows the run
            if frame in (EARLY, LATE):
                memory[frame] = resident_mib()

    studio.listen(watch)
    running = studio.begin_run(spec_of(tuple(numbers), 0, FRAMES - 1))
    finished(studio, patience=500.0)
    assert running.progress.done == FRAMES - 1
    assert len(project.marks()) == 2 * FRAMES
    studio.close()
    shelf.close()
    return memory[EARLY], memory[LATE]
