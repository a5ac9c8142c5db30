"""The fine read: masks follow what looks alike, nearby for the latest frame and anywhere for the first."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from keepsight.nn import matching
from keepsight.nn.fine_matching import BAND, MARGIN, STEEPEST, FineRead
from keepsight.nn.io import ImageFeatures

WIDTH, KEY = 128, 64
SIDE = 8  # of the coarse grid


@pytest.fixture
def read() -> FineRead:
    """A read whose keys are the cells' own features and which tells cells sharply apart."""
    torch.manual_seed(0)
    made = FineRead(WIDTH, KEY).eval()
    with torch.no_grad():
        made.coarse_key.weight.zero_()
        made.sharpness.fill_(4.0)
    return made


def frame(middle: Tensor) -> ImageFeatures:
    """A frame told by its stride-8 features (1, C / 4, 2h, 2w) alone."""
    side = middle.shape[-1]
    coarse = torch.zeros(1, WIDTH, side // 2, side // 2, dtype=middle.dtype)
    return ImageFeatures(coarse, torch.zeros(1, WIDTH // 8, 2 * side, 2 * side), middle)


def scene(seed: int = 1, side: int = 2 * SIDE) -> Tensor:
    torch.manual_seed(seed)
    return torch.randn(1, WIDTH // 4, side, side)


def evidence(mask: Tensor) -> Tensor:
    """A mask (1, 1, 4h, 4w) the way it is remembered, (1, n, 16)."""
    return F.pixel_unshuffle(mask, 4).flatten(2).transpose(1, 2)


def square(row: int, column: int, size: int = 8, side: int = 4 * SIDE) -> Tensor:
    mask = torch.zeros(1, 1, side, side)
    mask[..., row : row + size, column : column + size] = 1
    return mask


def carried(read: FineRead, seen: Tensor, memories: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Reads a frame's features from remembered (features, mask) pairs."""
    remembered = torch.stack([read.remember(frame(middle)) for middle, _ in memories], dim=1)
    masks = torch.stack([evidence(mask) for _, mask in memories], dim=1)
    return read.read(frame(seen), remembered, masks)


def test_a_scene_that_moved_takes_its_mask_along(read: FineRead) -> None:
    """Shifted by two cells of stride 8, that is four of the mask's pixels."""
    before, mask = scene(), square(8, 4)
    after, expected = before.roll(2, dims=3), mask.roll(4, dims=3)
    out = carried(read, after, [(before, mask)])
    assert out.shape == (1, FineRead.CHANNELS, 4 * SIDE, 4 * SIDE)
    for found in out[0, :2]:
        assert (found[2:-2, 6:-6] - expected[0, 0, 2:-2, 6:-6]).abs().max() < 0.1


def test_the_first_frame_is_looked_up_everywhere_and_the_last_nearby(read: FineRead) -> None:
    """The left half of a wide scene comes again at the far right: only the first frame's mask follows."""
    side = 32
    before, mask = scene(2, side), square(20, 4, side=2 * side)
    after = before.roll(side // 2, dims=3)
    everywhere, nearby, sure, unsure = carried(read, after, [(before, mask)])[0]
    far = mask.roll(side, dims=3)[0, 0].bool()
    assert everywhere[far].min() > 0.9
    assert nearby[far].max() < 0.5
    assert sure[far].mean() > unsure[far].mean() + 0.1  # it is told how little there was to go by


def test_each_of_two_frames_answers_with_its_own_mask(read: FineRead) -> None:
    view, first, last = scene(3), square(0, 0), square(16, 16)
    out = carried(read, view, [(view, first), (scene(4), square(8, 8)), (view, last)])
    assert ((out[0, 0] > 0.5) == first[0, 0].bool()).all()
    assert ((out[0, 1] > 0.5) == last[0, 0].bool()).all()


@pytest.mark.parametrize("side", [4, 10, 20])
def test_the_near_read_is_a_full_read_of_the_rows_around(read: FineRead, side: int) -> None:
    query, keys = (F.normalize(torch.randn(1, side, side, KEY), dim=-1) for _ in range(2))
    content = torch.rand(1, 5, side, side)
    read.sharpness.data.fill_(2.0)
    found = read._nearby(query, keys, content)
    places = torch.stack(torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij"), -1).reshape(
        -1, 2
    )
    start = places[:, :1] // BAND * BAND
    inside = (places[:, 0] >= start - MARGIN) & (places[:, 0] < start + BAND + MARGIN)
    squares = (places[:, None] - places[None]) ** 2 / side**2
    penalty = (read.nearness.exp() * squares).clamp(max=STEEPEST).sum(-1)
    logs = (query.flatten(1, 2) @ keys.flatten(1, 2).mT - 1)[0] * read.sharpness[1].exp() - penalty
    weights = torch.where(inside, logs.exp(), 0.0)
    torch.testing.assert_close(found.flatten(2)[0].T, weights @ content.flatten(2)[0].T, atol=1e-6, rtol=1e-3)


def test_a_frame_may_bring_its_keys_along(read: FineRead) -> None:
    seen = frame(scene())
    brought = seen._replace(fine_keys=read.keys(seen), middle=torch.zeros_like(seen.middle))
    remembered, mask = read.remember(seen)[:, None], evidence(square(2, 3))[:, None]
    assert torch.equal(read.remember(brought)[:, None], remembered)
    assert torch.equal(read.read(brought, remembered, mask), read.read(seen, remembered, mask))


def test_objects_do_not_mix_and_gradients_arrive(read: FineRead) -> None:
    view = scene(5)
    remembered = read.remember(frame(scene(6))).expand(2, -1, -1)[:, None]
    masks = torch.cat([evidence(square(0, 0)), evidence(square(16, 8))])[:, None]
    both = read.read(frame(view), remembered, masks)
    alone = torch.cat([read.read(frame(view), remembered[i : i + 1], masks[i : i + 1]) for i in (0, 1)])
    torch.testing.assert_close(both, alone, atol=1e-5, rtol=1e-4)
    both.square().mean().backward()  # type: ignore[no-untyped-call]
    missing = [name for name, p in read.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert missing in ([], ["coarse_key.weight"])  # these frames have no coarse features


@pytest.mark.parametrize("same", [True, False])
def test_objects_that_saw_the_same_frames_share_their_likenesses(read: FineRead, same: bool) -> None:
    """And find what they find alone; in tracking, where no gradients are taken."""
    views = [frame(scene(6)), frame(scene(6 if same else 7))]
    remembered = torch.cat([read.remember(view) for view in views])[:, None].repeat(1, 2, 1, 1)
    masks = torch.cat([evidence(square(0, 0)), evidence(square(16, 8))])[:, None].repeat(1, 2, 1, 1)
    with torch.inference_mode():
        assert len(matching.shared(remembered, torch.zeros(1))) == (1 if same else 2)
        assert len(matching.shared(remembered, torch.zeros(2))) == 2
        both = read.read(frame(scene(5)), remembered, masks)
        alone = [read.read(frame(scene(5)), remembered[i : i + 1], masks[i : i + 1]) for i in (0, 1)]
    torch.testing.assert_close(both, torch.cat(alone), atol=1e-5, rtol=1e-4)


def test_bfloat16_carries_nearly_the_same(read: FineRead) -> None:
    before, mask = scene(), square(8, 4)
    exact = carried(read, before, [(before, mask)])
    read.to(torch.bfloat16)
    rounded = carried(read, before.bfloat16(), [(before.bfloat16(), mask)])
    assert rounded.dtype == torch.float32
    assert (rounded[:, :2] - exact[:, :2]).abs().max() < 0.05


@pytest.mark.parametrize("at_a_time", [1, 1000, 10**9])
def test_cells_are_looked_up_in_parts_to_the_same_end(
    read: FineRead, monkeypatch: pytest.MonkeyPatch, at_a_time: int
) -> None:
    memories = [(scene(1), square(8, 4)), (scene(2), square(4, 12))]
    expected = carried(read, scene(3), memories)
    monkeypatch.setattr(matching, "AT_A_TIME", at_a_time)
    torch.testing.assert_close(carried(read, scene(3), memories), expected, rtol=1e-5, atol=1e-6)
