"""The model in the package: what shows nothing is not the object, and the object is found again after it."""

from itertools import islice

import numpy as np
import pytest

from keepsight.api import load_model
from keepsight.apps.cli.demo_clip import render_clip
from keepsight.session import Session
from keepsight.types import ImageArray, Mask


def nothing(kind: str, size: tuple[int, ...]) -> ImageArray:
    if kind == "noise":
        return np.random.default_rng(0).integers(0, 256, size, np.uint8)
    return np.full(size, {"black": 0, "grey": 128, "white": 255}[kind], np.uint8)


@pytest.mark.parametrize("kind", ["black", "grey", "white", "noise"])
def test_a_frame_that_shows_nothing_does_not_show_the_object(kind: str) -> None:
    shown = list(islice(render_clip(), 6))
    session = Session(load_model("pocket", device="cpu"))
    session.step(shown[0].image, {1: Mask(shown[0].truth)})
    for frame in shown[1:5]:
        assert session.step(frame.image)[1].presence > 0.8
    for _ in range(3):
        lost = session.step(nothing(kind, shown[0].image.shape))[1]
        assert lost.presence < 0.2
        assert not lost.mask.any()
    assert session.step(shown[5].image)[1].presence > 0.8
