"""SAM 3's image encoder: equal to transformers' on the same random weights."""

import pytest
import torch
from torch import nn

from keepsight.nn.vit import VitConfig, VitEncoder

WIDTH = 32
TINY = VitConfig(
    width=64, layers=4, heads=4, ffn=96, patch=14, window=4, global_layers=(1, 3), pretrained_grid=3
)
LEVEL_PARTS = {"project": "proj1", "smooth": "proj2"}
BLOCK_PARTS = {
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "attention.query": "attention.q_proj",
    "attention.key": "attention.k_proj",
    "attention.value": "attention.v_proj",
    "attention.out": "attention.o_proj",
    "mlp.layers.0": "mlp.fc1",
    "mlp.layers.1": "mlp.fc2",
}


def reference(config: VitConfig, size: int) -> nn.Module:
    """transformers' encoder of the same numbers, random."""
    from transformers import Sam3VisionConfig, Sam3ViTConfig
    from transformers.models.sam3.modeling_sam3 import Sam3VisionModel

    backbone = Sam3ViTConfig(
        hidden_size=config.width,
        intermediate_size=config.ffn,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        image_size=size,
        patch_size=config.patch,
        window_size=config.window,
        global_attn_indexes=list(config.global_layers),
        pretrain_image_size=config.patch * config.pretrained_grid,
    )
    torch.manual_seed(0)
    model: nn.Module = Sam3VisionModel(
        Sam3VisionConfig(backbone_config=backbone, fpn_hidden_size=WIDTH)
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.15)
    return model


def theirs(config: VitConfig) -> dict[str, str]:
    """transformers' name of each of our modules."""
    names = {"patches": "backbone.embeddings.patch_embeddings.projection", "norm": "backbone.layer_norm"}
    for i in range(config.layers):
        names |= {f"blocks.{i}.{a}": f"backbone.layers.{i}.{b}" for a, b in BLOCK_PARTS.items()}
    for level, doublings in enumerate((2, 1, 0)):
        names |= {f"levels.{level}.{a}": f"neck.fpn_layers.{level}.{b}" for a, b in LEVEL_PARTS.items()}
        for i in range(doublings):
            names[f"levels.{level}.enlarge.{i}"] = f"neck.fpn_layers.{level}.scale_layers.{2 * i}"
    return names


def ours_like(model: nn.Module, config: VitConfig) -> VitEncoder:
    encoder = VitEncoder(config, WIDTH).eval()
    state = model.state_dict()
    names = theirs(config)
    weights = {}
    for key in encoder.state_dict():
        module, _, kind = key.rpartition(".")
        if key == "position":
            weights[key] = state["backbone.embeddings.position_embeddings"][0]
        else:
            weights[key] = state[f"{names[module]}.{kind}"]
    encoder.load_state_dict(weights)
    return encoder


@pytest.mark.parametrize("cells", [8, 12])
def test_it_is_the_encoder_of_transformers(cells: int) -> None:
    model = reference(TINY, 14 * cells)
    encoder = ours_like(model, TINY)
    pixels = torch.randn(2, 3, 14 * cells, 14 * cells)
    with torch.inference_mode():
        found = encoder(pixels)
        expected = model(pixels).fpn_hidden_states[:3]
    for level, reference_level, factor in zip(found, expected, (4, 2, 1), strict=True):
        assert level.shape == (2, WIDTH, factor * cells, factor * cells)
        torch.testing.assert_close(level, reference_level, atol=2e-4, rtol=2e-4)


def test_a_size_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 56, got 70"):
        VitEncoder(TINY, WIDTH)(torch.zeros(1, 3, 70, 70))


def test_sam3s_own_numbers_give_its_sizes() -> None:
    with torch.device("meta"):
        encoder = VitEncoder(VitConfig(), 256)
    assert sum(p.numel() for p in encoder.parameters()) == pytest.approx(0.46e9, rel=0.05)
    enlarging = [name for name, _ in encoder.named_modules() if ".enlarge." in name]
    assert enlarging == ["levels.0.enlarge.0", "levels.0.enlarge.1", "levels.1.enlarge.0"]
