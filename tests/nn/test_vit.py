"""SAM 3's image encoder: equal to transformers' on the same random weights."""

import pytest
import torch
from torch import nn

from keepsight.nn.vit import VitConfig, VitEncoder
from keepsight.weights.keys_transformers import TRANSFORMERS
from tests.oracle import SAM3_ENCODER, sam3_vision_config

WIDTH = 32


def reference(config: VitConfig, size: int) -> nn.Module:
    """transformers' encoder of the same numbers, random."""
    from transformers.models.sam3.modeling_sam3 import Sam3VisionModel

    torch.manual_seed(0)
    model: nn.Module = Sam3VisionModel(sam3_vision_config(config, size, WIDTH)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.15)
    return model


def ours_like(model: nn.Module, config: VitConfig) -> VitEncoder:
    encoder = VitEncoder(config, WIDTH).eval()
    theirs = {f"vision_encoder.{name}": tensor for name, tensor in model.state_dict().items()}
    like = {f"image_encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}
    weights = TRANSFORMERS.convert(theirs, like)
    encoder.load_state_dict({name.removeprefix("image_encoder."): x for name, x in weights.items()})
    return encoder


@pytest.mark.parametrize("cells", [8, 12])
def test_it_is_the_encoder_of_transformers(cells: int) -> None:
    model = reference(SAM3_ENCODER, 14 * cells)
    encoder = ours_like(model, SAM3_ENCODER)
    pixels = torch.randn(2, 3, 14 * cells, 14 * cells)
    with torch.inference_mode():
        found = encoder(pixels)
        expected = model(pixels).fpn_hidden_states[:3]
    for level, reference_level, factor in zip(found, expected, (4, 2, 1), strict=True):
        assert level.shape == (2, WIDTH, factor * cells, factor * cells)
        torch.testing.assert_close(level, reference_level, atol=2e-4, rtol=2e-4)


def test_a_size_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 56, got 70"):
        VitEncoder(SAM3_ENCODER, WIDTH)(torch.zeros(1, 3, 70, 70))


def test_sam3s_own_numbers_give_its_sizes() -> None:
    with torch.device("meta"):
        encoder = VitEncoder(VitConfig(), 256)
    assert sum(p.numel() for p in encoder.parameters()) == pytest.approx(0.46e9, rel=0.05)
    enlarging = [name for name, _ in encoder.named_modules() if ".enlarge." in name]
    assert enlarging == ["levels.0.enlarge.0", "levels.0.enlarge.1", "levels.1.enlarge.0"]
