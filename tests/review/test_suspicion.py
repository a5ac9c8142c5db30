"""Cues: within bounds whatever comes, quiet where nothing happens, loud where something does, monotone."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keepsight.review import CUES, Trail
from keepsight.review.observations import FloatArray, Observation, Series
from keepsight.review.suspicion import (
    absence,
    area_jump,
    disagreement,
    low_presence,
    low_score,
    motion_jump,
    presence_flip,
    risks,
    shape_jump,
    standing_out,
)
from tests.review.trails import seen

Cue = Callable[[Series], FloatArray]
LENGTH = 40


def series_of(observations: list[Observation], agreements: dict[int, float] | None = None) -> Series:
    return Trail({row.frame: row for row in observations}, agreements=agreements or {}).series()


def calm(length: int = LENGTH) -> list[Observation]:
    return [seen(frame) for frame in range(length)]


@st.composite
def anything(draw: st.DrawFn) -> Series:
    """Any observations at all, on frames with gaps."""
    frames = sorted(draw(st.sets(st.integers(0, 60), max_size=25)))
    share = st.floats(0, 1)
    rows = []
    for frame in frames:
        area = draw(st.integers(0, 5000))
        corner, side = draw(st.floats(0, 500)), draw(st.floats(1, 500))
        box = (corner, corner / 2, corner + side, corner / 2 + side) if area else None
        shape = draw(st.binary(min_size=32, max_size=32)) if area else b""
        visible = bool(area) and draw(st.booleans())
        rows.append(Observation(frame, draw(share), draw(share), visible, area, box, shape))
    known = draw(st.dictionaries(st.integers(0, 60), share, max_size=10))
    trail = Trail({row.frame: row for row in rows}, draw(st.sets(st.integers(0, 60))), known)
    return trail.series()


@settings(deadline=None)
@given(anything())
def test_every_cue_stays_within_bounds_whatever_comes(series: Series) -> None:
    for cue in CUES:
        suspicion = cue.suspicion(series)
        assert suspicion.shape == series.frames.shape
        assert np.isfinite(suspicion).all()
        assert ((suspicion >= 0) & (suspicion <= 1)).all()
    shares = risks(series)
    assert shares.shape == (len(CUES), len(series.frames))
    assert not shares[:, series.is_told].any()


@pytest.mark.parametrize("length", [0, 1, 2, LENGTH])
def test_nothing_is_suspected_where_nothing_happens(length: int) -> None:
    assert not risks(series_of(calm(length))).any()


def test_a_low_score_counts_from_good_to_bad() -> None:
    rows = [replace(seen(i), score=score) for i, score in enumerate((1.0, 0.95, 0.8, 0.6, 0.5, 0.1))]
    suspicion = low_score(series_of(rows))
    assert suspicion[:2].tolist() == [0, 0]
    assert 0 < suspicion[2] < suspicion[3] < 1
    assert suspicion[4:].tolist() == [1, 1]


def test_presence_is_held_against_what_is_usual_for_the_object() -> None:
    rows = calm()
    rows[20] = replace(rows[20], presence=0.6)
    doubtful = [replace(row, presence=0.6) for row in calm()]
    assert low_presence(series_of(rows))[20] == 1
    assert not low_presence(series_of(doubtful)).any()


def test_coming_and_going_is_suspected_on_both_sides_and_for_a_while() -> None:
    rows = [seen(i, visible=i < 10 or i >= 20) for i in range(LENGTH)]
    suspicion = presence_flip(series_of(rows))
    assert suspicion[[9, 10, 19, 20]].tolist() == [1, 1, 1, 1]
    assert suspicion[8] == 0
    assert 1 > suspicion[11] > suspicion[12] > suspicion[16] > 0
    assert absence(series_of(rows)).tolist() == [float(10 <= i < 20) for i in range(LENGTH)]


def test_growing_at_once_is_suspected_and_growing_steadily_is_not() -> None:
    at_once = [seen(i, side=12 if i < 20 else 20) for i in range(LENGTH)]
    steadily = [replace(seen(i), area=int(100 * 1.1**i)) for i in range(LENGTH)]
    assert area_jump(series_of(at_once)).argmax() == 20
    assert area_jump(series_of(at_once))[20] == 1
    assert not area_jump(series_of(steadily)).any()


def test_another_shape_of_the_same_box_is_suspected() -> None:
    half = bytes([255] * 16 + [0] * 15 + [1])
    rows = [replace(row, silhouette=half) if row.frame >= 20 else row for row in calm()]
    suspicion = shape_jump(series_of(rows))
    assert suspicion.argmax() == 20
    assert suspicion[20] == 1
    assert not suspicion[:20].any()


def test_a_leap_is_suspected_and_steady_motion_is_not() -> None:
    leap = [seen(i, x=10 + 2 * i + (60 if i >= 25 else 0)) for i in range(LENGTH)]
    steady = [seen(i, x=10 + 3 * i) for i in range(LENGTH)]
    assert motion_jump(series_of(leap)).argmax() == 25
    assert motion_jump(series_of(leap))[25] > 0.9
    assert motion_jump(series_of(steady)).max() < 0.5


def test_motion_is_not_forecast_across_frames_that_are_missing() -> None:
    rows = [seen(i, x=10 + i // 2 + (60 if i >= 25 else 0)) for i in range(LENGTH) if not 20 <= i < 25]
    assert not motion_jump(series_of(rows)).any()


def test_disagreement_counts_where_it_is_known() -> None:
    suspicion = disagreement(series_of(calm(4), agreements={1: 0.25, 2: 1.0}))
    assert suspicion.tolist() == [0, 0.75, 0, 0]


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 2)),
    st.data(),
)
def test_more_change_is_never_less_suspect(changes: FloatArray, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(changes) - 1))
    more = changes.copy()
    more[at] += data.draw(st.floats(0, 2))
    counts = np.ones(len(changes), np.bool_)
    before, after = (standing_out(row, counts, floor=0.02) for row in (changes, more))
    assert after[at] >= before[at] - 1e-9


@settings(deadline=None)
@given(anything(), st.data())
def test_a_lower_score_presence_or_agreement_is_never_less_suspect(
    series: Series, data: st.DataObject
) -> None:
    if not len(series.frames):
        return
    at = data.draw(st.integers(0, len(series.frames) - 1))
    for cue, name in ((low_score, "scores"), (low_presence, "presences"), (disagreement, "agreements")):
        worse = getattr(series, name).copy()
        worse[at] *= data.draw(st.floats(0, 1))
        lowered = series._replace(**{name: worse})
        assert cue(lowered)[at] >= cue(series)[at] - 1e-9
