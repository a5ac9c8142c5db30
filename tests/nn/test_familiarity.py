"""Familiarity: nothing before training; then what stood there a while ago, apart from what has just come."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from keepsight.nn.efficientnet import EfficientNetConfig
from keepsight.nn.familiarity import FAINTEST, UNIT, Familiarity, shown_or_not
from keepsight.nn.io import ImageFeatures, MemoryBatch
from keepsight.nn.matching import MatchingConfig, MatchingRead
from keepsight.nn.sam2 import Sam2
from tests.weights.miniature import TINY

SIDE, WIDTH, MEMORY_WIDTH = 4, 16, 8
TOKENS = SIDE * SIDE
OBJECT, TWIN_PLACE, NEW_PLACE = 5, 3, 12  # cells
PRESENT, ABSENT = 20.0, -1024.0


def test_a_cell_is_shown_as_far_as_its_mask_reaches() -> None:
    evidence = torch.zeros(2, 3, 16)
    evidence[0, 1, :4] = 1
    marks = shown_or_not(evidence)
    assert marks.shape == (2, 3, 2)
    assert marks[0, 1].tolist() == [0.25, 0.75]
    assert marks[1].tolist() == [[0, 1]] * 3


def test_it_adds_nothing_until_it_is_trained() -> None:
    fresh = Familiarity(8, WIDTH)
    assert not fresh(torch.rand(2, TOKENS, 6)).any()
    plain = MatchingRead(MatchingConfig(key_width=WIDTH), WIDTH, MEMORY_WIDTH)
    more = MatchingRead(MatchingConfig(key_width=WIDTH, familiarity=8), WIDTH, MEMORY_WIDTH)
    missing, unknown = more.load_state_dict(plain.state_dict(), strict=False)
    assert not unknown
    assert all(name.startswith("familiarity.") for name in missing)
    torch.manual_seed(0)
    frame = ImageFeatures(*[torch.randn(1, WIDTH, SIDE, SIDE)] * 3)
    memory = plain.remember(frame, torch.randn(1, 1, 16, 16))[:, None]
    values = torch.randn(1, 1, TOKENS, MEMORY_WIDTH)
    for got, wanted in zip(more.read(frame, memory, values), plain.read(frame, memory, values), strict=True):
        assert torch.equal(got, wanted)


def test_nothing_alike_is_a_number_too() -> None:
    weighed = Familiarity(8, WIDTH)
    torch.nn.init.ones_(weighed.out.weight)
    assert torch.isfinite(weighed(torch.zeros(1, 1, 6))).all()
    faint = weighed(torch.full((1, 1, 6), FAINTEST))
    assert torch.equal(weighed(torch.zeros(1, 1, 6)), faint)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The sums that the familiarity of a read was given."""
    given: list[torch.Tensor] = []
    forward = Familiarity.forward

    def listen(self: Familiarity, sums: torch.Tensor) -> torch.Tensor:
        given.append(sums.detach())
        return forward(self, sums)

    monkeypatch.setattr(Familiarity, "forward", listen)
    return given


def read_of(nearness: float) -> MatchingRead:
    """A read whose keys are the embeddings."""
    read = MatchingRead(MatchingConfig(key_width=WIDTH, temperature=0.02, familiarity=4), WIDTH, MEMORY_WIDTH)
    with torch.no_grad():
        read.key.weight.copy_(torch.eye(WIDTH))
        read.key.bias.zero_()
        read.nearness.fill_(nearness)
    return read


def scene(**places: int) -> ImageFeatures:
    """A frame on which no two cells look alike but for one object's and its twin's, by where they are."""
    cells = torch.eye(TOKENS)
    likeness = torch.nn.functional.normalize(torch.ones(WIDTH), dim=0) * 10
    for place in places.values():
        cells[:, place] = likeness
    return ImageFeatures(*[cells.reshape(1, WIDTH, SIDE, SIDE)] * 3)


