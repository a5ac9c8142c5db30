"""Keyframes that keepsight wrote are told from hand-made ones, whatever a hand does to them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepsight.apps.cvat.job.labeled import Figure
from keepsight.apps.cvat.job.mark import COARSE, FINE, Mark, is_marked

MARKS = {"fine": FINE, "coarse": COARSE}
quarters = st.integers(-40, 16_000).map(lambda number: number / 4)
rectangles = st.tuples(quarters, quarters, quarters, quarters).map(lambda points: ("rectangle", points))
polygons = st.lists(quarters, min_size=3, max_size=40).map(lambda xs: ("polygon", (*xs, *reversed(xs))))
figures = st.builds(
    lambda outline, outside, rotation: Figure(5, outline[0], outline[1], rotation, outside),
    rectangles | polygons,
    st.booleans(),
    st.sampled_from([0.0, 12.34, 359.99]),
)
marks = pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS)


@marks
@given(figure=figures, position=st.integers(0, 100_000))
def test_what_is_signed_is_known_again_and_lies_where_it_lay(
    mark: Mark, figure: Figure, position: int
) -> None:
    signed = mark.put(figure, position)
    assert is_marked(signed, position)
    assert replace(signed, points=figure.points) == figure
    largest = 0.0049 if mark is FINE else 0.12
    assert all(abs(a - b) <= largest + 1e-9 for a, b in zip(signed.points, figure.points, strict=True))
    low, high = min(figure.points[::2]), max(figure.points[::2])
    if low < high:
        assert all(low - 1e-9 <= x <= high + 1e-9 for x in signed.points[::2])  # never out of the frame


@given(figure=figures, position=st.integers(0, 100_000))
def test_rounded_as_cvat_shows_it_a_fine_mark_leaves_no_trace(figure: Figure, position: int) -> None:
    assert [round(point, 2) for point in FINE.put(figure, position).points] == list(figure.points)


@given(figure=figures, position=st.integers(0, 100_000))
def test_two_decimals_keep_a_coarse_mark(figure: Figure, position: int) -> None:
    signed = COARSE.put(figure, position)
    printed = tuple(float(f"{point:.2f}") for point in signed.points)
    assert is_marked(replace(signed, points=printed), position)


@given(figure=figures, position=st.integers(0, 1000), data=st.data())
def test_a_hand_breaks_it(figure: Figure, position: int, data: st.DataObject) -> None:
    signed = FINE.put(figure, position)
    place = data.draw(st.integers(0, len(figure.points) - 1))
    shift = data.draw(st.floats(0.02, 50) | st.floats(-50, -0.02) | st.integers(1, 9))
    moved = [point + shift * (i == place) for i, point in enumerate(signed.points)]
    changed = [
        replace(signed, points=tuple(moved)),
        replace(signed, points=tuple(point + shift for point in signed.points)),
        replace(signed, outside=not signed.outside),
        replace(signed, rotation=(signed.rotation + 7) % 360),
        replace(signed, points=(*signed.points[2:], *signed.points[:2])),
    ]
    assert not any(is_marked(one, position) for one in changed if one != signed)
    assert not is_marked(signed, position + 1)


@pytest.mark.parametrize(("mark", "most"), [(FINE, 0), (COARSE, 6)])
def test_a_drag_by_whole_pixels_passes_as_rarely_as_is_said(mark: Mark, most: int) -> None:
    random = np.random.default_rng(0)
    passed = 0
    for position in range(40_000):
        x, y, width, height = random.integers(1, 900, 4).tolist()
        signed = mark.put(Figure(0, "rectangle", (x, y, x + width, y + height)), position)
        moved = list(signed.points)
        moved[random.integers(4)] += 1 + position % 7
        passed += is_marked(replace(signed, points=tuple(moved)), position)
    assert passed <= most  # 40,000 / 28,561 are expected of the coarse one


@given(st.lists(st.integers(0, 2000), min_size=4, max_size=4), st.integers(0, 1000))
def test_whole_numbers_and_mouse_positions_are_hand_made(points: list[int], position: int) -> None:
    assert not FINE.fits(Figure(0, "rectangle", tuple(map(float, points))), position)
    mouse = tuple(point + 0.3828125 for point in points)
    assert not is_marked(Figure(0, "rectangle", mouse), position)


def test_a_mask_is_never_marked() -> None:
    assert not is_marked(Figure(0, "mask", (0.0, 1.0, 3.0, 3.0, 3.0, 3.0)), 0)
