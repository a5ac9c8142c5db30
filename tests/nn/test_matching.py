"""The matching read: what it remembers, what it finds, and that frames and objects stay apart."""

import pytest
import torch
from torch.nn import functional as F

from keepsight.nn import matching
from keepsight.nn.io import ImageFeatures
from keepsight.nn.matching import STEPS, MatchingConfig, MatchingRead, coarse, squared_distances

WIDTH, MEMORY_WIDTH, SIDE = 16, 8, 4
TOKENS = SIDE * SIDE
ROUNDED = 1 / STEPS + 1e-6


@pytest.fixture
def read() -> MatchingRead:
    torch.manual_seed(0)
    return MatchingRead(MatchingConfig(key_width=WIDTH, temperature=0.02), WIDTH, MEMORY_WIDTH).eval()


def features(seed: int, batch: int = 1) -> ImageFeatures:
    torch.manual_seed(seed)
    return ImageFeatures(
        torch.randn(batch, WIDTH, SIDE, SIDE),
        torch.zeros(batch, 2, 4 * SIDE, 4 * SIDE),
        torch.zeros(batch, 4, 2 * SIDE, 2 * SIDE),
    )


def logits(batch: int = 1, seed: int = 5) -> torch.Tensor:
    torch.manual_seed(seed)
    return 20 * torch.randn(batch, 1, 4 * SIDE, 4 * SIDE)


def test_shapes(read: MatchingRead) -> None:
    extra = read.remember(features(0), logits(batch=3))
    assert extra.shape == (3, TOKENS, read.extra_width)
    memory = torch.stack([extra, extra], dim=1)
    out, masks = read.read(features(1), memory, torch.zeros(3, 2, TOKENS, MEMORY_WIDTH))
    assert out.shape == (3, WIDTH, SIDE, SIDE)
    assert masks.shape == (3, 2, 4 * SIDE, 4 * SIDE)


def test_keys_have_unit_length_and_evidence_is_the_mask(read: MatchingRead) -> None:
    mask = logits()
    extra = read.remember(features(0), mask)
    keys, evidence = extra[..., :WIDTH], extra[..., WIDTH:]
    torch.testing.assert_close(keys.norm(dim=-1), torch.ones(1, TOKENS), rtol=0, atol=ROUNDED)
    for row in range(SIDE):
        for column in range(SIDE):
            cell = mask[0, 0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].sigmoid()
            torch.testing.assert_close(evidence[0, row * SIDE + column], cell.flatten(), rtol=0, atol=ROUNDED)


def test_an_absent_object_leaves_no_evidence(read: MatchingRead) -> None:
    evidence = read.remember(features(0), torch.full((1, 1, 16, 16), -1024.0))[..., WIDTH:]
    assert not evidence.any()