def mask_of(*places: int) -> torch.Tensor:
    cells = torch.full((SIDE, SIDE), ABSENT)
    for place in places:
        cells[place // SIDE, place % SIDE] = PRESENT
    return cells.repeat_interleave(4, 0).repeat_interleave(4, 1)[None, None]


def test_a_twin_that_stands_there_is_told_from_the_object_that_comes_back(told: list[torch.Tensor]) -> None:
    """The object hid two frames ago; its twin is where it was, and the object comes out somewhere else."""
    read = read_of(nearness=6.0)
    first = read.remember(scene(object=OBJECT, twin=TWIN_PLACE), mask_of(OBJECT))
    hidden = read.remember(scene(twin=TWIN_PLACE), mask_of())
    memory = torch.stack([first, hidden, hidden], dim=1)
    view, values = scene(object=NEW_PLACE, twin=TWIN_PLACE), torch.zeros(1, 3, TOKENS, MEMORY_WIDTH)
    read.read(view, memory, values, earlier=1)
    everywhere, _, before = told[0].view(TOKENS, 3, 2).unbind(1)
    twin, back = everywhere[TWIN_PLACE], everywhere[NEW_PLACE]
    torch.testing.assert_close(twin, back)  # by looks alone there is no telling
    assert 2 * twin[0] == pytest.approx(twin[1].item(), rel=0.05)  # seen once as itself, its twin twice
    assert before[TWIN_PLACE, 1] > 0.9  # looks like what was there and was not the object
    assert before[NEW_PLACE, 1] < 0.05
    assert before[:, 0].max() == 0  # the object was nowhere


def test_what_came_a_few_frames_ago_is_still_new(told: list[torch.Tensor]) -> None:
    """What is missed when it begins to come into view is not known ever after as what was there already."""
    read = read_of(nearness=6.0)
    first = read.remember(scene(object=OBJECT), mask_of(OBJECT))
    hidden = read.remember(scene(), mask_of())
    missed = read.remember(scene(object=NEW_PLACE), mask_of())
    memory = torch.stack([first, hidden, missed], dim=1)
    for earlier in (1, 2):
        read.read(scene(object=NEW_PLACE), memory, torch.zeros(1, 3, TOKENS, MEMORY_WIDTH), earlier=earlier)
    new, known = (sums[0, NEW_PLACE, 5] for sums in told)
    assert new < 0.05
    assert known > 0.9


@pytest.mark.parametrize(("ages", "earlier"), [((0,), 0), ((0, 3, 1), 1), ((0, 0, 1), 2), ((0, 0), 1)])
def test_networks_ask_the_oldest_tracked_frame(
    monkeypatch: pytest.MonkeyPatch, ages: tuple[int, ...], earlier: int
) -> None:
    config = replace(TINY, encoder=EfficientNetConfig(), matching=MatchingConfig(key_width=8, familiarity=4))
    network = Sam2(config).eval()
    asked: list[int] = []
    read = MatchingRead.read

    def listen(self: MatchingRead, *args: Any, earlier: int) -> tuple[torch.Tensor, torch.Tensor]:
        asked.append(earlier)
        return read(self, *args, earlier=earlier)

    monkeypatch.setattr(MatchingRead, "read", listen)
    with torch.inference_mode():
        features = network.encode_image(torch.zeros(1, 3, config.image_size, config.image_size))
        side = 4 * config.grid
        maps = network.encode_memory(features, torch.zeros(1, 1, side, side), torch.ones(1, 1), prompted=True)
        memory = MemoryBatch(
            torch.stack([maps] * len(ages), dim=1),
            torch.tensor([ages]),
            torch.zeros(1, 1, config.width),
            torch.ones(1, 1),
        )
        network.segment(features, memory, None, multimask=True)
    assert asked == [earlier]


def test_the_mean_over_frames_does_not_grow_with_them(told: list[torch.Tensor]) -> None:
    read = read_of(nearness=-10.0)
    extra = read.remember(scene(object=OBJECT), mask_of(OBJECT))
    for frames in (1, 5):
        memory = torch.stack([extra] * frames, dim=1)
        read.read(scene(object=OBJECT), memory, torch.zeros(1, frames, TOKENS, MEMORY_WIDTH))
    torch.testing.assert_close(*told, rtol=1e-5, atol=1e-6)
    assert told[0][0, OBJECT, 0] == pytest.approx(1.0, abs=0.02)


def test_logs_are_of_moderate_size() -> None:
    captured: list[torch.Tensor] = []
    weighed = Familiarity(4, WIDTH)
    weighed.hidden.register_forward_pre_hook(lambda module, args: captured.append(args[0]))
    weighed(torch.tensor([[[0.0, 1.0, 600.0, 1e-3, 1e-9, 0.5]]]))
    assert captured[0].abs().max() < 2
    assert captured[0][0, 0, 1] == 0
    assert captured[0][0, 0, 3].item() == pytest.approx(torch.tensor(1e-3).log().item() / UNIT)
