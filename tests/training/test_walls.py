"""Walls: the object is seen, then not, then in most clips again; its twins are in sight and aren't it."""

import numpy as np
import pytest

from training.layers import PASSER, TARGET, Clip, paste_all
from training.sources import Sources
from training.walls import Wall, walled

LENGTH, SIZE, TRIES = 12, 96, 60


@pytest.fixture(scope="module")
def seen(sources: Sources) -> list[Clip]:
    clips = []
    for seed in range(TRIES):
        clip = Clip(np.zeros((LENGTH, SIZE, SIZE, 3), np.uint8), np.zeros((LENGTH, SIZE, SIZE), np.uint8))
        paste_all(clip, walled(np.random.default_rng(seed), sources, LENGTH))
        clips.append(clip)
    return clips


def test_it_hides_and_most_often_comes_out_again(seen: list[Clip]) -> None:
    areas = np.array([(clip.objects == TARGET).sum(axis=(1, 2)) for clip in seen], np.float32)
    shown = areas[areas[:, 0] > 0]
    assert len(shown) > 0.8 * TRIES  # the others are outside of the frame, and such clips are drawn again
    hidden = shown < 0.05 * shown[:, :1]
    assert hidden.any(axis=1).mean() > 0.8
    returns = hidden.any(axis=1) & ~hidden[:, -1]
    assert 0.3 < returns.mean() < 0.9


def test_some_come_out_elsewhere(seen: list[Clip]) -> None:
    moves = []
    for clip in seen:
        ends = [np.argwhere(clip.objects[t] == TARGET) for t in (0, -1)]
        if all(len(end) for end in ends):
            moves.append(np.linalg.norm(ends[0].mean(0) - ends[1].mean(0)) / SIZE)
    assert np.quantile(moves, 0.8) > 0.3


def test_twins_are_in_sight_while_it_is_hidden(seen: list[Clip]) -> None:
    alone = [clip.objects[(clip.objects != TARGET).all(axis=(1, 2))] for clip in seen]
    with_twin = [(objects > TARGET).any(axis=(1, 2)).mean() for objects in alone if len(objects)]
    assert 0.3 < np.mean(with_twin) < 0.95


def test_layers_are_the_twins_the_object_and_the_wall(sources: Sources) -> None:
    counts = set()
    for seed in range(20):
        *twins, target, wall = walled(np.random.default_rng(seed), sources, LENGTH)
        assert (target.group, wall.group) == (TARGET, PASSER)
        assert [twin.group for twin in twins] == list(range(TARGET + 1, TARGET + 1 + len(twins)))
        counts.add(len(twins))
        assert (wall.cutout.alpha == 255).all()
    assert counts == {0, 1, 2}


def test_a_place_is_measured_along_and_across() -> None:
    wall = Wall(np.array([0.5, 0.4], np.float32), np.pi / 2, 0.1)
    place = wall.place(np.array([0.2], np.float32), np.array([0.1], np.float32))
    np.testing.assert_allclose(place, [[0.4, 0.6]], atol=1e-6)
