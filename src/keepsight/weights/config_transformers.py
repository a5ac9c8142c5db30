"""transformers' `config.json` of a `Sam2VideoModel` or a `Sam3TrackerVideoModel` as `Sam2Config`.

The library writes many settings that do not reach the network, so here, unlike with Meta's files, settings
we do not know are passed over; what is known to change the result is checked.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keepsight.errors import WeightsError
from keepsight.nn.hiera import HieraConfig
from keepsight.nn.sam2 import SAM3_CENTRE, Sam2Config
from keepsight.nn.vit import VitConfig
from keepsight.weights.settings import Settings, demand_all, read_text

__all__ = ["read_transformers_config", "transformers_config"]

_VISION = "vision_config"
_TRUNK = "vision_config.backbone_config"
_PROMPTS = "prompt_encoder_config"
_DECODER = "mask_decoder_config"

_DEMANDS: tuple[tuple[str, object, object], ...] = (
    ("num_maskmem", 7, 7),
    ("max_object_pointers_in_encoder", 16, 16),
    ("sigmoid_scale_for_mem_enc", 20.0, 20.0),
    ("sigmoid_bias_for_mem_enc", -10.0, -10.0),
    ("multimask_output_in_sam", True, True),
    ("multimask_min_pt_num", 0, 0),
    ("multimask_max_pt_num", 1, 1),
    ("multimask_output_for_tracking", True, True),
    ("memory_attention_num_attention_heads", 1, 1),
    ("memory_attention_downsample_rate", 1, 1),
    ("memory_attention_feed_forward_hidden_act", "relu", "relu"),
    ("memory_attention_rope_theta", 10000, 10000),
    ("rope_parameters.rope_theta", 10000, 10000),
    ("mask_downsampler_kernel_size", 3, 3),
    ("mask_downsampler_stride", 2, 2),
    ("mask_downsampler_padding", 1, 1),
    ("mask_downsampler_total_stride", 16, 16),
    ("mask_downsampler_hidden_act", "gelu", "gelu"),
    ("memory_fuser_num_layers", 2, 2),
    ("memory_fuser_kernel_size", 7, 7),
    ("memory_fuser_padding", 3, 3),
    ("memory_fuser_hidden_act", "gelu", "gelu"),
)
_HIERA_DEMANDS: tuple[tuple[str, object, object], ...] = (
    ("max_cond_frame_num", -1, -1),
    (f"{_PROMPTS}.patch_size", 16, 16),
    (f"{_VISION}.fpn_kernel_size", 1, 1),
    (f"{_VISION}.fpn_stride", 1, 1),
    (f"{_VISION}.fpn_padding", 0, 0),
    (f"{_VISION}.fpn_top_down_levels", (2, 3), (2, 3)),
    (f"{_VISION}.num_feature_levels", 3, 3),
    (f"{_TRUNK}.model_type", "sam2_hiera_det_model", "sam2_hiera_det_model"),
    (f"{_TRUNK}.num_channels", 3, 3),
    (f"{_TRUNK}.patch_kernel_size", (7, 7), (7, 7)),
    (f"{_TRUNK}.patch_stride", (4, 4), (4, 4)),
    (f"{_TRUNK}.patch_padding", (3, 3), (3, 3)),
    (f"{_TRUNK}.query_stride", (2, 2), (2, 2)),
    (f"{_TRUNK}.num_query_pool_stages", 3, 3),
    (f"{_TRUNK}.mlp_ratio", 4.0, 4.0),
    (f"{_TRUNK}.hidden_act", "gelu", "gelu"),
    (f"{_TRUNK}.layer_norm_eps", 1e-6, 1e-6),
)
_VIT_DEMANDS: tuple[tuple[str, object, object], ...] = (
    (f"{_VISION}.scale_factors", (4.0, 2.0, 1.0, 0.5), (4.0, 2.0, 1.0, 0.5)),
    (f"{_TRUNK}.model_type", "sam3_vit_model", "sam3_vit_model"),
    (f"{_TRUNK}.num_channels", 3, 3),
    (f"{_TRUNK}.hidden_act", "gelu", "gelu"),
    (f"{_TRUNK}.layer_norm_eps", 1e-6, 1e-6),
    (f"{_TRUNK}.layer_scale_init_value", None, None),
    (f"{_TRUNK}.rope_parameters.rope_theta", 10000, 10000),
)
_SHARED_DEMANDS: tuple[tuple[str, object, object], ...] = (
    (f"{_PROMPTS}.mask_input_channels", 16, 16),
    (f"{_PROMPTS}.num_point_embeddings", 4, 4),
    (f"{_PROMPTS}.hidden_act", "gelu", "gelu"),
    (f"{_PROMPTS}.scale", 1, 1),
    (f"{_DECODER}.num_hidden_layers", 2, 2),
    (f"{_DECODER}.num_attention_heads", 8, 8),
    (f"{_DECODER}.attention_downsample_rate", 2, 2),
    (f"{_DECODER}.num_multimask_outputs", 3, 3),
    (f"{_DECODER}.iou_head_depth", 3, 3),
    (f"{_DECODER}.iou_head_hidden_dim", 256, 256),
    (f"{_DECODER}.hidden_act", "gelu", "gelu"),
    (f"{_DECODER}.dynamic_multimask_via_stability", True, True),
    (f"{_DECODER}.dynamic_multimask_stability_delta", 0.05, 0.05),
    (f"{_DECODER}.dynamic_multimask_stability_thresh", 0.98, 0.98),
)


def read_transformers_config(path: Path) -> Sam2Config:
    """Reads a `config.json` beside transformers' `model.safetensors`.

    Raises:
        WeightsError: the file is missing, is not such a configuration, or describes a network that differs
            from ours; the message names the setting, its value and what is supported.
    """
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise WeightsError(f"{path} is not valid JSON ({error}). Download the repository again.") from error
    return transformers_config(content, str(path))


def transformers_config(content: object, source: str) -> Sam2Config:
    """Reads what stands in such a file.

    Args:
        content: the nested mapping.
        source: what messages call it.

    Raises:
        WeightsError: it is not such a configuration, or describes a network that differs from ours; the
            message names the setting, its value and what is supported.
    """
    values: Mapping[str, Any] = content if isinstance(content, Mapping) else {}
    kind = values.get("model_type")
    if kind == "sam2_video":
        return _sam2(Settings(source, values))
    if kind == "sam3_video":
        values = values.get("tracker_config", {})
    elif kind != "sam3_tracker_video":
        raise WeightsError(
            f"{source} was expected to describe a model of type 'sam2_video', 'sam3_tracker_video' or "
            f"'sam3_video', but has model_type {kind!r}. Use a repository of video weights such as "
            f"facebook/sam2.1-hiera-tiny."
        )
    return _sam3(Settings(source, values))


def _sam3(settings: Settings) -> Sam2Config:
    patch = settings.number(f"{_TRUNK}.patch_size", 14)
    vit = VitConfig(
        width=settings.number(f"{_TRUNK}.hidden_size", 1024),
        layers=settings.number(f"{_TRUNK}.num_hidden_layers", 32),
        heads=settings.number(f"{_TRUNK}.num_attention_heads", 16),
        ffn=settings.number(f"{_TRUNK}.intermediate_size", 4736),
        patch=patch,
        window=settings.number(f"{_TRUNK}.window_size", 24),
        global_layers=settings.numbers(f"{_TRUNK}.global_attn_indexes", None, (7, 15, 23, 31)),
        pretrained_grid=settings.number(f"{_TRUNK}.pretrain_image_size", 336) // patch,
    )
    config = Sam2Config(
        encoder=vit,
        image_size=settings.number("image_size", 1008),
        mean=SAM3_CENTRE,
        std=SAM3_CENTRE,
        max_conditioning=settings.number("max_cond_frame_num", 4),
        **_shared(settings),
    )
    demand_all(settings, _VIT_DEMANDS)
    demand_all(settings, _DEMANDS + _SHARED_DEMANDS)
    repeated = ((f"{_TRUNK}.image_size", config.image_size, 1008), (f"{_PROMPTS}.patch_size", patch, 14))
    demand_all(settings, repeated + _agreements(config, 1008))
    return config


def _shared(settings: Settings) -> dict[str, Any]:
    """What the trackers of SAM 2 and SAM 3 have in common."""
    return {
        "width": settings.number(f"{_VISION}.fpn_hidden_size", 256),
        "memory_width": settings.number("memory_encoder_output_channels", 64),
        "attention_layers": settings.number("memory_attention_num_layers", 4),
        "attention_ffn": settings.number("memory_attention_feed_forward_hidden_size", 2048),
        "decoder_mlp": settings.number(f"{_DECODER}.mlp_dim", 2048),
        "pointer_time": settings.flag("enable_temporal_pos_encoding_for_object_pointers", True),
        "absence_in_memory": settings.flag("enable_occlusion_spatial_embedding", True),
    }


def _sam2(settings: Settings) -> Sam2Config:
    channels = settings.four(f"{_TRUNK}.embed_dim_per_stage", (96, 192, 384, 768))
    heads = settings.four(f"{_TRUNK}.num_attention_heads_per_stage", (1, 2, 4, 8))
    hiera = HieraConfig(
        width=channels[0],
        heads=heads[0],
        stages=settings.four(f"{_TRUNK}.blocks_per_stage", (1, 2, 7, 2)),
        global_blocks=settings.numbers(f"{_TRUNK}.global_attention_blocks", None, (5, 7, 9)),
        background=settings.two(f"{_TRUNK}.window_positional_embedding_background_size", (7, 7)),
        windows=settings.four(f"{_TRUNK}.window_size_per_stage", (8, 4, 14, 7)),
    )
    if channels != hiera.channels:
        raise settings.refusal(f"{_TRUNK}.embed_dim_per_stage", channels, f"doubling, {hiera.channels}")
    doubled = tuple(heads[0] * 2**stage for stage in range(4))
    if heads != doubled:
        raise settings.refusal(f"{_TRUNK}.num_attention_heads_per_stage", heads, f"doubling, {doubled}")
    config = Sam2Config(encoder=hiera, image_size=settings.side("image_size", 1024), **_shared(settings))
    demand_all(settings, _DEMANDS + _HIERA_DEMANDS + _SHARED_DEMANDS)
    repeated = (
        (f"{_VISION}.backbone_channel_list", hiera.channels[::-1], (768, 384, 192, 96)),
        (f"{_TRUNK}.hidden_size", hiera.width, 96),
    )
    demand_all(settings, repeated + _agreements(config, 1024))
    return config


def _agreements(config: Sam2Config, image_size: int) -> tuple[tuple[str, object, object], ...]:
    """Settings in which the file repeats a number that stands elsewhere; the last is theirs if left out."""
    width = config.width
    return (
        (f"{_PROMPTS}.image_size", config.image_size, image_size),
        (f"{_PROMPTS}.hidden_size", width, 256),
        (f"{_DECODER}.hidden_size", width, 256),
        ("memory_attention_hidden_size", width, 256),
        ("memory_encoder_hidden_size", width, 256),
        ("mask_downsampler_embed_dim", width, 256),
        ("memory_fuser_embed_dim", width, 256),
        ("memory_fuser_intermediate_dim", 4 * width, 1024),
    )
