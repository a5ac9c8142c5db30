import torch

from keepsight.nn.io import ImageFeatures, MemoryBatch, MemoryView
from keepsight.nn.sam2 import Sam2
from tests.oracle import lively_network, tiny_config


def view(scaled: bool) -> MemoryView:
    generator = torch.Generator().manual_seed(0)
    maps = tuple(torch.randn(64, 64, generator=generator) for _ in range(3))
    pointers = tuple(torch.randn(256, generator=generator) for _ in range(2))
    plain = MemoryView(maps, (0, 2, 1), pointers, (3, 1))
    if not scaled:
        return plain
    return plain._replace(map_scales=(1.05, 0.95, 1.0), pointer_scales=(1.05, 0.95))


def features() -> ImageFeatures:
    generator = torch.Generator().manual_seed(1)
    shapes = ((1, 256, 8, 8), (1, 32, 32, 32), (1, 64, 16, 16))
    return ImageFeatures(*(torch.randn(shape, generator=generator) for shape in shapes))


def network() -> Sam2:
    return lively_network(tiny_config())


def test_keys_with_their_positions_are_scaled_and_values_are_not() -> None:
    plain = network()._tokens(features(), MemoryBatch.stack([view(False)]))
    scaled = network()._tokens(features(), MemoryBatch.stack([view(True)]))
    tokens = torch.tensor([1.05, 0.95, 1.0, 1.05, 0.95]).repeat_interleave(torch.tensor([64, 64, 64, 4, 4]))
    torch.testing.assert_close(scaled.keys, plain.keys * tokens[:, None])
    assert torch.equal(scaled.values, plain.values)


def test_a_view_without_scales_keeps_its_keys_beside_one_that_has_them() -> None:
    both = network()._tokens(features(), MemoryBatch.stack([view(False), view(True)]))
    for row, scaled in enumerate((False, True)):
        alone = network()._tokens(features(), MemoryBatch.stack([view(scaled)]))
        torch.testing.assert_close(both.keys[row], alone.keys[0])


def test_scales_change_what_is_found() -> None:
    found = [
        network().segment(features(), MemoryBatch.stack([view(scaled)]), None, multimask=True)
        for scaled in (False, True)
    ]
    assert not torch.equal(found[0].logits, found[1].logits)
