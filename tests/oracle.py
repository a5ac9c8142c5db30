"""Meta's own predictor and ours on the same random weights, small enough for a test."""

import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from keepsight.nn.hiera import HieraConfig
from keepsight.nn.sam2 import VARIANTS, Sam2, Sam2Config
from keepsight.nn.vit import VitConfig
from keepsight.weights.keys_meta import META

IMAGE_SIZE = 128
MASK = np.zeros((90, 120), dtype=np.bool_)  # a patch of a frame of `moving_texture`
MASK[30:60, 20:50] = True
TINY_ENCODER = HieraConfig(
    width=16, heads=1, stages=(1, 2, 3, 1), global_blocks=(4,), background=(7, 7), windows=(8, 4, 4, 2)
)
META_YAML = {
    "tiny": "sam2.1/sam2.1_hiera_t",
    "small": "sam2.1/sam2.1_hiera_s",
    "base_plus": "sam2.1/sam2.1_hiera_b+",
    "large": "sam2.1/sam2.1_hiera_l",
}


def randomise(module: nn.Module, seed: int, gain: float = 1.0) -> None:
    """Draws weights that keep signals alive; zeros and 1e-6 scales would hide mistakes.

    A gain above 1 makes attention sharp, so that it matters what is remembered.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                parameter.copy_(gain * noise / parameter[0].numel() ** 0.5)
            else:
                parameter.add_(0.1 * noise)


def favour_presence(network: Sam2, by: float) -> None:
    """Shifts the presence logit, since random heads may call every object absent, which proves little."""
    last = network.mask_decoder.presence_head.layers[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.bias.add_(by)


def lively_network(config: Sam2Config, seed: int = 3, presence: float = 1.0) -> Sam2:
    """Random weights whose predicted IoUs and presence vary enough to decide differently over time."""
    torch.manual_seed(seed)
    network = Sam2(config).eval().requires_grad_(False)
    randomise(network, seed, gain=2.0)
    favour_presence(network, by=presence)
    return network


def tiny_overrides(encoder: HieraConfig = TINY_ENCODER, image_size: int = IMAGE_SIZE) -> list[str]:
    """Hydra overrides that turn Meta's tiny configuration into a much smaller one."""
    trunk = "++model.image_encoder.trunk"
    return [
        f"{trunk}.embed_dim={encoder.width}",
        f"{trunk}.num_heads={encoder.heads}",
        f"{trunk}.stages={list(encoder.stages)}",
        f"{trunk}.global_att_blocks={list(encoder.global_blocks)}",
        f"{trunk}.window_spec={list(encoder.windows)}",
        f"{trunk}.window_pos_embed_bkg_spatial_size={list(encoder.background)}",
        f"++model.image_encoder.neck.backbone_channel_list={list(reversed(encoder.channels))}",
        f"++model.image_size={image_size}",
    ]


def meta_predictor(yaml: str, overrides: list[str], seed: int = 0, gain: float = 1.0) -> Any:
    """Meta's video predictor with random weights; corrected frames condition, as with us."""
    from sam2.build_sam import build_sam2_video_predictor

    torch.manual_seed(seed)  # `randomise` adds to what the constructor draws
    predictor = build_sam2_video_predictor(
        f"configs/{yaml}.yaml",
        device="cpu",
        hydra_overrides_extra=[
            *overrides,
            "++model.add_all_frames_to_correct_as_cond=true",
        ],
    )
    randomise(predictor, seed, gain)
    return predictor


def ours_like(predictor: Any, config: Sam2Config) -> Sam2:
    """Our network with the predictor's weights."""
    network = Sam2(config)
    network.load_state_dict(META.convert(predictor.state_dict(), network.state_dict()))
    return network.eval().requires_grad_(False)


def tiny_config(name: str = "sam2.1_hiera_tiny") -> Sam2Config:
    """Our side of `tiny_overrides`."""
    return replace(VARIANTS[name], encoder=TINY_ENCODER, image_size=IMAGE_SIZE)


class _Float32Torch(types.ModuleType):
    """torch, except that asking for bfloat16 gives float32."""

    bfloat16 = torch.float32

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


@contextmanager
def float32_memory() -> Iterator[None]:
    """Keeps Meta's predictor from rounding its memory to bfloat16, which it does even in float32."""
    from sam2 import sam2_video_predictor

    sam2_video_predictor.torch = _Float32Torch("torch")
    try:
        yield
    finally:
        sam2_video_predictor.torch = torch