def test_a_frame_that_looks_the_same_reads_its_own_mask(read: MatchingRead) -> None:
    """With orthogonal cells and a low temperature every cell finds itself, wherever it went."""
    embedding = torch.eye(TOKENS).reshape(1, TOKENS, SIDE, SIDE)
    frame = features(0)._replace(embedding=embedding)
    with torch.no_grad():
        read.key.weight.copy_(torch.eye(WIDTH))
        read.key.bias.zero_()
        read.nearness.fill_(-10.0)
    moved = frame._replace(embedding=embedding.flip(3))
    captured: list[torch.Tensor] = []
    read.fuse.register_forward_pre_hook(lambda module, args: captured.append(args[0]))
    extra = read.remember(frame, logits())
    _, masks = read.read(moved, extra[:, None], torch.zeros(1, 1, TOKENS, MEMORY_WIDTH))
    found = captured[0][..., MEMORY_WIDTH : MEMORY_WIDTH + 16].reshape(SIDE, SIDE, 16)
    whole = F.pixel_unshuffle(masks[0, :1], 4).permute(1, 2, 0)
    torch.testing.assert_close(whole, found)
    expected = extra[0, :, WIDTH:].reshape(SIDE, SIDE, 16).flip(1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_the_near_read_prefers_places_nearby(read: MatchingRead) -> None:
    """Where everything looks alike, the near read still finds the cell itself; the wide read the mean."""
    frame = features(0)._replace(embedding=torch.ones(1, WIDTH, SIDE, SIDE))
    captured: list[torch.Tensor] = []
    read.fuse.register_forward_pre_hook(lambda module, args: captured.append(args[0]))
    extra = read.remember(frame, logits())
    read.read(frame, extra[:, None], torch.zeros(1, 1, TOKENS, MEMORY_WIDTH))
    wide, near = captured[0][0].chunk(2, dim=-1)
    evidence = extra[0, :, WIDTH:]
    torch.testing.assert_close(wide[:, MEMORY_WIDTH:], evidence.mean(0).expand(TOKENS, -1), atol=1e-4, rtol=0)
    own = (near[:, MEMORY_WIDTH:] - evidence).abs().mean()
    assert own < 0.2 * (wide[:, MEMORY_WIDTH:] - evidence).abs().mean()


def test_objects_and_order_of_frames_do_not_mix(read: MatchingRead) -> None:
    first, second = read.remember(features(1), logits(2, 1)), read.remember(features(2), logits(2, 2))
    values = torch.randn(2, 2, TOKENS, MEMORY_WIDTH)
    memory = torch.stack([first, second], dim=1)
    both, _ = read.read(features(3), memory, values)
    alone = torch.cat([read.read(features(3), memory[i : i + 1], values[i : i + 1])[0] for i in (0, 1)])
    torch.testing.assert_close(both, alone, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        both, read.read(features(3), memory.flip(1), values.flip(1))[0], atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("same", [True, False])
def test_objects_that_saw_the_same_frames_share_their_likenesses(read: MatchingRead, same: bool) -> None:
    """And read what they read alone, asked for one frame or each for its own; without gradients."""
    extra = torch.stack([read.remember(features(n), logits(3, n)) for n in (1, 2)], dim=1)
    if not same:
        extra[2, 1] = read.remember(features(5), logits())[0]
    values, scales = torch.randn(3, 2, TOKENS, MEMORY_WIDTH), torch.tensor([[1.0, 0.9]]).expand(3, 2)
    with torch.inference_mode():
        for view in (features(3), features(3, batch=3)):
            own = [view._replace(embedding=e[None]) for e in view.embedding.expand(3, -1, -1, -1)]
            both = read.read(view, extra, values, scales, earlier=1)
            alone = [
                read.read(own[i], *(x[i : i + 1] for x in (extra, values, scales)), earlier=1)
                for i in range(3)
            ]
            for got, wanted in zip(both, zip(*alone, strict=True), strict=True):
                torch.testing.assert_close(got, torch.cat(wanted), atol=1e-5, rtol=1e-5)


def test_features_of_each_object_are_accepted(read: MatchingRead) -> None:
    frames = features(4, batch=2)
    extra = read.remember(frames, logits(2))
    out, _ = read.read(frames, extra[:, None], torch.zeros(2, 1, TOKENS, MEMORY_WIDTH))
    one = frames._replace(embedding=frames.embedding[1:])
    alone, _ = read.read(one, extra[1:, None], torch.zeros(1, 1, TOKENS, MEMORY_WIDTH))
    torch.testing.assert_close(out[1:], alone, atol=1e-5, rtol=1e-5)


def test_a_frame_may_bring_its_keys_along(read: MatchingRead) -> None:
    frame = features(0)
    brought = frame._replace(keys=read.keys(frame), embedding=torch.zeros_like(frame.embedding))
    expected, found = (read.remember(one, logits()) for one in (frame, brought))
    assert torch.equal(found, expected)
    values = torch.randn(1, 1, TOKENS, MEMORY_WIDTH)
    for one, other in zip(
        *(read.read(one, expected[:, None], values) for one in (frame, brought)), strict=True
    ):
        assert torch.equal(one, other)


def test_gradients_reach_keys_and_memory(read: MatchingRead) -> None:
    extra = read.remember(features(1), logits())
    out, _ = read.read(features(2), extra[:, None], torch.randn(1, 1, TOKENS, MEMORY_WIDTH))
    out.sum().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in read.parameters())


def test_distances_are_those_of_a_unit_square() -> None:
    squares = squared_distances(2, 4, torch.device("cpu"), torch.float32)
    assert squares.shape == (8, 8)
    assert squares[0, 1] == pytest.approx(0.25**2)
    assert squares[0, 4] == pytest.approx(0.5**2)
    assert squares[0, 7] == pytest.approx(0.75**2 + 0.5**2)


def test_frames_without_the_object_are_not_read_but_for_the_first_and_one_more(read: MatchingRead) -> None:
    first, last = read.remember(features(1), logits(1, 1)), read.remember(features(2), logits(1, 2))
    absent = read.remember(features(3), torch.full((1, 1, 16, 16), -1024.0))
    values = torch.randn(1, 3, TOKENS, MEMORY_WIDTH)
    view = features(4)
    with_absent = read.read(view, torch.stack([first, absent, last], dim=1), values)
    without = read.read(view, torch.stack([first, last], dim=1), values[:, [0, 2]])
    torch.testing.assert_close(with_absent, without, atol=1e-5, rtol=1e-5)
    _, told = read.read(view, torch.stack([first, absent, last], dim=1), values, earlier=1)
    assert (told[0, 0] <= without[1][0, 0]).all()  # it says of every place that it was not the object
    assert (told[0, 0] < without[1][0, 0] - 1e-3).any()
    _, masks = read.read(view, torch.stack([absent, absent], dim=1), values[:, :2])
    assert not masks.any()


@pytest.mark.parametrize("at_a_time", [1, 5 * 2 * TOKENS, 10**9])
def test_cells_are_looked_up_in_parts_to_the_same_end(
    read: MatchingRead, monkeypatch: pytest.MonkeyPatch, at_a_time: int
) -> None:
    memory = torch.stack([read.remember(features(n, 3), logits(3, seed=n)) for n in (1, 2)], dim=1)
    values = torch.randn(3, 2, TOKENS, MEMORY_WIDTH)
    expected = read.read(features(4), memory, values)
    monkeypatch.setattr(matching, "AT_A_TIME", at_a_time)
    for got, wanted in zip(read.read(features(4), memory, values), expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_coarse_numbers_are_whole_steps_and_pass_their_gradient(dtype: torch.dtype) -> None:
    x = torch.linspace(-1, 1, 1001).to(dtype).requires_grad_()
    with torch.no_grad():
        rounded = coarse(x)
        assert rounded.dtype == dtype
        assert torch.equal(rounded.float() * STEPS, (rounded.float() * STEPS).round())
        assert rounded.min().item() == -1
        assert rounded.max().item() == (STEPS - 1) / STEPS
        assert (rounded - x).abs().max() <= 1 / STEPS
        assert torch.equal(coarse(rounded), rounded)
    coarse(x).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert torch.equal(x.grad, torch.ones_like(x))
