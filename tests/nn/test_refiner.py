"""The refiner: nothing at first, then local, per object, on features shared by all objects."""

import torch

from keepsight.nn.io import ImageFeatures
from keepsight.nn.refiner import Refiner

WIDTH, CARRIED, SIDE = 32, 5, 4


def features() -> ImageFeatures:
    torch.manual_seed(0)
    return ImageFeatures(
        torch.randn(1, WIDTH, SIDE, SIDE),
        torch.randn(1, WIDTH // 8, 4 * SIDE, 4 * SIDE),
        torch.randn(1, WIDTH // 4, 2 * SIDE, 2 * SIDE),
    )


def trained() -> Refiner:
    torch.manual_seed(1)
    refiner = Refiner(WIDTH, CARRIED).eval()
    with torch.no_grad():
        for out in (refiner.middle_out, refiner.fine_out):
            out.weight.normal_()
    return refiner


def test_untrained_it_changes_nothing() -> None:
    frame = features()
    refined = Refiner(WIDTH, CARRIED)(frame, frame.embedding, torch.randn(1, CARRIED, 4 * SIDE, 4 * SIDE))
    torch.testing.assert_close(refined, frame)


def test_objects_share_the_frame_and_nothing_else() -> None:
    frame, refiner = features(), trained()
    embedding = torch.randn(3, WIDTH, SIDE, SIDE)
    carried = torch.randn(3, CARRIED, 4 * SIDE, 4 * SIDE)
    refined = refiner(frame, embedding, carried)
    assert refined.fine.shape == (3, WIDTH // 8, 4 * SIDE, 4 * SIDE)
    assert refined.middle.shape == (3, WIDTH // 4, 2 * SIDE, 2 * SIDE)
    alone = refiner(frame, embedding[1:2], carried[1:2])
    torch.testing.assert_close(refined.fine[1:2], alone.fine, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(refined.middle[1:2], alone.middle, atol=1e-5, rtol=1e-5)


def test_objects_that_remember_nothing_share_their_embedding() -> None:
    frame, refiner = features(), trained()
    carried = torch.randn(3, CARRIED, 4 * SIDE, 4 * SIDE)
    before = [part.clone() for part in frame[:3]]
    with torch.inference_mode():
        refined = refiner(frame, frame.embedding, carried)
        expected = refiner(frame, frame.embedding.expand(3, -1, -1, -1), carried)
    torch.testing.assert_close(refined[1:3], expected[1:3], atol=1e-5, rtol=1e-5)
    assert all(torch.equal(*pair) for pair in zip(before, frame[:3], strict=True))


def test_everything_it_is_given_counts() -> None:
    frame, refiner = features(), trained()
    embedding = torch.randn(1, WIDTH, SIDE, SIDE, requires_grad=True)
    carried = torch.randn(1, CARRIED, 4 * SIDE, 4 * SIDE, requires_grad=True)
    refined = refiner(frame, embedding, carried)
    refined.fine.square().mean().backward()
    assert embedding.grad is not None
    assert embedding.grad.abs().sum() > 0
    assert carried.grad is not None
    assert (carried.grad.abs().sum((0, 2, 3)) > 0).all()
