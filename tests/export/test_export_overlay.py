import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepsight.export import draw
from keepsight.export.overlay import Painter, color
from keepsight.types import FrameResult

MakeResult = Callable[..., FrameResult]


def test_masks_are_tinted_and_the_rest_and_the_input_stay(make_result: MakeResult) -> None:
    result = make_result(0, {1: (100, 100, 160, 150)}, size=(200, 300))
    picture = draw(result)
    assert picture.shape == (200, 300, 3)
    assert picture.dtype == np.uint8
    assert (result.image == 100).all()
    tint = 100 * 0.55 + np.array(color(1)) * 0.45
    assert np.abs(picture[130, 130] - tint).max() <= 1
    assert picture[100, 130].tolist() == list(color(1))  # the box's outline
    assert (picture[160:, :] == 100).all()
    assert (picture[:, :90] == 100).all()


def test_the_label_says_name_and_score_above_the_box(make_result: MakeResult) -> None:
    plain = draw(make_result(0, {1: (100, 100, 160, 150)}, size=(200, 300)), {1: "a"})
    long = draw(make_result(0, {1: (100, 100, 160, 150)}, size=(200, 300)), {1: "a much longer name"})
    widths = [int((picture[80:99] != 100).any(axis=(0, 2)).sum()) for picture in (plain, long)]
    assert 0 < widths[0] < widths[1]
    tag = plain[85:99, 102 : 100 + widths[0] - 2]
    assert tag.max() > 200
    assert math.dist(tag.reshape(-1, 3).mean(axis=0), color(1)) < 120


def test_objects_have_the_colours_they_are_given(make_result: MakeResult) -> None:
    result = make_result(0, {1: (100, 100, 160, 150), 2: (200, 100, 260, 150)}, size=(200, 300))
    picture = draw(result, colors={1: (1, 2, 3)})
    assert picture[100, 130].tolist() == [1, 2, 3]
    assert picture[100, 230].tolist() == list(color(2))


def test_absent_objects_are_not_drawn(make_result: MakeResult) -> None:
    result = make_result(0, {1: None})
    assert np.array_equal(draw(result), result.image)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    corners=st.lists(st.tuples(*[st.integers(0, 59)] * 4), max_size=4),
    name=st.text(max_size=80),
)
def test_any_frame_box_and_name_can_be_drawn(
    make_result: MakeResult,
    size: tuple[int, int],
    corners: list[tuple[int, int, int, int]],
    name: str,
) -> None:
    rects = {
        i: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]) + 1, max(c[1], c[3]) + 1)
        for i, c in enumerate(corners)
    }
    picture = draw(make_result(0, rects, size=size), dict.fromkeys(rects, name))
    assert picture.shape == (*size, 3)


def test_tags_keep_off_each_other_where_there_is_room(make_result: MakeResult) -> None:
    rects = {1: (100, 100, 160, 150), 2: (104, 102, 164, 152)}
    both = draw(make_result(0, rects, size=(300, 300)))
    for object_id, rect in rects.items():
        alone = draw(make_result(0, {object_id: rect}, size=(300, 300)))
        plate = (alone == color(object_id)).all(axis=2).sum()
        assert (both == color(object_id)).all(axis=2).sum() > 0.6 * plate


def test_colors_are_stable_and_those_of_neighbours_are_far_apart() -> None:
    assert color(1) == (38, 150, 255)
    first = [color(object_id) for object_id in range(1, 13)]
    assert min(math.dist(a, b) for a in first for b in first if a != b) > 60
    assert len({color(object_id) for object_id in range(-5, 300)}) > 290
    assert min(math.dist(color(i), color(i + 1)) for i in range(-5, 300)) > 60


@pytest.mark.parametrize("name", ["собака", "犬", "a\nb", "🐕", ""])
def test_names_of_every_script_are_drawn(make_result: MakeResult, name: str) -> None:
    result = make_result(0, {1: (50, 50, 90, 90)}, size=(120, 200))
    assert (draw(result, {1: name})[30:49, 52:80] != 100).any()


def test_a_painter_draws_each_result_once(make_result: MakeResult) -> None:
    painter, first, second = Painter({1: "dog"}), make_result(0, {1: (1, 1, 9, 9)}), make_result(1, {})
    assert painter(first) is painter(first)
    assert np.array_equal(painter(first), draw(first, {1: "dog"}))
    assert np.array_equal(painter(second), draw(second))
