"""A stand-in for the model and tracker: masks are boxes that slide right; any step can fail."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from keepsight.apps.cli.job import Engine
from keepsight.errors import UnknownModelError
from keepsight.memory import make_policy
from keepsight.types import Frame, FrameResult, ObjectResult
from keepsight.video import open_source

SIZE = (64, 48)  # width, height


@dataclass
class StandIn:
    """Records what it was asked and acts before each frame as told."""

    before_frame: Callable[[int], None] = lambda index: None
    loaded: list[dict[str, Any]] = field(default_factory=list)
    tracked: list[dict[str, Any]] = field(default_factory=list)
    closed: bool = False

    def load_model(self, name: str, **options: Any) -> str:
        if name == "nonesuch":
            raise UnknownModelError("The catalogue has no model 'nonesuch'.")
        self.loaded.append({"name": name, **options})
        return name

    def track(self, source: Any, prompts: Any, **options: Any) -> Iterator[FrameResult]:
        self.tracked.append({"prompts": prompts, **options})
        ids = sorted({number for marks in prompts.values() for number in marks})
        part: slice[Any, Any, Any] = options["frames"]
        start = min(prompts) if part.start is None else part.start
        try:
            with open_source(source) as opened:
                for frame in opened.frames(start, part.stop):
                    self.before_frame(frame.index)
                    objects = {number: slid_box(number, frame) for number in ids}
                    yield FrameResult(frame.index, frame.time, frame.image, objects)
        finally:
            self.closed = True

    def __call__(self) -> Engine:
        return Engine(make_policy, self.load_model, self.track)


def slid_box(number: int, frame: Frame) -> ObjectResult:
    mask = np.zeros(frame.image.shape[:2], np.bool_)
    mask[4 * number : 4 * number + 8, 2 * frame.index : 2 * frame.index + 10] = True
    return ObjectResult(mask, 0.9, 0.95, True)


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of six frames, 1.png to 6.png."""
    folder = tmp_path / "images"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(1, 7):
        pixels = random.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder
