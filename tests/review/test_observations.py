"""What is kept of a frame: enough, little, and plain JSON."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepsight.errors import UsageError
from keepsight.review import Observation, Trail
from keepsight.types import ObjectResult
from tests.review.trails import found, seen

SHARE = st.floats(0, 1)
BOX = st.tuples(*[st.floats(0, 4000)] * 4)
OBSERVATION = st.builds(
    Observation,
    st.integers(0, 10_000),
    SHARE,
    SHARE,
    st.booleans(),
    st.integers(0, 10_000_000),
    st.none() | BOX,
    st.sampled_from([b"", bytes(range(32)), bytes(32)]),
)


def good() -> dict[str, Any]:
    return seen(3).to_json()


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {**good(), "score": None},
        {**good(), "frame": "three"},
        {**good(), "box": [1, 2, 3]},
        {**good(), "silhouette": "xy"},
        {**good(), "silhouette": "00"},
        [1, 2],
    ],
)
def test_what_is_no_observation_is_refused(entry: Any) -> None:
    with pytest.raises(UsageError, match="Track the frames anew"):
        Observation.from_json(entry)


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"observations": [], "told": 3, "agreements": []},
        {"observations": [{}], "told": [], "agreements": []},
        {"observations": [], "told": [], "agreements": [[1]]},
        None,
    ],
)
def test_what_is_no_trail_is_refused(entry: Any) -> None:
    with pytest.raises(UsageError, match="Track the"):
        Trail.from_json(entry)


def test_numbers_of_a_mask_are_kept() -> None:
    kept = seen(6, score=0.75, presence=0.5)
    assert (kept.frame, kept.score, kept.presence, kept.visible) == (6, 0.75, 0.5, True)
    assert (kept.area, kept.box) == (144, (13.0, 20.0, 25.0, 32.0))
    assert kept.silhouette == bytes([255] * 32)


def test_an_absent_object_has_neither_box_nor_silhouette() -> None:
    kept = seen(6, visible=False, score=0.1, presence=0.01)
    assert (kept.area, kept.box, kept.silhouette, kept.visible) == (0, None, b"", False)


def test_a_silhouette_tells_shapes_but_neither_place_nor_size() -> None:
    triangle = np.tri(40, dtype=np.bool_)
    small, large = np.zeros((100, 100), np.bool_), np.zeros((100, 100), np.bool_)
    small[5:45, 50:90] = triangle
    large[10:90, 5:85] = np.kron(triangle, np.ones((2, 2))) > 0
    kept = [Observation.of(0, ObjectResult(mask, 1.0, 1.0, True)).silhouette for mask in (small, large)]
    cells = [np.unpackbits(np.frombuffer(silhouette, np.uint8)) for silhouette in kept]
    assert (cells[0] == cells[1]).mean() > 0.9
    assert 0.4 < cells[0].mean() < 0.6


def test_a_mask_of_a_single_pixel_has_a_full_silhouette() -> None:
    mask = np.zeros((9, 9), np.bool_)
    mask[8, 8] = True
    assert Observation.of(0, ObjectResult(mask, 1.0, 1.0, True)).silhouette == bytes([255] * 32)


def test_two_thousand_frames_are_small() -> None:
    trail = Trail()
    for frame in range(2000):
        trail.add(seen(frame, x=frame % 150))
    assert len(json.dumps(trail.to_json())) < 2000 * 250


@settings(deadline=None)
@given(st.lists(OBSERVATION), st.sets(st.integers(0, 99)), st.dictionaries(st.integers(0, 99), SHARE))
def test_a_trail_comes_back_from_json_as_it_was(
    observations: list[Observation], told: set[int], agreements: dict[int, float]
) -> None:
    trail = Trail(told=told, agreements=agreements)
    for observation in observations:
        trail.observations[observation.frame] = observation
    assert Trail.from_json(json.loads(json.dumps(trail.to_json()))) == trail


def test_columns_are_in_the_order_of_frames() -> None:
    trail = Trail(told={2}, agreements={5: 0.25})
    for frame in (5, 2, 3):
        trail.add(Observation.of(frame, found(frame, score=frame / 10)))
    trail.agreements[5] = 0.25
    series = trail.series()
    assert series.frames.tolist() == [2, 3, 5]
    assert series.scores.tolist() == [0.2, 0.3, 0.5]
    assert series.is_told.tolist() == [True, False, False]
    assert series.adjoining.tolist() == [False, True, False]
    assert np.isnan(series.agreements[:2]).all()
    assert series.agreements[2] == 0.25
    assert series.silhouettes.shape == (3, 256)


def test_columns_of_nothing() -> None:
    series = Trail(told={4}).series()
    assert len(series.frames) == len(series.adjoining) == 0
    assert series.boxes.shape == (0, 4)
    assert series.silhouettes.shape == (0, 256)


def test_a_frame_that_changed_is_no_longer_known_to_agree() -> None:
    trail = Trail()
    trail.add(seen(4))
    trail.agreements[4] = 0.3
    trail.add(seen(4))
    assert trail.agreements == {4: 0.3}
    trail.add(seen(4, side=9))
    assert trail.agreements == {}