def moving_texture(
    count: int, height: int = 90, width: int = 120, seed: int = 0
) -> list[npt.NDArray[np.uint8]]:
    """Frames of a smooth random texture that drifts, with a brighter disc moving across it."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (14, 18, 3), dtype=np.uint8))
    canvas = np.array(coarse.resize((width + 2 * count, height + count), Image.Resampling.BICUBIC))
    y, x = np.mgrid[:height, :width]
    frames = []
    for i in range(count):
        frame = canvas[i : i + height, 2 * i : 2 * i + width].copy()
        disc = (x - 30 - 2 * i) ** 2 + (y - 45) ** 2 < 18**2
        frame[disc] = frame[disc] // 3 + np.array([160, 40, 20], np.uint8)
        frames.append(frame)
    return frames


def write_jpegs(frames: list[npt.NDArray[np.uint8]], folder: Path) -> list[npt.NDArray[np.uint8]]:
    """Writes frames as Meta's loader wants them and returns them as decoded again."""
    decoded = []
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{i:05d}.jpg", quality=95)
        decoded.append(np.array(Image.open(folder / f"{i:05d}.jpg").convert("RGB")))
    return decoded


def transformers_model(folder: Path, encoder: HieraConfig, *, sam21: bool = True) -> Any:
    """transformers' port with random weights and a small image encoder, also written as a repository is."""
    import transformers

    trunk = transformers.Sam2HieraDetConfig(
        hidden_size=encoder.width,
        image_size=[IMAGE_SIZE, IMAGE_SIZE],
        blocks_per_stage=list(encoder.stages),
        embed_dim_per_stage=list(encoder.channels),
        global_attention_blocks=list(encoder.global_blocks),
        window_positional_embedding_background_size=list(encoder.background),
    )
    vision = transformers.Sam2VisionConfig(
        backbone_config=trunk,
        backbone_channel_list=list(encoder.channels[::-1]),
        backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
    )
    config = transformers.Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"image_size": IMAGE_SIZE},
        image_size=IMAGE_SIZE,
        memory_attention_rope_feat_sizes=[8, 8],
        enable_occlusion_spatial_embedding=sam21,
        enable_temporal_pos_encoding_for_object_pointers=sam21,
    )
    return saved_model(transformers.Sam2VideoModel, config, folder)


def saved_model(kind: Any, config: Any, folder: Path, presence: float = 0.0) -> Any:
    """One of transformers' trackers with random weights, also written as a repository is.

    Objects are `presence` more present than the random weights say.
    """
    torch.manual_seed(0)
    model = kind(config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
        model.mask_decoder.pred_obj_score_head.proj_out.bias.add_(presence)
    twin = model.prompt_encoder.shared_embedding.positional_embedding
    twin.copy_(model.shared_image_embedding.positional_embedding)
    model.save_pretrained(folder)
    return model


SAM3_SIZE = 112
SAM3_ENCODER = VitConfig(
    width=64, layers=4, heads=4, ffn=96, window=4, global_layers=(1, 3), pretrained_grid=3
)


def sam3_vision_config(encoder: VitConfig, image_size: int, width: int = 256) -> Any:
    """Our numbers of SAM 3's image encoder as transformers writes them."""
    import transformers

    trunk = transformers.Sam3ViTConfig(
        hidden_size=encoder.width,
        intermediate_size=encoder.ffn,
        num_hidden_layers=encoder.layers,
        num_attention_heads=encoder.heads,
        image_size=image_size,
        patch_size=encoder.patch,
        window_size=encoder.window,
        global_attn_indexes=list(encoder.global_layers),
        pretrain_image_size=encoder.patch * encoder.pretrained_grid,
    )
    return transformers.Sam3VisionConfig(backbone_config=trunk, fpn_hidden_size=width)


def sam3_model(folder: Path) -> Any:
    """transformers' port of SAM 3's tracker with a small image encoder; its grid has 8 cells of 14 pixels."""
    import transformers

    config = transformers.Sam3TrackerVideoConfig(
        vision_config=sam3_vision_config(SAM3_ENCODER, SAM3_SIZE), image_size=SAM3_SIZE
    )
    return saved_model(transformers.Sam3TrackerVideoModel, config, folder, presence=1.0)
